"""A drawing of the molecular graph."""

from __future__ import annotations

from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D

from molfusion.chem.parse import ChemError


def draw(mol: Chem.Mol, width: int, height: int) -> bytes:
    """A PNG of width × height, RGB, by RDKit's defaults: the pixels of `Draw.MolsToGridImage([mol], 1, (width, height))`.

    Cairo's own bytes; encoding them once more would cost as much as the drawing. Without the molecule that RDKit
    pickles into the file.

    Raises:
        ChemError: RDKit cannot lay it out or draw it.
    """
    canvas = rdMolDraw2D.MolDraw2DCairo(width, height)
    canvas.drawOptions().includeMetadata = False
    try:
        canvas.DrawMolecule(mol)
        canvas.FinishDrawing()
    except (ValueError, RuntimeError) as error:
        raise ChemError(f"cannot be drawn: {error}") from error
    png: bytes = canvas.GetDrawingText()
    return png
