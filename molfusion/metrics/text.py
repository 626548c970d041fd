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
COUNTS = "n-grams"  # of `shared`, as a column of predictions
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
    means = each(predictions, references, tokenizer, truncation)
    return corpus(predictions, references, tokenizer, truncation) | {name: float(v.mean()) for name, v in means.items()}


def corpus(
    predictions: Sequence[str], references: Sequence[str], tokenizer: str = "molfusion", truncation: int | None = 512
) -> dict[str, float]:
    """Of `scores` those that are no means over texts: BLEU."""
    from nltk.translate.bleu_score import corpus_bleu

    _check(predictions, references)
    said, wanted = pieces(predictions, tokenizer, truncation), pieces(references, tokenizer, truncation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that no n-gram of some length is shared: the score says so
        bleu2, bleu4 = corpus_bleu([[w] for w in wanted], said, [(0.5, 0.5), (0.25, 0.25, 0.25, 0.25)])
    return {key(n, tokenizer, truncation): 100 * float(v) for n, v in (("BLEU-2", bleu2), ("BLEU-4", bleu4))}


def each(
    predictions: Sequence[str], references: Sequence[str], tokenizer: str = "molfusion", truncation: int | None = 512
) -> dict[str, Floats]:
    """METEOR and the ROUGEs of each text ([texts]), for rows of predictions and paired tests; arguments as of `scores`."""
    _check(predictions, references)
    found = {name: rouge(predictions, references, name) for name in _ROUGE}
    return found | {key("METEOR", tokenizer, truncation): meteor(predictions, references, tokenizer, truncation)}


def meteor(predictions: Sequence[str], references: Sequence[str], tokenizer: str, truncation: int | None) -> Floats:
    """[texts] in per cent."""
    from nltk.stem.porter import PorterStemmer
    from nltk.translate.meteor_score import single_meteor_score

    stemmer: Any = PorterStemmer()
    said, wanted = pieces(predictions, tokenizer, truncation), pieces(references, tokenizer, truncation)
    found = [single_meteor_score(w, s, stemmer=stemmer, wordnet=WordNet()) for s, w in zip(said, wanted, strict=True)]
    return 100 * np.array(found)


def rouge(predictions: Sequence[str], references: Sequence[str], name: str) -> Floats:
    """[texts] F of `ROUGE-1`, `ROUGE-2` or `ROUGE-L`, in per cent."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([_ROUGE[name]])
    found = [scorer.score(w, s)[_ROUGE[name]].fmeasure for s, w in zip(predictions, references, strict=True)]
    return 100 * np.array(found)


def shared(predictions: Sequence[str], references: Sequence[str], tokenizer: str, truncation: int | None) -> Floats:
    """[texts, 10] what corpus BLEU is made of: n-grams of one to four pieces that the reference has too, each as often as
    there; n-grams, at least 1, as nltk counts; pieces; pieces of the reference. Arguments as of `scores`.
    """
    from nltk.translate.bleu_score import modified_precision

    said, wanted = pieces(predictions, tokenizer, truncation), pieces(references, tokenizer, truncation)
    counts = np.zeros((len(said), 10))
    for row, s, w in zip(counts, said, wanted, strict=True):
        found = [modified_precision([w], s, n) for n in range(1, 5)]
        row[:] = [*(f.numerator for f in found), *(f.denominator for f in found), len(s), len(w)]
    return counts


def bleu(counts: Floats, n: int) -> Floats:
    """[R] corpus BLEU of n-grams up to `n`, unsmoothed, in per cent, from sums [R, 10] of `shared` over texts."""
    matches, total, said, wanted = counts[:, :n], counts[:, 4 : 4 + n], counts[:, 8], counts[:, 9]
    shares = np.maximum(matches / total, np.finfo(np.float64).tiny)  # nltk's stand-in for none
    with np.errstate(divide="ignore", over="ignore"):
        brevity = np.where(said > wanted, 1.0, np.exp(1 - wanted / said))
    found: Floats = np.where(matches[:, 0] > 0, 100 * brevity * np.exp(np.log(shares).mean(1)), 0.0)
    return found


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
