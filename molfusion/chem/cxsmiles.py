"""SMILES with coordinates behind them (ChemAxon's extension): `CO |(0,0,0;1.4,0,0)|`."""

from __future__ import annotations

from rdkit import Chem

from molfusion.chem.parse import ChemError, parse
from molfusion.chem.sdf import Entry, entry_of


def read_cxsmiles(text: str) -> Entry:
    """The molecule, and the coordinates of all its atoms where three are given for each.

    Raises:
        ChemError: no molecule, or an extension that RDKit cannot read.
    """
    options = Chem.SmilesParserParams()
    options.removeHs = False
    options.strictCXSMILES = True
    try:
        mol = Chem.MolFromSmiles(text, options)
    except RuntimeError as error:
        raise ChemError(f"not a CXSMILES: {text!r}: {error}") from error
    if mol is None:
        parse(text.partition(" ")[0])  # says why
        raise ChemError(f"not a CXSMILES: {text!r}")
    return entry_of(mol, mol.GetNumConformers() > 0 and mol.GetConformer().Is3D())
