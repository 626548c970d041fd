"""A toy language model and batches for it."""

import torch

from molfusion.batch import MoleculeBatch, Record, Tokens
from molfusion.language import LanguageModel

SIZES = {
    "model_type": "llama", "vocab_size": 1024, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256, "tie_word_embeddings": False,
}  # fmt: skip


def model(**arguments) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(**{"config": SIZES, "train": "full", **arguments}).eval()


def record(key="a", text="It is an alcohol.", prompt="", smiles="CCO") -> Record:
    return Record(key, smiles, smiles, text=text, prompt=prompt)


def batch(lm: LanguageModel, *records: Record) -> MoleculeBatch:
    return MoleculeBatch(
        ids=[r.id for r in records], smiles=[r.smiles for r in records], texts=[r.text for r in records],
        groups=[""] * len(records), scopes=[], pools=[], prompts=[r.prompt for r in records],
        targets=torch.zeros(len(records), 0), views={lm.view: lm.view.collate([lm.view.featurise(r) for r in records])},
    )  # fmt: skip


def soft(*lengths: int, dim: int = 32, seed: int = 1) -> Tokens:
    """Random molecule tokens, so many in each row."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.stack([torch.randn(max(lengths), dim, generator=generator) for _ in lengths]) * 0.05
    return Tokens(x, torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None])


def row(tokens: Tokens, i: int) -> Tokens:
    """One molecule alone, without padding."""
    return Tokens(tokens.x[i : i + 1, tokens.mask[i]], tokens.mask[i : i + 1, tokens.mask[i]])
