"""The view `image`: a drawing of the molecule, as pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import ClassVar, Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from molfusion.batch import Arrays, Record
from molfusion.chem.image import draw
from molfusion.chem.parse import ChemError, parse
from molfusion.views.base import Features, View, ViewError

# How DeepSeek-OCR cuts a large image: one whole view and 2 … 6 tiles.
WHOLE, TILE, MOST = 1024, 640, 6
_GREY = (127, 127, 127)


@dataclass
class Images(Arrays):
    """Bytes; `normalise` makes them numbers on whatever device they are on."""

    pixels: Tensor  # [B, H, W, 3] uint8 RGB
    tiles: Tensor | None = None  # [B, P, 640, 640, 3] uint8, row by row; None = the image is not cut
    grid: tuple[int, int] = (1, 1)  # tiles across, tiles down

    def normalise(self) -> Tensor:
        """[B, 3, H, W] float32 in -1 … 1."""
        return _normalise(self.pixels)

    def normalise_tiles(self) -> Tensor | None:
        """[B, P, 3, 640, 640] float32 in -1 … 1."""
        return None if self.tiles is None else _normalise(self.tiles)


def _normalise(pixels: Tensor) -> Tensor:
    return pixels.float().div_(255).sub_(0.5).div_(0.5).movedim(-1, -3)


@dataclass(frozen=True)
class ImageView(View):
    """RDKit's default drawing of the SMILES as given, kept as PNG and decoded when the batch is made.

    `tiling: deepseek` also prepares it as DeepMoLM's image encoder wants it: brought to 1024² on grey, and, if larger
    than 640 on a side, stretched to a grid of 640² tiles.
    """

    width: int = 1024
    height: int = 1024
    tiling: Literal["none", "deepseek"] = "none"

    tools: ClassVar[tuple[str, ...]] = ("rdkit",)

    def featurise(self, record: Record) -> Features:
        try:
            png = draw(parse(record.smiles), self.width, self.height)
        except ChemError as error:
            raise ViewError(str(error)) from error
        return {"png": np.frombuffer(png, dtype=np.uint8)}

    def collate(self, items: Sequence[Features]) -> Images:
        images = [_decode(i["png"].tobytes()) for i in items]
        if self.tiling == "none":
            return Images(_stack(images))
        grid = tile_grid(self.width, self.height)
        whole = _stack([ImageOps.pad(image, (WHOLE, WHOLE), color=_GREY) for image in images])
        if grid == (1, 1):
            return Images(whole)
        tiles = _stack([tile for image in images for tile in _cut(image, grid)])
        return Images(whole, tiles.reshape(len(items), -1, TILE, TILE, 3), grid)


def tile_grid(width: int, height: int) -> tuple[int, int]:
    """Tiles across and down whose ratio is nearest to the image's; (1, 1) where both sides are at most 640.

    Grids are tried from few tiles to many; of two equally near, the later only if the image has more than half the
    pixels that it would be stretched to.
    """
    if width <= TILE and height <= TILE:
        return 1, 1
    sides = range(1, MOST + 1)
    grids = sorted(((i, j) for i in sides for j in sides if 2 <= i * j <= MOST), key=lambda g: g[0] * g[1])
    best, least = (1, 1), float("inf")
    for across, down in grids:
        difference = abs(width / height - across / down)
        roomy = width * height > 0.5 * TILE * TILE * across * down
        if difference < least or (difference == least and roomy):
            best, least = (across, down), difference
    return best


def _cut(image: Image.Image, grid: tuple[int, int]) -> list[Image.Image]:
    across, down = grid
    large = image.resize((TILE * across, TILE * down))  # bicubic; the ratio is not kept
    corners = [(TILE * x, TILE * y) for y in range(down) for x in range(across)]
    return [large.crop((x, y, x + TILE, y + TILE)) for x, y in corners]


def _decode(png: bytes) -> Image.Image:
    image = Image.open(BytesIO(png))
    return image if image.mode == "RGB" else image.convert("RGB")  # older RDKit adds an opaque fourth channel


def _stack(images: Sequence[Image.Image]) -> Tensor:
    width, height = images[0].size
    pixels = np.empty((len(images), height, width, 3), dtype=np.uint8)
    for row, image in zip(pixels, images, strict=True):
        row[:] = np.asarray(image)
    return torch.from_numpy(pixels)
