from rdkit.Chem import rdFingerprintGenerator as g

from molfusion.chem.fingerprint import counts
from molfusion.chem.parse import parse


def test_counts_are_rdkits():
    mol = parse("CC(=O)Oc1ccccc1C(=O)O")
    expected = g.GetMorganGenerator(radius=2, fpSize=1024).GetCountFingerprint(mol).GetNonzeroElements()
    index, count = counts(mol, "ecfp", 1024)
    assert dict(zip(index.tolist(), count.tolist(), strict=True)) == expected
    assert index.tolist() == sorted(expected)
    expected = g.GetAtomPairGenerator(fpSize=512).GetCountFingerprint(mol).GetNonzeroElements()
    index, count = counts(mol, "atompair", 512)
    assert dict(zip(index.tolist(), count.tolist(), strict=True)) == expected
