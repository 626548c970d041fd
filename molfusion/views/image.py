"""The view `image`: a drawing of the molecule, as pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from molfusion.batch import Arrays, Record
from molfusion.chem.corrupt import Corruption, corrupt
from molfusion.chem.image import Style, draw
from molfusion.chem.parse import ChemError, parse
from molfusion.views.base import Features, View, ViewError

# DeepSeek-OCR cuts a large image into 2 … 6 tiles.
MOST = 6
_GREY = (127, 127, 127)
_BLANK = 64  # pixels a byte of PNG; a drawing takes more bytes than one byte for so many


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
    """A drawing of the SMILES as given, RDKit's default unless `style` says else, kept as PNG.

    `tiling` prepares it, when the batch is made, for an encoder of square images: `whole` brings it to whole² on grey;
    `deepseek` (as DeepMoLM's image encoder wants it) also stretches it, if larger than `tile` on a side, to a grid of
    tile² pieces. `corruption` comes before either.
    """

    width: int = 1024
    height: int = 1024
    tiling: Literal["none", "whole", "deepseek"] = "none"
    whole: int = 1024
    tile: int = 640
    style: Style = Style()
    corruption: Corruption = Corruption()

    tools: ClassVar[tuple[str, ...]] = ("rdkit",)

    def featurise(self, record: Record) -> Features:
        try:
            png = draw(parse(record.smiles), self.width, self.height, self.style)
        except ChemError as error:
            raise ViewError(str(error)) from error
        if len(png) * _BLANK < self.width * self.height and _blank(png):
            raise ViewError("the drawing is empty")
        return {"png": np.frombuffer(png, dtype=np.uint8)}

    def collate(self, items: Sequence[Features]) -> Images:
        """Decode, corrupt and cut.

        Raises:
            ViewError: an image of another size than this view's.
        """
        decoded = (corrupt(self._decoded(i["png"].tobytes()), self.corruption) for i in items)
        if self.tiling == "none":
            return Images(_stack(decoded, len(items)))
        images, grid = list(decoded), self.grid
        whole = _stack((ImageOps.pad(image, (self.whole, self.whole), color=_GREY) for image in images), len(items))
        if grid == (1, 1):
            return Images(whole)
        count = grid[0] * grid[1]
        tiles = _stack((tile for image in images for tile in _cut(image, grid, self.tile)), len(items) * count)
        return Images(whole, tiles.reshape(len(items), count, *tiles.shape[1:]), grid)

    @property
    def grid(self) -> tuple[int, int]:
        """Tiles across, tiles down."""
        return tile_grid(self.width, self.height, self.tile) if self.tiling == "deepseek" else (1, 1)

    def name(self) -> str:
        """Of the drawing alone: what becomes of it when the batch is made is not stored."""
        default = ImageView()
        drawing = replace(
            self, tiling=default.tiling, whole=default.whole, tile=default.tile, corruption=default.corruption
        )
        return super(ImageView, drawing).name()

    def _decoded(self, png: bytes) -> Image.Image:
        image = _opaque(png)
        if image.size != (self.width, self.height):
            found = "{} × {}".format(*image.size)
            raise ViewError(f"an image of {found} pixels, expected {self.width} × {self.height}: those of this view")
        return image


def tile_grid(width: int, height: int, tile: int = 640) -> tuple[int, int]:
    """Tiles across and down whose ratio is nearest to the image's; (1, 1) where both sides are at most `tile`.

    Grids are tried from few tiles to many; of two equally near, the later only if the image has more than half the
    pixels that it would be stretched to.
    """
    if width <= tile and height <= tile:
        return 1, 1
    sides = range(1, MOST + 1)
    grids = sorted(((i, j) for i in sides for j in sides if 2 <= i * j <= MOST), key=lambda g: g[0] * g[1])
    best, least = (1, 1), float("inf")
    for across, down in grids:
        difference = abs(width / height - across / down)
        roomy = width * height > 0.5 * tile * tile * across * down
        if difference < least or (difference == least and roomy):
            best, least = (across, down), difference
    return best


def _cut(image: Image.Image, grid: tuple[int, int], side: int) -> list[Image.Image]:
    across, down = grid
    large = image.resize((side * across, side * down))  # bicubic; the ratio is not kept
    corners = [(side * x, side * y) for y in range(down) for x in range(across)]
    return [large.crop((x, y, x + side, y + side)) for x, y in corners]


def _opaque(png: bytes) -> Image.Image:
    """RGB, from grey or a palette as well; what is transparent shows white."""
    image: Image.Image = Image.open(BytesIO(png))
    if image.mode == "RGB":
        return image
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("RGB")


def _blank(png: bytes) -> bool:
    pixels = np.asarray(_opaque(png))
    return bool((pixels == pixels[0, 0]).all())


def _stack(images: Iterable[Image.Image], count: int) -> Tensor:
    """[count, H, W, 3]. Room is made when the first image is decoded: earlier, its pages are fresh ones each time."""
    pixels: NDArray[np.uint8] | None = None
    for k, image in enumerate(images):
        decoded = np.asarray(image)
        if pixels is None:
            pixels = np.empty((count, *decoded.shape), dtype=np.uint8)
        pixels[k] = decoded
    assert pixels is not None, "no image"
    return torch.from_numpy(pixels)
