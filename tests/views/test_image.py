from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from molfusion.batch import Record
from molfusion.chem.corrupt import Corruption
from molfusion.chem.image import Style
from molfusion.data import MoleculeData
from molfusion.data.store import Entry, ViewStore
from molfusion.views import ConformerView, ViewError
from molfusion.views.e3fp import E3FPView
from molfusion.views.image import ImageView, tile_grid


def record(smiles):
    return Record(smiles, smiles, smiles)


def png(array, mode="RGB"):
    out = BytesIO()
    Image.fromarray(array.astype(np.uint8), mode=None).convert(mode).save(out, format="png")
    return {"png": np.frombuffer(out.getvalue(), np.uint8)}


def test_collate_decodes():
    red = np.zeros((2, 3, 3))
    red[0, 2] = [255, 0, 51]
    batch = ImageView(3, 2).collate([png(red), png(np.full((2, 3, 3), 255))])
    assert batch.pixels.dtype == torch.uint8
    assert batch.pixels.shape == (2, 2, 3, 3)
    assert batch.pixels[0, 0, 2].tolist() == [255, 0, 51]
    numbers = batch.normalise()
    assert numbers.shape == (2, 3, 2, 3)
    assert numbers[0, :, 0, 2].tolist() == pytest.approx([1, -1, -0.6])
    assert (numbers[1] == 1).all()
    assert batch.tiles is None
    assert batch.normalise_tiles() is None
    assert batch.pixels[0, 0, 2].tolist() == [255, 0, 51]  # normalising leaves the bytes alone


def test_four_channels_become_three():
    found = ImageView(2, 2).collate([png(np.full((2, 2, 3), 7), "RGBA")])
    assert found.pixels.tolist() == [[[[7, 7, 7]] * 2] * 2]


def test_drawings_differ_by_molecule_and_survive_the_store(tmp_path):
    view = ImageView(64, 48)
    records = [record("CCO"), record("c1ccccc1")]
    store = ViewStore(tmp_path, view)
    store.append([Entry(view.key(r), r.id, r.smiles, "ok", "", 0.0, view.featurise(r)) for r in records])
    batch = view.collate([ViewStore(tmp_path, view).get(r) for r in records])
    assert batch.pixels.shape == (2, 48, 64, 3)
    assert not torch.equal(batch.pixels[0], batch.pixels[1])
    assert torch.equal(batch.pixels, view.collate([view.featurise(r) for r in records]).pixels)
    moved = batch.to("cpu")
    assert moved.grid == (1, 1)
    assert moved.tiles is None


@pytest.mark.parametrize(
    ("size", "grid"),
    [((1024, 1024), (2, 2)), ((1200, 700), (3, 2)), ((2000, 500), (4, 1)), ((700, 1000), (2, 3)), ((640, 640), (1, 1)),
     ((641, 640), (2, 2)), ((500, 300), (1, 1)), ((10000, 100), (6, 1))],
)  # fmt: skip
def test_grids(size, grid):
    assert tile_grid(*size) == grid


def test_tiles_row_by_row():
    quarters = np.zeros((1024, 1024, 3))
    quarters[:512, 512:] = 100  # upper right
    quarters[512:, :512] = 200  # lower left
    batch = ImageView(tiling="deepseek").collate([png(quarters)] * 2)
    assert batch.pixels.shape == (2, 1024, 1024, 3)
    assert batch.tiles.shape == (2, 4, 640, 640, 3)
    assert batch.grid == (2, 2)
    assert batch.tiles[1, :, 320, 320, 0].tolist() == [0, 100, 200, 0]


def test_a_small_image_is_padded_with_grey_and_not_cut():
    batch = ImageView(500, 250, tiling="deepseek").collate([png(np.zeros((250, 500, 3)))])
    assert batch.pixels.shape == (1, 1024, 1024, 3)
    assert batch.pixels[0, 0, 0].tolist() == [127, 127, 127]
    assert batch.pixels[0, 512, 512].tolist() == [0, 0, 0]
    assert batch.tiles is None


@pytest.mark.parametrize(
    "smiles", ["[He]", "[Na+].[Cl-]", "[NH3]->[Pt](Cl)Cl", "[Fe+2].[cH-]1cccc1", "[CH3]", "*C", "[13CH3][2H]", "C" * 300]
)
def test_odd_molecules_are_drawn(smiles):
    view = ImageView(200, 200)
    found = view.collate([view.featurise(record(smiles))]).pixels
    assert found.shape == (1, 200, 200, 3)
    assert (found < 128).any()


def test_unparsable():
    with pytest.raises(ViewError, match="not a SMILES"):
        ImageView().featurise(record("(("))


# -- other looks, and bad images ---------------------------------------------------------------------


def gallery():
    plain = ImageView(96, 96)
    return {
        "looks": [replace(plain, style=Style(looks=looks)) for looks in ("rdkit", "bw", "acs1996", "dark", "comic")],
        "lines": [replace(plain, style=Style(line_width=w)) for w in (1, 2, 5)],
        "labels": [replace(plain, style=Style(labels=written)) for written in (False, True)],
        "rotation": [replace(plain, style=Style(rotation=angle)) for angle in (0, 90)],
        "corruption": [replace(plain, corruption=c) for c in (Corruption(), Corruption(noise=0.1), Corruption(jpeg=10))],
    }


@pytest.mark.parametrize("axis", gallery())
def test_styles_and_corruptions_change_the_picture(axis):
    views = gallery()[axis]
    pictures = [v.collate([v.featurise(record("C[C@H](O)Nc1ccc(O)cc1"))]).pixels for v in views]
    for i, one in enumerate(pictures):
        for other in pictures[:i]:
            assert not torch.equal(one, other)


def test_the_default_is_rdkits_and_two_pixels_wide():
    view = ImageView(96, 96)
    explicit = replace(view, style=Style(line_width=2))
    assert torch.equal(*(v.collate([v.featurise(record("CCO"))]).pixels for v in (view, explicit)))


def test_thick_lines_are_thick():
    ink = [(v.collate([v.featurise(record("CCCC"))]).pixels < 128).sum() for v in gallery()["lines"]]
    assert ink[0] < ink[1] < ink[2]


def test_one_drawing_in_the_store_for_all_that_is_done_to_it():
    view = ImageView(96, 96)
    same = [replace(view, tiling="whole", whole=64), replace(view, corruption=Corruption(noise=0.1)), replace(view, tile=32)]
    assert {v.name() for v in same} == {view.name()}
    assert len({view, *same}) == 4
    assert replace(view, style=Style(looks="bw")).name() != view.name()
    assert ImageView(96, 97).name() != view.name()


def test_whole_is_never_cut():
    batch = ImageView(90, 60, tiling="whole", whole=32, tile=16).collate([png(np.zeros((60, 90, 3)))])
    assert batch.pixels.shape == (1, 32, 32, 3)
    assert batch.tiles is None
    assert batch.pixels[0, 0, 0].tolist() == [127, 127, 127]


@pytest.mark.parametrize("mode", ["L", "P", "1"])
def test_grey_and_palettes(mode):
    array = np.full((2, 2, 3), 255)
    array[0, 0] = 0
    found = ImageView(2, 2).collate([png(array, mode)]).pixels
    assert found[0, 0, 0].tolist() == [0, 0, 0]
    assert found[0, 1, 1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_is_white(mode):
    image = Image.new(mode, (2, 2), (0,) * len(mode))  # black under full transparency
    out = BytesIO()
    image.save(out, format="png")
    assert (ImageView(2, 2).collate([{"png": np.frombuffer(out.getvalue(), np.uint8)}]).pixels == 255).all()


def test_an_image_of_another_size():
    with pytest.raises(ViewError, match="an image of 3 × 2 pixels, expected 64 × 64"):
        ImageView(64, 64).collate([png(np.zeros((2, 3, 3)))])


def test_an_empty_drawing(monkeypatch):
    blank = png(np.full((512, 512, 3), 255))["png"].tobytes()
    monkeypatch.setattr("molfusion.views.image.draw", lambda *a: blank)
    with pytest.raises(ViewError, match="the drawing is empty"):
        ImageView(512, 512).featurise(record("C"))


def test_no_small_drawing_is_taken_for_empty():
    for smiles in ("C", "[H+]", "[He]", "*"):
        ImageView(1024, 1024).featurise(record(smiles))


# -- bonds out of the page, and what else a molecule shows -------------------------------------------


def pixels(smiles, **settings):
    view = ImageView(300, 300, **settings)
    return view.collate([view.featurise(record(smiles))]).pixels[0]


def test_wedges_and_hashes():
    """A solid wedge has more ink than the bond without stereo; in the mirror it is hashed, which has less than solid."""
    flat, one, other = ((pixels(s) < 128).sum().item() for s in ("CC(F)Cl", "C[C@H](F)Cl", "C[C@@H](F)Cl"))
    assert min(one, other) > flat
    assert one != other


def test_harm_done_to_drawings_leaves_conformer_and_fingerprint_untouched(card):
    """One encoder reads all three; whatever is done to the image, the rest of the batch is the same bytes."""
    harms = [
        {}, {"corruption": Corruption(blur=2.0, noise=0.2, jpeg=10)}, {"style": Style("acs1996", 4.0, 30.0, True)},
        {"width": 50}, {"tiling": "whole", "whole": 32},
    ]  # fmt: skip
    atoms, shells, seen, rest = ConformerView(), E3FPView(), [], []
    for harm in harms:
        image = ImageView(**{"width": 64, "height": 64, **harm})
        data = MoleculeData(str(card), frozenset({image, atoms, shells}), batch_size=8)
        data.prepare_data()
        data.setup()
        batch = next(iter(data.val_dataloader()))
        seen.append(batch[image].pixels)
        rest.append((batch.ids, batch[atoms].positions, batch[atoms].numbers, batch[shells].ids))
    for ids, *arrays in rest[1:]:
        assert ids == rest[0][0]
        assert all(torch.equal(a, b) for a, b in zip(arrays, rest[0][1:], strict=True))
    assert not any(a.shape == seen[0].shape and torch.equal(a, seen[0]) for a in seen[1:])
