"""What can be said of a molecule and of one conformer of it, as values."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
from rdkit import Chem
from rdkit.Chem import Crippen
from rdkit.Chem import rdMolDescriptors as descriptors

# Names a chemist would use, with patterns that do not count one group as two.
GROUPS = {
    "carboxylic acid": "[CX3](=O)[OX2H1]",
    "ester": "[CX3;$(C[#6]),$([CX3H1])](=O)[OX2][#6;!$(C=O)]",
    "primary amide": "[CX3;$(C[#6]),$([CX3H1])](=O)[NX3H2]",
    "secondary amide": "[CX3;$(C[#6]),$([CX3H1])](=O)[NX3H1][#6]",
    "tertiary amide": "[CX3;$(C[#6]),$([CX3H1])](=O)[NX3H0]([#6])[#6]",
    "aldehyde": "[CX3H1](=O)[#6]",
    "ketone": "[#6][CX3](=O)[#6]",
    "nitrile": "C#N",
    "nitro group": "[NX3+](=O)[O-]",
    "primary amine": "[NX3;H2;!$(NC=[O,S,N]);!$(NS=O)][#6]",
    "secondary amine": "[NX3;H1;!$(NC=[O,S,N]);!$(NS=O)]([#6])[#6]",
    "tertiary amine": "[NX3;H0;!$(NC=[O,S,N]);!$(NS=O);!$(N=O)]([#6])([#6])[#6]",
    "phenol": "[OX2H]c",
    "alcohol": "[OX2H][CX4]",
    "ether": "[OD2]([#6;!$(C=O)])[#6;!$(C=O)]",
    "sulfonamide": "S(=O)(=O)N",
    "sulfone": "[#6]S(=O)(=O)[#6]",
    "thiol": "[SX2H]",
    "thioether": "[SX2]([#6])[#6]",
    "imine": "[CX3]=[NX2]",
    "azo group": "N=N",
    "thiourea": "[NX3]C(=S)[NX3]",
    "urea": "[NX3]C(=O)[NX3]",
    "carbamate": "[NX3]C(=O)[OX2][#6]",
    "carbonate": "[#6][OX2]C(=O)[OX2][#6]",
    "fluorine": "[F]",
    "chlorine": "[Cl]",
    "bromine": "[Br]",
    "iodine": "[I]",
}
RINGS = {
    "naphthalene": "c1ccc2ccccc2c1",
    "quinoline": "c1ccc2ncccc2c1",
    "indole": "c1ccc2[nH]ccc2c1",
    "purine": "c1ncc2[nH]cnc2n1",
    "benzene": "c1ccccc1",
    "pyridine": "c1ccncc1",
    "pyrimidine": "c1cncnc1",
    "furan": "c1ccoc1",
    "thiophene": "c1ccsc1",
    "pyrrole": "c1cc[nH]c1",
    "cyclohexane": "C1CCCCC1",
    "cyclopentane": "C1CCCC1",
    "piperidine": "C1CCNCC1",
    "morpholine": "C1COCCN1",
}
_SUBSTITUTION = {
    "ortho": "[*;!#1]-!@[a;r6]:[a;r6]-!@[*;!#1]",
    "meta": "[*;!#1]-!@[a;r6]:[a;r6;D2]:[a;r6]-!@[*;!#1]",
    "para": "[*;!#1]-!@[a;r6]1:[a;r6]:[a;r6]:[a;r6](-!@[*;!#1]):[a;r6]:[a;r6]:1",
}
_PATTERNS = {name: Chem.MolFromSmarts(smarts) for name, smarts in {**GROUPS, **RINGS, **_SUBSTITUTION}.items()}

Facts = dict[str, Any]  # kind -> value, in the order they are told


def facts_2d(mol: Chem.Mol) -> Facts:
    """Of the graph alone: the same for every conformer and stereoisomer."""
    logp = Crippen.MolLogP(mol)
    found = {name: len(mol.GetSubstructMatches(_PATTERNS[name])) for name in GROUPS}
    out: Facts = {"formula": descriptors.CalcMolFormula(mol)}
    if any(found.values()):
        out["groups"] = tuple((name, count) for name, count in found.items() if count)
    out["rings"] = (
        descriptors.CalcNumRings(mol),
        descriptors.CalcNumAromaticRings(mol),
        named_rings(mol)[:2],
    )
    substitution = tuple(name for name in _SUBSTITUTION if mol.HasSubstructMatch(_PATTERNS[name]))
    if substitution:
        out["substitution"] = substitution
    out["polarity"] = (
        "hydrophilic" if logp < 0.5 else "moderately lipophilic" if logp < 3 else "strongly lipophilic",
        descriptors.CalcNumHBD(mol),
        10 * round(descriptors.CalcTPSA(mol) / 10),
    )
    out["flexibility"] = descriptors.CalcNumRotatableBonds(mol)
    return out


def named_rings(mol: Chem.Mol) -> tuple[str, ...]:
    """The rings with a name that occur, whether told of or not."""
    return tuple(name for name in RINGS if mol.HasSubstructMatch(_PATTERNS[name]))


def facts_3d(mol: Chem.Mol) -> Facts:
    """Of the conformer (heavy atoms, Å); unchanged by reflection."""
    positions = mol.GetConformer().GetPositions()
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    x, y = descriptors.CalcNPR1(mol), descriptors.CalcNPR2(mol)
    corners = {"rod": (0.0, 1.0), "disc": (0.5, 0.5), "sphere": (1.0, 1.0)}
    out: Facts = {
        "shape": min(corners, key=lambda c: math.dist((x, y), corners[c])),
        "gyration": round(descriptors.CalcRadiusOfGyration(mol), 1),
        "span": round(float(distances.max()), 1),
    }
    bonds = Chem.GetDistanceMatrix(mol)
    if bonds.max() >= 5:
        # End to end of the topologically most distant pair, against a fully stretched chain.
        ends = np.unravel_index(bonds.argmax(), bonds.shape)
        stretch = distances[ends] / (1.27 * bonds[ends])
        out["fold"] = "extended" if stretch > 0.81 else "bent" if stretch > 0.69 else "folded"
    off_plane = descriptors.CalcPBF(mol)
    out["planarity"] = "coplanar" if off_plane < 0.25 else "non-planar" if off_plane < 0.8 else "bulky"
    contact = _contact(mol, distances)
    if contact:
        out["contact"] = contact
    return out


def facts_ez(mol: Chem.Mol) -> Facts:
    """Double bond geometry, read off the coordinates."""
    named = {Chem.BondStereo.STEREOE: "E", Chem.BondStereo.STEREOZ: "Z"}
    found = sorted(named[b.GetStereo()] for b in mol.GetBonds() if b.GetStereo() in named)
    return {"double_bonds": tuple(found)} if found else {}


def facts_chi(mol: Chem.Mol) -> Facts:
    """Handedness, read off the coordinates: how many stereocentres are R and how many S."""
    centres = Chem.FindMolChiralCenters(mol, useLegacyImplementation=False)
    count = Counter(label for _, label in centres if label in "RS")
    return {"stereocentres": (count["R"], count["S"])} if count else {}


def _contact(mol: Chem.Mol, distances: np.ndarray[Any, Any]) -> tuple[str, str, float] | None:
    """How far apart two different groups are that each occur once: nearest heteroatoms, Å."""
    single = []
    for name in GROUPS:
        matches = mol.GetSubstructMatches(_PATTERNS[name])
        if len(matches) == 1:
            hetero = [i for i in matches[0] if mol.GetAtomWithIdx(i).GetAtomicNum() != 6]
            single.append((name, set(matches[0]), hetero or list(matches[0])))
    for i, (first, atoms, a) in enumerate(single):
        for second, others, b in single[i + 1 :]:
            if not atoms & others:
                return first, second, round(float(distances[np.ix_(a, b)].min()), 1)
    return None
