"""Many molecules in one drawing, each with a line below it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D

_CELL = 240  # pixels
_ACROSS = 5


def draw_grid(smiles: Sequence[str], legends: Sequence[str]) -> tuple[bytes, str]:
    """The same picture as PNG and as SVG; at least one molecule.

    Raises:
        ValueError: none to draw.
    """
    if not smiles:
        raise ValueError("no molecule to draw")
    mols = [rdMolDraw2D.PrepareMolForDrawing(Chem.MolFromSmiles(s)) for s in smiles]
    across = min(_ACROSS, len(mols))
    size = (across * _CELL, math.ceil(len(mols) / across) * _CELL, _CELL, _CELL)
    pages = rdMolDraw2D.MolDraw2DCairo(*size), rdMolDraw2D.MolDraw2DSVG(*size)
    for page in pages:
        page.DrawMolecules(mols, legends=list(legends))
        page.FinishDrawing()
    return bytes(pages[0].GetDrawingText()), str(pages[1].GetDrawingText())
