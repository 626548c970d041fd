"""The byte-level BPE vocabulary of the tiny language models, learned from the demo's captions and SMILES.

`python -m molfusion.demo.bpe FOLDER` writes tokenizer.json.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

_HERE = Path(__file__).parent
_SPECIALS = ["<pad>", "</s>"]


def train_bpe(texts: Iterable[str], size: int = 1024) -> Tokenizer:
    """Every byte is known and a text comes back as it was; digits stand alone; the same texts give the same vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=size, special_tokens=_SPECIALS, initial_alphabet=alphabet, show_progress=False),
    )
    return tokenizer


def demo_texts() -> list[str]:
    """Sentences and SMILES of the demo card, as it ships."""
    rows = pq.read_table(_HERE / "pairs.parquet", columns=["smiles", "facts"]).to_pylist()
    return [" ".join(fact["text"] for fact in row["facts"]) for row in rows] + [row["smiles"] for row in rows]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    train_bpe(demo_texts()).save(str(folder / "tokenizer.json"), pretty=False)
