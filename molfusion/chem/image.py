"""A drawing of the molecular graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D

from molfusion.chem.parse import ChemError

Looks = Literal["rdkit", "bw", "avalon", "cdk", "acs1996", "dark", "comic"]

_BOND_PIXELS = 14.4  # of an ACS 1996 drawing

_LOOKS: dict[Looks, Callable[[Any], Any]] = {
    "rdkit": lambda options: None,
    "bw": lambda options: options.useBWAtomPalette(),
    "avalon": lambda options: options.useAvalonAtomPalette(),
    "cdk": lambda options: options.useCDKAtomPalette(),
    "acs1996": lambda options: rdMolDraw2D.SetACS1996Mode(options, _BOND_PIXELS),
    "dark": lambda options: rdMolDraw2D.SetDarkMode(options),
    "comic": lambda options: setattr(options, "comicMode", True),
}


@dataclass(frozen=True)
class Style:
    """How it is drawn. The defaults are RDKit's."""

    looks: Looks = "rdkit"  # `acs1996` draws bonds of one length, others fill the page
    line_width: float = 2.0  # pixels
    rotation: float = 0.0  # degrees anticlockwise; letters stay upright
    labels: bool = False  # write (R), (S), (E) and (Z) beside what has them


DEFAULT = Style()


def draw(mol: Chem.Mol, width: int, height: int, style: Style = DEFAULT) -> bytes:
    """A PNG of width × height, RGB; by default the pixels of `Draw.MolsToGridImage([mol], 1, (width, height))`.

    Cairo's own bytes; encoding them once more would cost as much as the drawing. Without the molecule that RDKit
    pickles into the file.

    Raises:
        ChemError: it has no atom, or RDKit cannot lay it out or draw it.
    """
    if not mol.GetNumAtoms():
        raise ChemError("there is no atom to draw")
    canvas = rdMolDraw2D.MolDraw2DCairo(width, height)
    options = canvas.drawOptions()
    options.includeMetadata = False
    _LOOKS[style.looks](options)
    if style.line_width != DEFAULT.line_width:
        options.bondLineWidth = style.line_width
    options.rotate = style.rotation
    options.addStereoAnnotation = style.labels
    try:
        canvas.DrawMolecule(mol)
        canvas.FinishDrawing()
    except (ValueError, RuntimeError) as error:
        raise ChemError(f"cannot be drawn: {error}") from error
    png: bytes = canvas.GetDrawingText()
    return png
