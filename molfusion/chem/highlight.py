"""Drawings that show how much each atom, or each part of a picture, counted."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D

from molfusion.chem.parse import ChemError

_FOR, _AGAINST = (0.84, 0.19, 0.15), (0.13, 0.40, 0.67)  # red, blue; told apart by the colour-blind

Kind = Literal["svg", "png"]
KINDS: tuple[Kind, ...] = ("svg", "png")
Colour = tuple[float, float, float]


def highlighted(
    mol: Chem.Mol, weights: Sequence[float], kind: Kind = "svg", size: tuple[int, int] = (480, 360)
) -> bytes:
    """The molecule with a disc behind each atom: red where its weight is positive, blue where negative.

    Args:
        mol: in the order of the weights.
        weights: one an atom; the largest in size has the full colour.
        kind: of file.
        size: pixels.

    Raises:
        ChemError: there are not as many weights as atoms, or it cannot be drawn.
    """
    if len(weights) != mol.GetNumAtoms():
        raise ChemError(f"{len(weights)} weights for {mol.GetNumAtoms()} atoms")
    colours = dict(enumerate(shades(weights)))
    canvas = (rdMolDraw2D.MolDraw2DSVG if kind == "svg" else rdMolDraw2D.MolDraw2DCairo)(*size)
    options = canvas.drawOptions()
    options.useBWAtomPalette()
    options.highlightRadius = 0.42
    options.fillHighlights = True
    if kind == "png":
        options.includeMetadata = False
    try:
        rdMolDraw2D.PrepareAndDrawMolecule(
            canvas, mol, highlightAtoms=list(colours), highlightAtomColors=colours, highlightBonds=[]
        )
        canvas.FinishDrawing()
    except (ValueError, RuntimeError) as error:
        raise ChemError(f"cannot be drawn: {error}") from error
    text = canvas.GetDrawingText()
    return text.encode() if isinstance(text, str) else bytes(text)


def shades(weights: Sequence[float]) -> list[Colour]:
    """White where nothing counts, full red or blue where most does."""
    values = np.asarray(weights, dtype=np.float64)
    largest = np.abs(values).max(initial=0.0) or 1.0
    return [_mixed(_FOR if v > 0 else _AGAINST, abs(v) / largest) for v in values.tolist()]


def overlaid(pixels: NDArray[np.uint8], weights: NDArray[np.float64]) -> bytes:
    """A picture [H, W, 3] under a grid of weights [rows, columns] that covers it, in the same colours, as PNG."""
    colours = np.array(shades(weights.ravel().tolist())).reshape(*weights.shape, 3)
    rows = np.arange(pixels.shape[0]) * weights.shape[0] // pixels.shape[0]
    columns = np.arange(pixels.shape[1]) * weights.shape[1] // pixels.shape[1]
    tinted = pixels * colours[rows][:, columns]
    out = BytesIO()
    Image.fromarray(tinted.round().astype(np.uint8)).save(out, format="png")
    return out.getvalue()


def _mixed(colour: Colour, share: float) -> Colour:
    red, green, blue = (1 - share * (1 - c) for c in colour)
    return red, green, blue
