import numpy as np
import pytest
from PIL import Image

from molfusion.chem.corrupt import Corruption, corrupt


def picture():
    pixels = np.full((40, 40, 3), 255, np.uint8)
    pixels[10:30, 20] = 0
    return Image.fromarray(pixels)


def test_nothing_asked_for_is_nothing_done():
    assert np.array_equal(np.asarray(corrupt(picture(), Corruption())), np.asarray(picture()))


def test_noise_is_of_its_size_and_the_same_each_time():
    grey = Image.fromarray(np.full((100, 100, 3), 128, np.uint8))
    noisy = np.asarray(corrupt(grey, Corruption(noise=0.1))).astype(float)
    assert noisy.std() == pytest.approx(25.5, rel=0.05)
    assert noisy.mean() == pytest.approx(128, abs=1)
    assert np.array_equal(noisy, np.asarray(corrupt(grey, Corruption(noise=0.1))))
    assert not np.array_equal(noisy, np.asarray(corrupt(grey, Corruption(noise=0.1, seed=1))))
    # Of the image as well: two molecules do not share their noise.
    other = Image.fromarray(np.full((100, 100, 3), 127, np.uint8))
    assert not np.array_equal(noisy - 128, np.asarray(corrupt(other, Corruption(noise=0.1))).astype(float) - 127)


def test_blur_spreads_a_line():
    found = np.asarray(corrupt(picture(), Corruption(blur=2.0)))
    assert found[20, 20, 0] > 100
    assert found[20, 18, 0] < 255


def test_jpeg_is_lossy():
    found = np.asarray(corrupt(picture(), Corruption(jpeg=5))).astype(int)
    assert found.shape == (40, 40, 3)
    assert 0 < np.abs(found - np.asarray(picture()).astype(int)).mean() < 60


@pytest.mark.parametrize("wrong", [{"noise": -1.0}, {"jpeg": 100}, {"blur": -0.5}])
def test_out_of_range(wrong):
    with pytest.raises(ValueError, match="expected blur and noise of at least 0"):
        Corruption(**wrong)
