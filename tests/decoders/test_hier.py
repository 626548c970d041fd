from pathlib import Path

import pytest
import torch
from rdkit import Chem

from molfusion.batch import MoleculeBatch, Record
from molfusion.chem.motifs import kekulised
from molfusion.chem.motifs_assembly import target
from molfusion.chem.motifs_vocabulary import load_vocabulary
from molfusion.decoders import HierDecoder, LatentDecoder
from molfusion.decoders.hier.decoder import VocabularyMismatch
from molfusion.views.base import ViewError
from molfusion.views.motifs import DEMO
from tests.motifs import write_vocabulary

SMILES = ["CCO", "Cc1ccc(O)c(N)c1", "c1ccc2ccccc2c1", "CC(C)(C)C(=O)O", "C", "C1CCC2(CC1)OCCO2"]


@pytest.fixture
def decoder(tmp_path):
    def make(compat=False, **settings):
        torch.manual_seed(0)
        smiles = [s for s in SMILES if not (compat and s == "C")]
        return HierDecoder(8, 32, 16, write_vocabulary(tmp_path, compat, smiles), compat, **settings)

    return make


def batch(model, smiles):
    blank = [""] * len(smiles)
    items = [model.view.featurise(Record("", s, "")) for s in smiles]
    return MoleculeBatch(blank, list(smiles), *[blank] * 5, torch.zeros(len(smiles), 0), {model.view: model.view.collate(items)})


@pytest.mark.parametrize("compat", [False, True])
def test_losses_of_a_batch_are_the_mean_of_each(decoder, compat):
    """What a molecule is told apart from depends on it alone (as released, padding counts among the candidates)."""
    model = decoder(compat)
    assert isinstance(model, LatentDecoder)
    smiles = [s for s in SMILES if not (compat and s == "C")]
    z = torch.randn(len(smiles), 8)
    together = model.parts(z, batch(model, smiles))
    alone = [model.parts(z[i : i + 1], batch(model, [s])) for i, s in enumerate(smiles)]
    for name, value in together.items():
        if not (compat and name == "assembly"):
            torch.testing.assert_close(value, torch.stack([one[name] for one in alone]).mean(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model.reconstruction(z, batch(model, smiles)), sum(together.values()))
    assert set(together) == {"topology", "motif", "attachment", "assembly"}


def test_order_of_atoms_does_not_matter(decoder):
    model = decoder()
    z = torch.randn(1, 8)
    expected = model.reconstruction(z, batch(model, ["Cc1ccc(O)c(N)c1"]))
    mol = Chem.MolFromSmiles("Cc1ccc(O)c(N)c1")
    for k in range(3):
        order = torch.randperm(mol.GetNumAtoms(), generator=torch.Generator().manual_seed(k)).tolist()
        other = Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)
        torch.testing.assert_close(model.reconstruction(z, batch(model, [other])), expected)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_gradients(decoder, precision):
    for compat in (False, True):
        model = decoder(compat)
        smiles = [s for s in SMILES if not (compat and s == "C")]
        z = torch.randn(len(smiles), 8, requires_grad=True)
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            loss = model.reconstruction(z, batch(model, smiles))
        assert loss.dtype == torch.float32
        loss.backward()
        for name, parameter in [("z", z), *model.named_parameters()]:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


def test_padding_is_no_candidate(decoder):
    """Two molecules with unequally many candidates: the shorter row's rest is impossible."""
    model = decoder()
    given = batch(model, SMILES)
    said = model.predict(torch.randn(len(SMILES), 8), given[model.view])
    steps = given[model.view]
    for q in range(len(steps.question_molecule)):
        n = int((steps.candidate[:, 0] == q).sum())
        assert torch.isfinite(said.assembly[q, :n]).all()
        assert torch.isneginf(said.assembly[q, n:]).all()
    assert torch.isfinite(model.parts(torch.zeros(len(SMILES), 8), given)["assembly"])


@pytest.mark.parametrize("compat", [False, True])
def test_writing_never_fails(decoder, compat):
    """Whatever the latent: a molecule RDKit accepts, or None."""
    model = decoder(compat, max_steps=12).eval()
    nan, inf = torch.full((1, 8), float("nan")), torch.full((1, 8), float("inf"))
    latents = torch.cat([torch.randn(24, 8), 1e6 * torch.randn(4, 8), torch.zeros(1, 8), nan, inf])
    for seed in range(3):
        torch.manual_seed(seed)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
        found = model.decode(latents)
        assert len(found) == len(latents)
        assert all(s is None or Chem.MolFromSmiles(s) is not None for s in found)
        assert len({s for s in found if s}) > 3
    assert model.decode(latents[:0]) == []


def test_molecules_are_written_alone_as_together(decoder):
    model = decoder(max_steps=8).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    z = torch.randn(6, 8)
    assert [model.decode(row[None])[0] for row in z] == model.decode(z)


def test_stopped_it_keeps_what_is_complete(decoder):
    model, z = decoder(max_steps=40).eval(), torch.randn(12, 8)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    whole = model.decode(z)
    assert model.decode(z, lambda: False) == whole
    assert model.decode(z, lambda: True) == [None] * 12
    asked = iter(range(100))
    some = model.decode(z, lambda: next(asked) == 6)
    assert all(smiles in (None, complete) for smiles, complete in zip(some, whole, strict=True))
    assert 0 < sum(smiles is not None for smiles in some) < sum(smiles is not None for smiles in whole)


def test_vocabulary_must_be_of_the_right_kind(tmp_path):
    with pytest.raises(VocabularyMismatch, match="without --compat"):
        HierDecoder(vocabulary=DEMO, compat=True)
    with pytest.raises(VocabularyMismatch, match="with --compat"):
        HierDecoder(vocabulary=write_vocabulary(tmp_path, True))


def test_only_root_pairs_begin_and_only_glued_ones_follow(decoder):
    words = load_vocabulary(Path(decoder().view.vocabulary))
    by_pair = dict(zip(words.pairs, zip(words.roots, words.children, strict=True), strict=True))
    assert by_pair["C", "C"] == (True, True)
    assert by_pair["CO", "O[CH3:1]"] == (False, True)
    assert by_pair["CC", "C[CH3:2]"] == (True, False)


@pytest.mark.slow
def test_learns_molecules_by_heart():
    """A decoder that is given 20 molecules long enough writes all of them (at least 95 %)."""
    import pyarrow.parquet as pq

    from molfusion.paths import package_path

    torch.manual_seed(0)
    model = HierDecoder(16, 48, 24)
    rows = pq.read_table(package_path("package://molfusion/demo/pairs.parquet")).column("smiles").to_pylist()
    items, wanted = [], []
    for smiles in dict.fromkeys(rows[::7]):
        mol = None if "." in smiles or len(smiles) > 40 else target(kekulised(smiles, compat=False))
        if mol and mol not in wanted:
            try:
                items.append(model.view.featurise(Record("", smiles, "")))
            except ViewError:
                continue
            wanted.append(mol)
        if len(wanted) == 20:
            break
    assert len(wanted) == 20
    blank = [""] * len(wanted)
    given = MoleculeBatch(*[blank] * 7, torch.zeros(len(wanted), 0), {model.view: model.view.collate(items)})
    z = torch.randn(len(wanted), 16)
    optimizer = torch.optim.Adam(model.parameters(), lr=8e-3)
    for step in range(120):
        for group in optimizer.param_groups:
            group["lr"] = 8e-3 * (1 - step / 124)
        optimizer.zero_grad()
        model.reconstruction(z, given).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 20.0)
        optimizer.step()
    found = model.eval().decode(z)
    wrong = [pair for pair in zip(found, wanted, strict=True) if pair[0] != pair[1]]
    assert len(wrong) <= 1, wrong


