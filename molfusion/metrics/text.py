"""BLEU, ROUGE and METEOR of generated texts, as 3D-MoLM's code computes them, in per cent.

BLEU and METEOR compare token pieces: another tokenizer makes other numbers of the same texts. Their names therefore
carry the tokenizer and where texts were cut: `BLEU-4@molfusion:512`. ROUGE splits words by itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molfusion.metrics.wordnet import WordNet
from molfusion.views.tokenizer import load_tokenizer

Floats = NDArray[np.float64]

_ROUGE = {"ROUGE-1": "rouge1", "ROUGE-2": "rouge2", "ROUGE-L": "rougeL"}
_MARKS = {"[PAD]", "[CLS]", "[SEP]"}


def scores(
    predictions: Sequence[str], references: Sequence[str], tokenizer: str = "molfusion", truncation: int | None = 512
) -> dict[str, float]:
    """`BLEU-2`, `BLEU-4` over the whole corpus, `METEOR`, `ROUGE-1`, `ROUGE-2`, `ROUGE-L` as means over texts.

    BLEU is nltk's, unsmoothed: a text shorter than an n-gram still counts as one n-gram. An empty prediction scores 0.

    Args:
        predictions: one a reference; may be empty.
        references: what should have been said.
        tokenizer: `molfusion`, or the name or folder of another (SciBERT's, Llama's).
        truncation: the number of pieces of a text that are looked at; None: all (3D-MoLM); MolCA takes 512 or 256.

    Raises:
        ValueError: there are no texts, or not as many predictions as references.
        FileNotFoundError: no such tokenizer.
    """
    from nltk.translate.bleu_score import corpus_bleu

    _check(predictions, references)
    said, wanted = pieces(predictions, tokenizer, truncation), pieces(references, tokenizer, truncation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that no n-gram of some length is shared: the score says so
        bleu2, bleu4 = corpus_bleu([[w] for w in wanted], said, [(0.5, 0.5), (0.25, 0.25, 0.25, 0.25)])
    out = {key(n, tokenizer, truncation): 100 * float(v) for n, v in (("BLEU-2", bleu2), ("BLEU-4", bleu4))}
    means = each(predictions, references, tokenizer, truncation)
    return out | {name: float(values.mean()) for name, values in means.items()}


def each(
    predictions: Sequence[str], references: Sequence[str], tokenizer: str = "molfusion", truncation: int | None = 512
) -> dict[str, Floats]:
    """METEOR and the ROUGEs of each text ([texts]), for rows of predictions and paired tests; arguments as of `scores`."""
    from nltk.stem.porter import PorterStemmer
    from nltk.translate.meteor_score import single_meteor_score
    from rouge_score.rouge_scorer import RougeScorer

    _check(predictions, references)
    stemmer: Any = PorterStemmer()
    said, wanted = pieces(predictions, tokenizer, truncation), pieces(references, tokenizer, truncation)
    meteor = [single_meteor_score(w, s, stemmer=stemmer, wordnet=WordNet()) for s, w in zip(said, wanted, strict=True)]
    scorer = RougeScorer(list(_ROUGE.values()))
    rouge = [scorer.score(w, s) for s, w in zip(predictions, references, strict=True)]
    out = {name: 100 * np.array([r[theirs].fmeasure for r in rouge]) for name, theirs in _ROUGE.items()}
    return out | {key("METEOR", tokenizer, truncation): 100 * np.array(meteor)}


def key(metric: str, tokenizer: str, truncation: int | None) -> str:
    """The name a number is kept under: `BLEU-4@scibert_scivocab_uncased:512`, `BLEU-4@llama` where nothing is cut."""
    name = tokenizer.rstrip("/").rpartition("/")[2]
    return f"{metric}@{name}" + ("" if truncation is None else f":{truncation}")


def pieces(texts: Sequence[str], tokenizer: str = "molfusion", truncation: int | None = None) -> list[list[str]]:
    """The token pieces of each text, without marks such as [CLS]."""
    found = load_tokenizer(tokenizer).encode_batch(list(texts), add_special_tokens=False)
    return [[piece for piece in f.tokens if piece not in _MARKS][:truncation] for f in found]


def _check(predictions: Sequence[str], references: Sequence[str]) -> None:
    if len(predictions) != len(references) or not references:
        found = f"{len(predictions)} predictions for {len(references)} references"
        raise ValueError(f"{found}: expected one for each, and some")
