from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from molfusion.chem.highlight import highlighted, overlaid, shades
from molfusion.chem.parse import ChemError, parse


def test_shades():
    white, red, blue, half = shades([0.0, 2.0, -2.0, 1.0])
    assert white == (1, 1, 1)
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    assert half == pytest.approx([(1 + c) / 2 for c in red])
    assert shades([0.0, 0.0]) == [(1, 1, 1)] * 2


def test_svg_and_png():
    mol = parse("CCO")
    svg = highlighted(mol, [0, -1, 2], "svg").decode()
    assert svg.lstrip().startswith("<?xml")
    assert "#D63026" in svg.upper() or "#D6302" in svg.upper()  # full red behind the oxygen
    png = highlighted(mol, [0, -1, 2], "png", (120, 90))
    pixels = np.array(Image.open(BytesIO(png)).convert("RGB")).astype(int)
    assert pixels.shape == (90, 120, 3)
    red, _, blue = np.moveaxis(pixels, -1, 0)
    assert (red - blue > 100).any()
    assert (blue - red > 30).any()


def test_a_weight_for_each_atom():
    with pytest.raises(ChemError, match="2 weights for 3 atoms"):
        highlighted(parse("CCO"), [1, 2])


def test_a_grid_over_a_picture():
    white = np.full((4, 6, 3), 255, np.uint8)
    found = np.array(Image.open(BytesIO(overlaid(white, np.array([[0.0, 1.0], [0.0, 0.0]])))))
    assert found.shape == (4, 6, 3)
    assert (found[2:] == 255).all()
    assert (found[:2, :3] == 255).all()
    assert (found[:2, 3:, 2] < 100).all()
