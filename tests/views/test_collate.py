"""Batches out of one gather are those that a loop over molecules fills in."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import molfusion.views as views
from molfusion.batch import Geometry, Ragged, Record, spread
from molfusion.chem.parse import canonical, parse
from molfusion.data.dataset import MoleculeDataset
from molfusion.data.store import Entry, ViewStore
from molfusion.views import View, ViewError

SMILES = ["C", "CCO", "c1ccccc1C(=O)O", "[Na+].[Cl-]", "N[C@@H](C)C(=O)O", "C1CC1.O", "CC(C)CC1=CC=CC=C1", "O=C=O"]
VIEWS = [
    views.ConformerView(), views.ConformerView(max_atoms=4), views.OptionalConformerView(),
    views.FingerprintView(bits=64), views.GraphView(),
    views.RelationsView(), views.E3FPView(), views.SelfiesView(unknown="unk"), views.ImageView(width=40, height=30),
    views.TokensView("abc"), views.TokensView("abc", "bfloat16"),
]  # fmt: skip


def records():
    rng = np.random.default_rng(0)
    out = []
    for smiles in SMILES:
        mol = parse(smiles)
        numbers = np.array([a.GetAtomicNum() for a in mol.GetAtoms()], np.uint8)
        positions = rng.normal(scale=2, size=(len(numbers), 3)).astype(np.float32)
        out.append(Record(smiles, smiles, canonical(mol), Geometry(numbers, positions)))
    return out


def features(view, record):
    if isinstance(view, views.TokensView):
        generator = torch.Generator().manual_seed(len(record.smiles))
        return view.pack(torch.randn(len(record.smiles), 5, generator=generator))
    if isinstance(view, views.OptionalConformerView) and len(record.smiles) > 6:
        record = replace(record, geometry=Geometry(record.geometry.numbers, record.geometry.positions * np.nan))  # has none
    return view.featurise(record)


def filled(view, root, shards=3):
    """A store of them all in several shards, none in the records' order."""
    store = ViewStore(root, view)
    some = [Entry(view.key(r), r.id, r.smiles, "ok", "", 0.0, features(view, r)) for r in records()]
    for part in range(shards):
        store.append(some[part::shards][::-1])
    return store


# -- the oracle: one molecule after the other ------------------------------------------------------------


def padded(rows, fill, dtype):
    longest = max(len(r) for r in rows)
    out = torch.full((len(rows), longest, *rows[0].shape[1:]), fill, dtype=dtype)
    mask = torch.zeros(len(rows), longest, dtype=torch.bool)
    for i, row in enumerate(rows):
        for j, values in enumerate(row.tolist()):
            out[i, j] = torch.tensor(values, dtype=dtype)
            mask[i, j] = True
    return out, mask


def expected(view, items):
    if isinstance(view, views.ConformerView | views.OptionalConformerView):
        numbers, mask = padded([i["numbers"] for i in items], 0, torch.int64)
        return {"numbers": numbers, "positions": padded([i["positions"] for i in items], 0, torch.float32)[0], "mask": mask}
    if isinstance(view, views.E3FPView | views.SelfiesView):
        ids, mask = padded([i["ids"] for i in items], -1 if isinstance(view, views.E3FPView) else 0, torch.int64)
        return {"ids": ids, "mask": mask}
    if isinstance(view, views.TokensView):
        x, mask = padded([i["x"] for i in items], 0, torch.float32 if view.dtype == "float32" else torch.int16)
        return {"x": x if view.dtype == "float32" else x.view(torch.bfloat16), "mask": mask}
    if isinstance(view, views.FingerprintView):
        counts = torch.zeros(len(items), view.width)
        for row, item in zip(counts, items, strict=True):
            for place, count in zip(item["index"].tolist(), item["count"].tolist(), strict=True):
                row[place] = count
        return {"counts": counts}
    if isinstance(view, views.ImageView):
        return {"pixels": view.collate(items).pixels}
    if isinstance(view, views.GraphView):
        return graphs(items)
    assert isinstance(view, views.RelationsView)
    return relations(items)


def graphs(items):
    x, source, target, bonds, molecule, ptr = [], [], [], [], [], [0]
    for b, item in enumerate(items):
        source += [int(e) + ptr[-1] for e in item["edges"][:, 0]]
        target += [int(e) + ptr[-1] for e in item["edges"][:, 1]]
        x += item["atoms"].tolist()
        bonds += item["bonds"].tolist()
        molecule += [b] * len(item["atoms"])
        ptr.append(ptr[-1] + len(item["atoms"]))
    made = {"x": x, "edge_index": [source, target], "batch": molecule, "ptr": ptr}
    return {k: torch.tensor(v, dtype=torch.int64) for k, v in made.items()} | {
        "edge_attr": torch.tensor(bonds, dtype=torch.int64).reshape(-1, 3)
    }


def relations(items):
    atoms, mask = padded([i["atoms"] + 1 for i in items], 0, torch.uint8)
    n = atoms.shape[1]
    distances = torch.zeros(len(items), n, n, dtype=torch.int16)
    hops = torch.zeros(len(items), n, n, 5, dtype=torch.uint8)
    for b, item in enumerate(items):
        k = len(item["atoms"])
        for i in range(k):
            for j in range(k):
                bonds = int(item["distances"][i * k + j])
                distances[b, i, j] = 1 if i == j else (bonds or 510) + 1
                hops[b, i, j] = torch.from_numpy(item["hops"][i * k + j].copy())
    return {"atoms": atoms, "distances": distances, "hops": hops, "mask": mask}


def check(batch, items, view):
    for name, tensor in expected(view, items).items():
        found = getattr(batch, name)
        assert found.dtype == tensor.dtype, name
        assert torch.equal(found, tensor), name


# -- views -----------------------------------------------------------------------------------------------


def test_every_view_with_a_way_of_its_own_is_here():
    """The others go through `View.collate_flat`, which the image view tests."""
    exported = {c for c in vars(views).values() if isinstance(c, type) and issubclass(c, View) and c.stored}
    assert {c for c in exported if c.collate_flat is not View.collate_flat} <= {type(v) for v in VIEWS}


@pytest.mark.parametrize("view", VIEWS, ids=repr)
@pytest.mark.parametrize("shards", [1, 3])
def test_a_gathered_batch_is_the_looped_one(view, shards, tmp_path):
    store, rng = filled(view, tmp_path, shards), np.random.default_rng(0)
    batches = [[0], [5], list(range(len(SMILES))), *(rng.integers(len(SMILES), size=k).tolist() for k in (2, 5, 20))]
    for chosen in batches:
        drawn = [records()[i] for i in chosen]
        batch = view.collate_flat(store.gather(store.places(drawn)))
        check(batch, [store.get(r) for r in drawn], view)


@pytest.mark.parametrize("view", VIEWS, ids=repr)
def test_collate_takes_molecules_one_by_one_too(view):
    items = [features(view, r) for r in records()]
    check(view.collate(items), items, view)


def test_the_dataset_shows_the_same(tmp_path):
    view = views.RelationsView()
    store = filled(view, tmp_path)
    dataset = MoleculeDataset(records(), {view: store}, [view])
    batch = dataset.__getitems__([(6, 0), (0, 0), (3, 5)])
    assert batch.ids == [SMILES[6], SMILES[0], SMILES[3]]
    check(batch[view], [store.get(records()[i]) for i in (6, 0, 3)], view)


# -- the store ---------------------------------------------------------------------------------------------


def test_places_outlive_later_shards(tmp_path):
    view = views.ConformerView()
    entries = [Entry(view.key(r), r.id, r.smiles, "ok", "", 0.0, view.featurise(r)) for r in records()]
    store = ViewStore(tmp_path, view)
    store.append(entries[:3])
    places = store.places(records())
    assert (places >= 0).tolist() == [True] * 3 + [False] * 5
    for entry in entries[3:]:
        store.append([entry])
    assert store.places(records())[:3].tolist() == places[:3].tolist()
    check(view.collate_flat(store.gather(places[:3])), [store.get(r) for r in records()[:3]], view)


def test_a_molecule_that_failed_is_told_with_its_reason(tmp_path):
    view = views.ConformerView()
    store = ViewStore(tmp_path, view)
    good, bad = records()[:2]
    store.append([Entry(view.key(good), "", "", "ok", "", 0.0, view.featurise(good))])
    store.append([Entry(view.key(bad), "", "", "failed", "too round", 0.0)])
    assert store.places([good, bad])[1] == -1
    dataset = MoleculeDataset([good, bad], {view: store}, [view])
    with pytest.raises(ViewError, match="failed: too round"):
        dataset.__getitems__([(0, 0), (1, 0)])


def test_a_molecule_added_after_the_dataset_was_made_is_found(tmp_path):
    view = views.ConformerView()
    store = ViewStore(tmp_path, view)
    dataset = MoleculeDataset(records(), {view: store}, [view])
    with pytest.raises(KeyError, match="molfusion prepare"):
        dataset[1]
    record = records()[1]
    store.append([Entry(view.key(record), "", "", "ok", "", 0.0, view.featurise(record))])
    assert dataset[1][view].numbers.tolist() == [[6, 6, 8]]


# -- ragged arrays -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
@pytest.mark.parametrize("seed", range(5))
def test_padding_at_random(shape, seed):
    rng = np.random.default_rng(seed)
    arrays = [rng.integers(1, 100, size=(n, *shape)).astype(np.int16) for n in rng.integers(0, 6, size=rng.integers(1, 9))]
    ragged = Ragged.of(arrays)
    longest = max(len(a) for a in arrays)
    out = ragged.padded(-1, np.int64)
    assert out.shape == (len(arrays), longest, *shape)
    assert out.dtype == np.int64
    for row, seen, array, again in zip(out, ragged.mask(), arrays, ragged.rows(), strict=True):
        assert row[: len(array)].tolist() == again.tolist() == array.tolist()
        assert (row[len(array) :] == -1).all()
        assert seen.tolist() == [True] * len(array) + [False] * (longest - len(array))


def test_spread_by_hand():
    mask = np.array([[True, False], [False, True]])
    assert spread(np.array([5, 6]), mask, 9).tolist() == [[5, 9], [9, 6]]
    assert spread(np.array([[1.5, 2], [3, 4]], np.float32), mask).tolist() == [[[1.5, 2], [0, 0]], [[0, 0], [3, 4]]]


def test_texts_cut_to_sentences_are_not_looked_up_as_whole_ones(tmp_path):
    view = views.TokensView("abc", of="text")
    record = Record("a", "CCO", "CCO", text="It is one. It is two. It is three.")
    store = ViewStore(tmp_path, view)
    store.append([Entry(view.key(record), "", "", "ok", "", 0.0, view.pack(torch.ones(3, 2)))])
    assert MoleculeDataset([record], {view: store}, [view])[0][view].x.shape == (1, 3, 2)
    with pytest.raises(views.tokens.TokensError, match=r"data\.sentences must not be set"):
        MoleculeDataset([record], {view: store}, [view], sentences=1)[0]
