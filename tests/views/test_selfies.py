import numpy as np
import pytest

from molfusion.batch import Record
from molfusion.views import ViewError
from molfusion.views.selfies import BOS, EOS, PAD, UNK, SelfiesView


def record(smiles):
    return Record(smiles, smiles, smiles)


@pytest.fixture
def vocabulary(tmp_path):
    path = tmp_path / "tokens.txt"
    path.write_text("[C]\n[O]\n\n[=O]\n")
    return path


def test_hand_checked_batch(vocabulary):
    view = SelfiesView(str(vocabulary))
    assert view.vocab_size == 7
    batch = view.collate([view.featurise(record(s)) for s in ("OC", "CC=O")])
    assert batch.ids.tolist() == [[BOS, 4, 5, EOS, PAD], [BOS, 4, 4, 6, EOS]]
    assert batch.mask.tolist() == [[True] * 4 + [False], [True] * 5]
    assert [view.decode(row) for row in batch.ids.tolist()] == ["CO", "CC=O"]


def test_a_token_outside_the_vocabulary(vocabulary):
    with pytest.raises(ViewError, match=r"\[Cl\]: not among the 7 tokens .* `unknown: unk`"):
        SelfiesView(str(vocabulary)).featurise(record("CCl"))
    view = SelfiesView(str(vocabulary), unknown="unk")
    ids = view.featurise(record("CCl"))["ids"].tolist()
    assert ids == [BOS, 4, UNK, EOS]
    assert view.decode(ids) is None


def test_the_name_follows_the_files_content(vocabulary, tmp_path):
    from molfusion.views.selfies import _index

    first = SelfiesView(str(vocabulary)).name()
    assert first == SelfiesView(str(vocabulary)).name()
    vocabulary.write_text("[C]\n[N]\n[=O]\n")
    _index.cache_clear()
    assert first != SelfiesView(str(vocabulary)).name()


@pytest.mark.parametrize(
    ("text", "reason"),
    [("[C]\n[C]\n", r"has \[C\] more than once"), ("[PAD]\n", "more than once"), ("\n", "no token")],
)
def test_a_vocabulary_that_is_none(tmp_path, text, reason):
    path = tmp_path / "odd.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=reason):
        _ = SelfiesView(str(path)).vocab_size
    with pytest.raises(FileNotFoundError, match="no SELFIES vocabulary"):
        _ = SelfiesView("nowhere.txt").vocab_size


@pytest.mark.parametrize(
    "smiles", ["CCO", "[Na+].[Cl-]", "[CH3]", "[2H]OC", "[13CH3]C", "[Fe+3]", "N[C@@H](C)C(=O)O", "F/C=C\\F"]
)
def test_there_and_back_with_the_built_in_vocabulary(smiles):
    from rdkit import Chem

    view = SelfiesView()
    assert view.decode(view.featurise(record(smiles))["ids"].tolist()) == Chem.CanonSmiles(smiles)


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("((", "not a SMILES"),
        ("*C", "no SELFIES"),
        ("[NH3]->[Pt]", "no SELFIES"),
        ("CI(C)C", "semantic constraints"),
        ("C" * 300, "302 tokens .* at most 256"),
        ("[125Te]", "not among the 2631 tokens"),
    ],
)
def test_refused_with_a_reason(smiles, reason):
    with pytest.raises(ViewError, match=reason):
        SelfiesView().featurise(record(smiles))


def test_a_long_chain_where_there_is_room():
    assert len(SelfiesView(length=302).featurise(record("C" * 300))["ids"]) == 302


def test_decoding_stops_at_the_end_and_never_raises():
    view = SelfiesView()
    carbon = int(view.featurise(record("C"))["ids"][1])
    assert view.decode([BOS, carbon, EOS, carbon]) == "C"
    assert view.decode([EOS]) is None
    rng = np.random.default_rng(0)
    for _ in range(30):
        view.decode(rng.integers(0, view.vocab_size, 30).tolist())
