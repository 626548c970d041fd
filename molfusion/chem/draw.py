"""A molecule as the inside of an SVG, to be set into a page once and shown in many places."""

from __future__ import annotations

import re

from rdkit.Chem.Draw import rdMolDraw2D

from molfusion.chem.similarity import molecule

SIZE = (200, 150)  # width and height of its coordinates
_SPARE = re.compile(
    r" class='[^']*'|<!--.*?-->|\n|"
    "font-style:normal;font-weight:normal;fill-opacity:1;stroke:none;font-family:sans-serif;text-anchor:start;"
)
# What every bond says of itself is said once, for all: half the size.
_BOND = re.compile(r"style='fill:none;fill-rule:evenodd;stroke:(#\w{6});stroke-width:2\.0px;[^']*'")


def drawn(smiles: str | None) -> str | None:
    """What stands inside `<svg viewBox="0 0 200 150">`; None for what is no molecule or has no atoms."""
    mol = molecule(smiles)
    if mol is None or not mol.GetNumAtoms():
        return None
    page = rdMolDraw2D.MolDraw2DSVG(*SIZE, noFreetype=True)  # letters as text
    options = page.drawOptions()
    options.clearBackground = False
    options.minFontSize, options.maxFontSize = 9, 16
    try:
        rdMolDraw2D.PrepareAndDrawMolecule(page, mol)
        page.FinishDrawing()
    except (ValueError, RuntimeError):
        return None
    text = str(page.GetDrawingText())
    inside = _SPARE.sub("", text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")])
    bonds = _BOND.sub(r"stroke='\1'", inside)
    return f"<g fill='none' stroke-width='2' font-family='sans-serif'>{bonds}</g>"
