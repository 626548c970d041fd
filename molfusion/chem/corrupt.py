"""What scanners and compression do to a drawing. Nothing else of the molecule is touched."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter


@dataclass(frozen=True)
class Corruption:
    """Blur, then noise, then JPEG, each if asked for; the noise is fixed by the image and the seed."""

    blur: float = 0.0  # pixels, standard deviation of a Gaussian
    noise: float = 0.0  # standard deviation of Gaussian noise, 1 = from black to white
    jpeg: int = 0  # quality 1 … 95; 0: not compressed
    seed: int = 0

    def __post_init__(self) -> None:
        if self.blur < 0 or self.noise < 0 or not 0 <= self.jpeg <= 95:
            raise ValueError(f"{self}: expected blur and noise of at least 0, and jpeg from 1 to 95 (or 0: none)")


def corrupt(image: Image.Image, how: Corruption) -> Image.Image:
    """The image (RGB) as it then looks, of the same size."""
    if how.blur:
        image = image.filter(ImageFilter.GaussianBlur(how.blur))
    if how.noise:
        pixels = np.asarray(image)
        rng = np.random.default_rng((how.seed, zlib.crc32(pixels.tobytes())))
        noisy = pixels + rng.normal(scale=255 * how.noise, size=pixels.shape).astype(np.float32)
        image = Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))
    if how.jpeg:
        squeezed = BytesIO()
        image.save(squeezed, format="jpeg", quality=how.jpeg)
        image = Image.open(squeezed).convert("RGB")
    return image
