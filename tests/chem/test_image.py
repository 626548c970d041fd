import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from rdkit.Chem import Draw

from molfusion.chem.image import draw
from molfusion.chem.parse import parse


def pixels(png):
    return np.array(Image.open(BytesIO(png)).convert("RGB"))


def test_a_png_of_the_size_asked_for():
    png = draw(parse("CCO"), 120, 80)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", png[16:24]) == (120, 80)
    assert b"rdkitPKL" not in png  # no pickled molecule inside


def test_white_ground_black_bonds_red_oxygen():
    for smiles, oxygen in (("CCO", True), ("CCC", False)):
        found = pixels(draw(parse(smiles), 200, 200)).reshape(-1, 3).astype(int)
        assert (found == 255).all(1).mean() > 0.8
        assert (found.sum(1) < 60).any()
        red, green, blue = found.T
        assert ((red > 200) & (green < 60) & (blue < 60)).any() == oxygen


@pytest.mark.parametrize("smiles", ["CC(=O)Oc1ccccc1C(=O)O", "C[C@H](O)c1ccccc1", "[Na+].[Cl-]", "[NH3]->[Pt](Cl)Cl"])
def test_the_pixels_of_rdkits_grid(smiles):
    mol = parse(smiles)
    grid = Draw.MolsToGridImage([mol], molsPerRow=1, subImgSize=(300, 200))
    assert np.array_equal(pixels(draw(mol, 300, 200)), np.array(grid.convert("RGB")))


def test_the_same_bytes_each_time():
    assert draw(parse("c1ccncc1"), 100, 100) == draw(parse("c1ccncc1"), 100, 100)
