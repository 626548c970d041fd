"""Properties that need no model: RDKit computes them from the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rdkit import Chem
from rdkit.Chem import Crippen, Descriptors
from rdkit.Chem import rdMolDescriptors as descriptors

from molfusion.chem.parse import parse


class Calculated(NamedTuple):
    """One property."""

    unit: str
    value: Callable[[Chem.Mol], float]


# Under the names of 3D-MoIT; its LogP is PubChem's XLogP3, this one Wildman and Crippen's.
CALCULATED = {
    "Molecular Weight": Calculated("g/mol", Descriptors.MolWt),
    "LogP": Calculated("", Crippen.MolLogP),
    "Topological Polar Surface Area": Calculated("Å²", descriptors.CalcTPSA),
}


def calculate(name: str, smiles: str) -> float:
    """One of `CALCULATED`, in its unit.

    Raises:
        ChemError: the SMILES is no molecule.
    """
    return float(CALCULATED[name].value(parse(smiles)))
