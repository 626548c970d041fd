"""DeepEncoder of DeepSeek-OCR (Wei et al. 2025): the image as DeepMoLM sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch, Tokens
from molfusion.encoders.base import Encoder
from molfusion.nn.clip_tower import CLIPTower
from molfusion.nn.init import bert_std
from molfusion.views.image import Images, ImageView

if TYPE_CHECKING:
    from transformers.models.deepseek_ocr2.modeling_deepseek_ocr2 import DeepseekOcr2SamVisionEncoder


@dataclass(frozen=True)
class Local:
    """SAM-B (Kirillov et al. 2023): attention in windows, in some layers over all; then a 16× compressor."""

    dim: int = 768
    layers: int = 12
    heads: int = 12
    patch: int = 16  # pixels
    window: int = 14  # patches
    everywhere: tuple[int, ...] = (2, 5, 8, 11)  # layers that attend over the whole image
    channels: tuple[int, int, int] = (256, 512, 1024)  # of the neck, and after each halving


@dataclass(frozen=True)
class Global:
    """CLIP-L over what the compressor leaves; its width is the compressor's last."""

    layers: int = 24
    heads: int = 16
    ffn: int = 4096
    side: int = 16  # of the grid that its positions are for


class DeepEncoder(Encoder):
    """Tokens [CLIP | SAM] of a drawing: rows of the tiles put together, if it is cut, then rows of the whole.

    Defaults are the published size: 398,746,880 parameters (602,112 of them a convolution that nothing reads); 656
    tokens for a drawing of 1024², 256 of them for the whole. Usually `Frozen(…)`, and then worth storing
    (`molfusion export --tokens`).

    Args:
        image: what is drawn, and how; `whole` and `tile` are the sides that the towers read.
        crops: `auto`: cut what is larger than a tile (DeepSeek-OCR); `off`: the whole image alone.
        local: the first tower.
        globally: the second.
        at_once: images that go through the towers together; the rest wait, as whole images are large.
    """

    def __init__(
        self,
        image: ImageView = ImageView(),
        crops: Literal["auto", "off"] = "auto",
        local: Local = Local(),
        globally: Global = Global(),
        at_once: int = 16,
    ) -> None:
        super().__init__()
        if at_once < 1:
            raise ValueError(f"at_once is {at_once}, expected at least one image")
        width = local.channels[-1]
        self.dim, self._at_once = 2 * width, at_once
        self.view = replace(image, tiling="deepseek" if crops == "auto" else "whole")
        self.views = frozenset({self.view})
        self._patch = local.patch
        self.sam = sam(local, self.view.whole)
        self.clip = CLIPTower(width, globally.layers, globally.heads, globally.ffn, globally.side)

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of tokens of each picture in turn: the tiles as one, if there are any, and the whole."""
        across, down = self.view.grid
        whole, tile = self._side(self.view.whole), self._side(self.view.tile)
        cut = () if (across, down) == (1, 1) else ((down * tile, across * tile),)
        return (*cut, (whole, whole))

    def forward(self, batch: MoleculeBatch) -> Tokens:
        images: Images = batch[self.view]
        parts = [self.see(images.normalise())]
        if (tiles := images.normalise_tiles()) is not None:
            seen = self.see(tiles.flatten(0, 1))
            parts.insert(0, merged(seen.reshape(*tiles.shape[:2], -1, self.dim), images.grid))
        x = torch.cat(parts, dim=1)
        return Tokens(x, torch.ones(x.shape[:2], dtype=torch.bool, device=x.device))

    def see(self, pixels: Tensor) -> Tensor:
        """Images [B, 3, H, H] in -1 … 1 -> tokens [B, G², D], row by row."""
        return torch.cat([self._see(some) for some in torch.split(pixels, self._at_once)])

    def _see(self, pixels: Tensor) -> Tensor:
        features = self.sam(pixels).last_hidden_state
        read = self.clip(features)[:, 1:]
        return torch.cat([read, features.flatten(2).transpose(1, 2)], dim=-1)

    def _side(self, pixels: int) -> int:
        """Tokens along `pixels`: patches, halved twice (the larger half)."""
        patches = pixels // self._patch
        half = (patches + 1) // 2
        return (half + 1) // 2

    @property
    def blocks(self) -> list[nn.Module]:
        return [*self.sam.layers, *self.clip.layers]


def sam(size: Local, image: int) -> DeepseekOcr2SamVisionEncoder:
    """The tower from a library, with a start from which it can be trained (its own is all but zero)."""
    from transformers.models.deepseek_ocr2.configuration_deepseek_ocr2 import DeepseekOcr2SamVisionConfig
    from transformers.models.deepseek_ocr2.modeling_deepseek_ocr2 import DeepseekOcr2SamVisionEncoder

    tower = DeepseekOcr2SamVisionEncoder(
        DeepseekOcr2SamVisionConfig(
            hidden_size=size.dim,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            image_size=image,
            patch_size=size.patch,
            window_size=size.window,
            global_attn_indexes=list(size.everywhere),
            output_channels=size.channels[0],
            downsample_channels=list(size.channels[1:]),
            initializer_range=bert_std(size.dim),
        )
    )
    for part in tower.modules():
        if isinstance(part, nn.Conv2d):
            part.reset_parameters()
    with torch.no_grad():
        cast(nn.Parameter, tower.pos_embed).normal_(std=0.02)
        # Drawings are white for the most part: unless white means nothing at the start, they all start out alike.
        kernels = tower.patch_embed.projection.weight
        kernels.normal_(std=2 * (3 * size.patch**2) ** -0.5)
        kernels -= kernels.mean((2, 3), keepdim=True)
    return tower


def merged(tiles: Tensor, grid: tuple[int, int]) -> Tensor:
    """Tokens of tiles [B, P, G², D], row by row, as those of one picture [B, P · G², D]; grid: tiles across and down."""
    across, down = grid
    b, _, cells, dim = tiles.shape
    side = round(cells**0.5)
    return tiles.reshape(b, down, across, side, side, dim).transpose(2, 3).reshape(b, -1, dim)
