from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem

from molfusion.chem.scaffold import scaffold
from molfusion.data import CardError, MoleculeData
from molfusion.data.balance import SOURCES
from molfusion.views import ConformerView, FingerprintView, RelationsView, TextView, TokensView


def ready(card, **settings):
    data = MoleculeData(str(card), **settings)
    data.prepare_data()
    data.setup()
    return data


def test_batches_carry_what_was_asked_for(card):
    view, text = FingerprintView(bits=64), TextView()
    data = ready(card, views=frozenset({view, text}), batch_size=4)
    batch = next(iter(data.train_dataloader()))
    assert len(batch) == 4
    assert batch[view].counts.shape == (4, 128)
    assert batch[text].ids.shape[0] == 4
    assert batch.targets.shape == (4, 2)
    assert {s: len(r) for s, r in data.records.items()} == {"train": 16, "val": 4, "test": 4}


def test_missing_targets_are_nan(card):
    values = ready(card, views=frozenset()).target_values("train")
    assert np.isnan(values[3, 0])
    assert np.isfinite(values).sum() == 31


def test_targets_can_be_chosen(card):
    data = ready(card, targets=["class"])
    assert [t.name for t in data.targets] == ["class"]
    assert data.target_values("train").shape == (16, 1)
    with pytest.raises(CardError, match="no target 'klass'; it has: number, class"):
        MoleculeData(str(card), targets=["klass"])


def test_population_is_what_all_views_have(tmp_path):
    (tmp_path / "d.csv").write_text("s\nCCO\nC[C@H]1[C@@H]2[C@H]1[C@H]2C\nCCC\n")
    path = tmp_path / "c.yaml"
    path.write_text("name: c\nlicence: MIT\nfiles: {train: {path: d.csv}}\ncolumns: {smiles: s}\n")
    blind = ready(path, views=frozenset({FingerprintView()}))
    assert len(blind.records["train"]) == 3
    fair = ready(path, views=frozenset({FingerprintView()}), population=[ConformerView()])
    assert len(fair.records["train"]) == 2
    assert "no conformer" in fair.dropped[0].reason


def test_nobody_left(tmp_path):
    (tmp_path / "d.csv").write_text("s\nC[C@H]1[C@@H]2[C@H]1[C@H]2C\n")
    path = tmp_path / "c.yaml"
    path.write_text("name: c\nlicence: MIT\nfiles: {train: {path: d.csv}}\ncolumns: {smiles: s}\n")
    with pytest.raises(CardError, match=r"no training molecule is left: 1 × .*no conformer"):
        ready(path, views=frozenset({ConformerView()}))


def test_train_fraction_is_seeded(card):
    def chosen(**settings):
        return [r.id for r in ready(card, train_fraction=0.5, **settings).records["train"]]

    assert len(chosen()) == 8
    assert chosen() == chosen()
    assert chosen() != chosen(seed=1)
    with pytest.raises(ValueError, match="train_fraction"):
        MoleculeData(str(card), train_fraction=0)


def test_sentences_are_drawn_anew_each_epoch_and_never_in_evaluation(card):
    data = ready(card, views=frozenset({TextView()}), batch_size=16, sentences=1)
    train = data.train_dataloader()
    first = dict(zip(*(lambda b: (b.ids, b.texts))(next(iter(train))), strict=True))
    train.order.set_epoch(1)
    second = dict(zip(*(lambda b: (b.ids, b.texts))(next(iter(train))), strict=True))
    assert all(t.count(".") == 1 for t in first.values())
    assert first != second
    train.order.set_epoch(0)
    assert dict(zip(*(lambda b: (b.ids, b.texts))(next(iter(train))), strict=True)) == first
    assert all(t.count(".") == 2 for b in data.test_dataloader() for t in b.texts)


def test_scopes_are_added_only_where_text_is_read():
    silent = ready("demo", views=frozenset({FingerprintView()}))
    told = ready("demo", views=frozenset({FingerprintView(), TextView()}))
    assert len(silent.val_dataloader().dataset) == len(silent.records["val"])
    scoped = told.val_dataloader().dataset.records
    assert {r.scope for r in scoped} == {"all", "2d", "ez", "3d", "chi"}
    chi = [r for r in scoped if r.scope == "chi"]
    assert all(r.pool for r in chi)


def test_batches_of_like_size_pad_less(card):
    def longest(alike):
        data = MoleculeData(str(card), frozenset({ConformerView()}), batch_size=4, alike=alike)
        data.prepare_data()
        data.setup()
        batches = list(data.train_dataloader())
        assert sorted(i for b in batches for i in b.ids) == sorted(r.id for r in data.records["train"])
        return sum(len(b) * b[ConformerView()].mask.shape[1] ** 2 for b in batches)

    assert longest("auto") == longest("atoms") < longest("none")


def test_by_default_batches_are_alike_in_what_the_views_pad(card):
    pairs, text = RelationsView(), TextView(length=512)
    for views, by in (({pairs}, "atoms"), ({text}, "text"), ({pairs, text}, "both"), ({FingerprintView()}, "none")):
        auto, said = (ready(str(card), views=frozenset(views), batch_size=2, alike=a) for a in ("auto", by))
        assert auto._lengths(auto.records["train"]) == said._lengths(said.records["train"])
    atoms, texts = ready(str(card), views=frozenset({pairs, text}))._lengths(auto.records["train"])
    assert atoms is not None
    assert texts is not None
    assert atoms != texts


def test_a_cap_wants_batches_by_atoms(card):
    with pytest.raises(ValueError, match="set alike to 'atoms' or 'both'"):
        MoleculeData(str(card), alike="text", most_pairs=100)


def test_batches_of_like_texts_go_by_tokens(card, cache):
    """A short text of hyphens has more tokens than a long one of common words."""
    view = TextView(length=512)
    data = MoleculeData(str(card), frozenset({view}), batch_size=2, alike="text")
    data.setup()
    records = [replace(r, text=t) for r, t in zip(data.records["train"], ["-" * 40, "it is a carbon " * 4], strict=False)]
    assert len(records[0].text) < len(records[1].text)
    assert len(view.featurise(records[0])["ids"]) > len(view.featurise(records[1])["ids"])
    found = data._lengths(records)
    assert found == ([len(view.featurise(r)["ids"]) for r in records], None)
    assert TokensView("x", pads="text", source=view).sized_by() == view


def test_larger_molecules_can_be_left_out(card):
    """Instead of what the card says; its digest then is another."""
    small, whole = (MoleculeData(str(card), max_heavy_atoms=n) for n in (4, None))
    for data in (small, whole):
        data.prepare_data()
        data.setup()
    names = {r.smiles for records in small.records.values() for r in records}
    assert "CCCO" in names
    assert "c1ccccc1" not in names
    assert len(small.dropped) - len(whole.dropped) == sum(map(len, whole.records.values())) - len(names)
    assert small.card.digest() != whole.card.digest()


def test_questions_by_their_sources(cache):
    """Of the demo's questions four in seven are of quantum chemistry; a power of 0 asks of both kinds alike."""

    def drawn(**settings):
        data = ready("demo_questions", views=frozenset(), batch_size=50, **settings)
        task = {r.id: r.task for r in data.records["train"]}
        assert set(task.values()) == {"Dipole Moment", "HOMO", "LUMO", "HOMO-LUMO Gap", "LogP", "Molecular Weight",
                                      "Topological Polar Surface Area"}  # fmt: skip
        ids = [i for b in data.train_dataloader() for i in b.ids]
        return ids, sum(SOURCES[task[i]] == "computed" for i in ids) / len(ids)

    plain, share = drawn()
    assert len(set(plain)) == len(plain)
    assert share == pytest.approx(3 / 7, abs=0.02)
    asked, share = drawn(balance=0.0)
    assert len(set(asked)) < len(asked) == len(plain)
    assert share == pytest.approx(1 / 2, abs=0.04)
    for wrong in ({"balance": -1.0}, {"balance": 0.25, "together": True}):
        with pytest.raises(ValueError, match="balance is"):
            MoleculeData("demo_questions", **wrong)


def test_sizes_by_split():
    data = ready("demo", views=frozenset(), atoms={"train": [8, 12], "test": [20, 30]})
    sizes = {split: {Chem.MolFromSmiles(r.smiles).GetNumHeavyAtoms() for r in kept} for split, kept in data.records.items()}
    assert (min(sizes["train"]), max(sizes["train"])) == (8, 12)
    assert min(sizes["test"]) == 20
    assert min(sizes["val"]) < 12 < 20 < max(sizes["val"])
    assert "heavy atoms, train keeps 8 to 12" in {d.reason.partition(" ")[2] for d in data.dropped}


def test_chemistry_by_split():
    """Sulfur is met in the test alone."""
    data = ready("demo", views=frozenset(), lacks={"train": "[#16]", "val": "[#16]"}, contains={"test": "[#16]"})
    with_sulfur = {split: sum("S" in r.smiles or "s" in r.smiles for r in kept) for split, kept in data.records.items()}
    assert with_sulfur == {"train": 0, "val": 0, "test": len(data.records["test"])}
    assert len(data.records["test"]) > 20
    reasons = {d.reason for d in data.dropped}
    assert {"with [#16], which train leaves out", "without [#16], which test asks for"} <= reasons


def test_split_otherwise():
    """At random, scaffolds of the test are met in training; the card's own split keeps them apart."""
    for split, met in ((None, False), ("random", True), ("scaffold", False)):
        data = ready("demo", views=frozenset(), split=split)
        known = {name: {scaffold(r.canonical) for r in kept} - {""} for name, kept in data.records.items()}
        assert bool(known["train"] & known["test"]) is met


def test_pools_of_near_molecules():
    data = ready("demo", views=frozenset({TextView()}), near=["stereo"])
    shown = [r for r in data.test_dataloader().dataset.records if r.scope == "stereo"]
    assert 0 < len({r.canonical for r in shown}) == len(shown)
    assert all(r.pool for r in shown)


def test_captions_of_one_kind():
    data = ready("demo", views=frozenset({TextView()}), told={"test": ["formula", "chi"]})
    told = {split: {f.kind if f.tag != "chi" else "chi" for r in kept for f in r.facts} for split, kept in data.records.items()}
    assert told["test"] == {"formula", "chi"}
    assert len(told["train"]) > 5
    assert all(r.facts and r.text == " ".join(f.text for f in r.facts) for r in data.records["test"])
    assert {r.scope for r in data.test_dataloader().dataset.records} == {"all", "2d", "chi"}


def test_one_task_of_questions():
    data = ready("demo_questions", views=frozenset(), told={"test": ["LogP", "HOMO"]})
    assert {r.task for r in data.records["test"]} == {"LogP", "HOMO"}
    assert len({r.task for r in data.records["train"]}) == 7


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"atoms": {"tset": [1, 2]}}, "there is no split 'tset'; there are train, val, test"),
     ({"atoms": {"test": [5, 2]}}, r"atoms.test is \[5, 2\]: expected the fewest and the most"),
     ({"told": {"all": ["x"]}}, "told: there is no split 'all'"),
     ({"lacks": {"test": "[S"}}, r"lacks.test is '\[S': expected SMARTS"),
     ({"near": ["twins"]}, "near: there are no pools 'twins'")],
)  # fmt: skip
def test_parts_that_make_no_sense(settings, message):
    with pytest.raises(CardError, match=message):
        MoleculeData("demo", **settings)


def test_a_part_without_anybody():
    with pytest.raises(CardError, match=r"no training molecule is left: \d+ × 'nothing told of colour'"):
        ready("demo", views=frozenset(), told={"train": ["colour"], "val": ["colour"], "test": ["colour"]})
