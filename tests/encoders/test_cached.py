"""Tokens written once and read instead of computed: that they are the same, and that nothing else is taken for them."""

import json
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import distribute_tensor

import molfusion.tokens
from molfusion.data.card import load_card
from molfusion.data.datamodule import MoleculeData
from molfusion.data.dataset import MoleculeDataset
from molfusion.data.prepare import prepare
from molfusion.data.store import ViewStore
from molfusion.encoders import CachedTokens, Fingerprint, Frozen, TextEncoder, UniMol
from molfusion.encoders.base import NotApplicable, WeightsError
from molfusion.encoders.cached import encoder_digest
from molfusion.fusion import QFormer
from molfusion.tokens import write_tokens
from molfusion.views.tokens import TokensError
from tests import contract
from tests.tasks.helpers import UNIMOL


def unimol(seed=0, **settings):
    torch.manual_seed(seed)
    return UniMol(**{**UNIMOL["init_args"], **settings}).eval()


@pytest.fixture
def written(card, tmp_path):
    """Writes tokens of an encoder of the hand-made molecules (which have coordinates) into `tmp_path`."""

    def write(encoder, records=None, **settings):
        records = contract.records() if records is None else records
        prepare(records, encoder.views, tmp_path, workers=1)
        return write_tokens(encoder, load_card(str(card)), records, tmp_path, **settings)

    return write


def batch_of(records, encoder, root):
    stores = {v: ViewStore(root, v) for v in encoder.views if v.stored}
    return MoleculeDataset(records, stores, encoder.views).__getitems__([(i, 0) for i in range(len(records))])


# -- tokens ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "loses"), [("float32", 0.0), ("bfloat16", 2**-8), ("float16", 2**-11)])
def test_tokens_are_the_encoders(dtype, loses, written, tmp_path):
    encoder, records = unimol(), contract.records()
    manifest, path = written(encoder, dtype=dtype)
    cached = CachedTokens(unimol(), manifest.encoder, dtype)
    found, expected = cached(batch_of(records, cached, tmp_path)), encoder(batch_of(records, encoder, tmp_path))
    assert torch.equal(found.mask, expected.mask)
    assert found.x.dtype == torch.float32
    assert not found.x.requires_grad
    assert found.x[~found.mask].eq(0).all()
    torch.testing.assert_close(found.x[found.mask], expected.x[expected.mask], atol=5e-6, rtol=loses * 1.01)
    told = json.loads(path.read_text())
    assert (told["molecules"], told["tokens"], told["failed"], told["computed"]) == (6, int(found.mask.sum()), 0, 6)
    assert told["largest_difference"] <= loses * told["largest_value"]
    assert (told["largest_difference"] > 0) == (dtype != "float32")
    assert (told["dim"], told["dtype"], told["card"]) == (32, dtype, "small")
    assert told["provenance"]["versions"]["torch"] == torch.__version__


def test_without_padding_every_bit_is_the_same(written, tmp_path):
    encoder = unimol()
    manifest, _ = written(encoder)
    cached = CachedTokens(unimol(), manifest.encoder)
    for record in contract.records():
        found, expected = cached(batch_of([record], cached, tmp_path)), encoder(batch_of([record], encoder, tmp_path))
        assert torch.equal(found.x, expected.x)


def test_conformers_of_one_molecule_have_their_own(written, tmp_path):
    first, second = (
        contract.records()[1],
        contract.records(shift=0.0, rotation=torch.diag(torch.tensor([1.0, 1, 3])).numpy())[1],
    )
    assert first.smiles == second.smiles
    manifest, _ = written(unimol(), [first, second])
    assert manifest.molecules == 2
    cached = CachedTokens(unimol(), manifest.encoder)
    x, _ = cached(batch_of([first, second], cached, tmp_path))
    assert (x[0] - x[1]).abs().max() > 1e-3
    assert torch.equal(x, unimol()(batch_of([first, second], unimol(), tmp_path)).x)


def test_any_encoder(written, tmp_path):
    """A fusion of stored and cheap views, with the model's own mask."""
    torch.manual_seed(0)
    fused = QFormer(unimol(), queries=3, dim=32, layers=1, heads=2, ffn=32).eval()
    for encoder, tokens in ((fused, 3 * 6), (TextEncoder(dim=16, heads=2, layers=1, reads="smiles").eval(), None)):
        manifest, _ = written(encoder)
        cached = CachedTokens(encoder, manifest.encoder)
        records = contract.records()
        found, expected = cached(batch_of(records, cached, tmp_path)), encoder(batch_of(records, encoder, tmp_path))
        assert torch.equal(found.mask, expected.mask)
        torch.testing.assert_close(found.x[found.mask], expected.x[expected.mask], atol=5e-6, rtol=1e-5)
        assert tokens is None or manifest.tokens == tokens


def test_it_is_a_frozen_encoder():
    cached = CachedTokens(unimol(), "UniMol-0").train()
    assert not cached.encoder.training
    assert not [p for p in cached.parameters() if p.requires_grad]
    assert cached.state_dict().keys() == Frozen(unimol()).state_dict().keys()
    assert {v.pads for v in cached.views} == {"pairs"}  # the same batches as the encoder itself would get
    assert {v.pads for v in CachedTokens(Fingerprint(bits=64), "F-0").views} == {""}


def test_captions_are_kept_by_text(written, tmp_path):
    """Two molecules of one text share its tokens, and they are what the encoder says."""
    text = TextEncoder(dim=16, heads=2, layers=1).eval()
    records = contract.records()
    records.append(replace(records[0], id="again", smiles="CCC", canonical="CCC"))
    manifest, _ = written(text, records)
    assert manifest.molecules == manifest.computed == len(records) - 1
    cached = CachedTokens(text, manifest.encoder)
    batch = batch_of(records, cached, tmp_path)
    found, expected = cached(batch), text(contract.collate(text, records))
    assert torch.equal(found.mask, expected.mask)
    torch.testing.assert_close(found.x[found.mask], expected.x[expected.mask], atol=2e-6, rtol=1e-5)
    with pytest.raises(TokensError, match=r"the text 'Another one\.'.*Texts are cached whole"):
        raise cached.view.missing(replace(records[0], text="Another one."))


def test_tokens_of_molecules_and_their_texts_at_once_are_not_kept(written):
    class Both(TextEncoder):
        def __init__(self):
            super().__init__(dim=16, heads=2, layers=1)
            self.views = self.views | Fingerprint(bits=64).views

    with pytest.raises(NotApplicable, match="Both reads molecules and their texts"):
        written(Both())


# -- the digest --------------------------------------------------------------------------------------


def test_the_digest_is_of_all_that_tokens_depend_on():
    def qformer(heads):
        torch.manual_seed(0)
        return QFormer(Fingerprint(dim=8, hidden=8, bits=64), queries=2, dim=16, layers=1, heads=heads, ffn=16)

    same, other_weight = unimol(), unimol()
    other_weight.norm.bias.data[3] += 1e-6
    encoders = [unimol(), unimol(1), other_weight, unimol(max_atoms=100), qformer(2), qformer(4)]
    assert len({encoder_digest(e) for e in encoders}) == 6
    assert {k: v.shape for k, v in qformer(2).state_dict().items()} == {k: v.shape for k, v in qformer(4).state_dict().items()}
    before = encoder_digest(same)
    assert before.startswith("UniMol-")
    same.train().requires_grad_(False)(contract.collate(same, contract.records()))
    assert encoder_digest(same) == before == encoder_digest(unimol())
    again = unimol(7)
    again.load_state_dict(same.state_dict())
    assert encoder_digest(again) == before


def test_a_release_of_a_views_tool_counts(monkeypatch):
    before = encoder_digest(unimol())
    monkeypatch.setattr("molfusion.views.base.version", lambda tool: "1900.1")
    assert encoder_digest(unimol()) != before


def test_shards_name_the_whole():
    encoder, whole = unimol(), encoder_digest(unimol())
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        encoder.norm.weight = torch.nn.Parameter(distribute_tensor(encoder.norm.weight.data, mesh))
        assert encoder_digest(encoder) == whole
    finally:
        dist.destroy_process_group()


def test_tokens_of_another_encoder_are_refused_by_both_names(written, tmp_path):
    manifest, _ = written(unimol())
    other = unimol(1)
    cached = CachedTokens(other, manifest.encoder)
    batch = batch_of(contract.records(), cached, tmp_path)
    with pytest.raises(WeightsError) as error:
        cached(batch)
    assert manifest.encoder in str(error.value)
    assert encoder_digest(other) in str(error.value)
    cached.load_state_dict(Frozen(unimol()).state_dict())  # weights may come after the module
    assert cached(batch).x.shape[0] == 6


# -- what is not there -------------------------------------------------------------------------------


def test_a_molecule_without_tokens_is_named(card, tmp_path):
    cached = CachedTokens(unimol(), encoder_digest(unimol()))
    data = MoleculeData(str(card), cached.views, cache=str(tmp_path))
    data.prepare_data()
    with pytest.raises(TokensError, match=r"^c0 \(CCO\) has no cached tokens of the encoder UniMol-.*--tokens --data.card CARD"):
        data.setup()


BROKEN = "name: broken\ntitle: B\nlicence: none\nfiles: {train: {path: b.csv}}\ncolumns: {id: name, smiles: smiles}\n"


def test_a_molecule_the_encoder_cannot_see_is_dropped_with_the_reason(tmp_path):
    (tmp_path / "b.csv").write_text("name,smiles\na,CCO\nb,C[C@H]1[C@@H]2[C@H]1[C@H]2C\nc,CCN\n")  # RDKit has no conformer of b
    (tmp_path / "broken.yaml").write_text(BROKEN)
    data = MoleculeData(str(tmp_path / "broken.yaml"), unimol().views, cache=str(tmp_path / "cache"))
    data.prepare_data()
    reading = CachedTokens(unimol(), encoder_digest(unimol()))
    seen = MoleculeData(str(tmp_path / "broken.yaml"), reading.views, cache=str(tmp_path / "cache"))
    for _ in range(2):  # once more changes nothing
        manifest, _ = write_tokens(unimol(), data.card, data.load().records, data.cache / "store")
        assert (manifest.molecules, manifest.failed) == (2, 1)
    assert manifest.computed == 0
    seen.prepare_data(), seen.setup(), data.setup()
    assert [r.id for r in seen.records["train"]] == [r.id for r in data.records["train"]] == ["a", "c"]
    (mine,), (theirs,) = seen.dropped, data.dropped
    assert mine.id == theirs.id == "b"
    assert mine.reason.startswith("TokensView: failed: ")
    assert mine.reason.endswith(theirs.reason.removeprefix("ConformerView: "))


class Dying(UniMol):
    """Fails at its third batch."""

    left = 2

    def forward(self, batch):
        Dying.left -= 1
        if Dying.left < 0:
            raise KeyboardInterrupt
        return super().forward(batch)


def test_an_interrupted_export_goes_on_where_it_was(written, monkeypatch, tmp_path):
    monkeypatch.setattr(molfusion.tokens, "_SHARD_BYTES", 0)  # a shard a batch
    torch.manual_seed(0)
    encoder = Dying(**UNIMOL["init_args"])
    with pytest.raises(KeyboardInterrupt):
        written(encoder, batch_size=1)
    (folder,) = tmp_path.glob("TokensView-*")
    # Whole shards, nothing half-written, no manifest.
    assert [p.suffix for p in folder.iterdir() if p.name != ".lock"] == [".arrow"] * 2
    Dying.left = 100
    manifest, path = written(encoder, batch_size=1)
    assert (manifest.computed, manifest.molecules) == (4, 6)
    assert path.is_file()
    assert Dying.left == 96
    cached = CachedTokens(encoder, manifest.encoder)
    for record in contract.records():
        expected = encoder(batch_of([record], encoder, tmp_path)).x
        assert torch.equal(cached(batch_of([record], cached, tmp_path)).x, expected)


def test_numbers_that_are_none_stop_the_export(written):
    encoder = unimol()
    encoder.norm.bias.data[0] = float("nan")
    with pytest.raises(TokensError, match=r"^m\d \(.*\): a token holds nan"):
        written(encoder)
