from pathlib import Path

import molfusion.demo.bpe as bpe
from molfusion.views.tokenizer import load_tokenizer

SHIPPED = Path(bpe.__file__).parent / "bpe_vocab" / "tokenizer.json"


def test_the_shipped_vocabulary_is_what_the_demo_gives(tmp_path):
    bpe.train_bpe(bpe.demo_texts()).save(str(tmp_path / "tokenizer.json"), pretty=False)
    assert (tmp_path / "tokenizer.json").read_bytes() == SHIPPED.read_bytes()


def test_every_text_comes_back_as_it_was():
    tokenizer = load_tokenizer("package://molfusion/demo/bpe_vocab")
    for text in ("It weighs 46.07 g/mol.\n", " C[C@H](N)O  ", "Å, ² and ünïcode"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.encode("-5.63").tokens == ["-", "5", ".", "6", "3"]
    assert tokenizer.token_to_id("</s>") == 1
