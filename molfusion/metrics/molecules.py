"""Generated molecules beside those that were wanted: strings in, numbers out. None stands for no molecule."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from molfusion.chem import similarity as chem

Smiles = str | None
_QUALIFIED, _SAME = 0.5, 0.8  # MACCS cosine from which a sample counts, and from which it is nothing new
_STRANGE = 0.4  # Morgan Tanimoto below which a sample resembles no reference


# -- one sample beside its reference -----------------------------------------------------------------


class Comparison(NamedTuple):
    """What became of one reference; whatever is no molecule has 0 everywhere."""

    valid: float  # 1: a molecule
    exact: float  # 1: of the same InChIKey
    maccs: float  # Tanimoto
    morgan: float  # Tanimoto, radius 2
    rdk: float  # Tanimoto
    spelling: float  # 1 - Levenshtein distance of the canonical SMILES / the longer one's length


def compare(generated: Smiles, reference: str) -> Comparison:
    """A sample with the molecule that was wanted.

    Raises:
        ValueError: the reference is no molecule.
    """
    wanted, found = chem.known(reference), chem.known(generated)
    if wanted is None:
        raise ValueError(f"the reference {reference!r} is no molecule")
    if found is None:
        return Comparison(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    alike = {k: chem.tanimoto(wanted.fingerprint(k), [found.fingerprint(k)])[0] for k in _KINDS}
    a, b = found.canonical, wanted.canonical
    spelling = 1 - chem.levenshtein(a, b) / max(len(a), len(b))
    same = float(found.inchikey == wanted.inchikey)
    return Comparison(1.0, same, alike["maccs"], alike["morgan2"], alike["rdk"], spelling)


_KINDS: tuple[chem.Print, ...] = ("maccs", "morgan2", "rdk")


def means(comparisons: Sequence[Comparison]) -> dict[str, float]:
    """Of each field, over all samples, valid or not."""
    table = np.array(comparisons, dtype=np.float64)
    return {name: float(value) for name, value in zip(Comparison._fields, table.mean(0), strict=True)}


# -- many samples ------------------------------------------------------------------------------------


def uniqueness(samples: Iterable[Smiles]) -> float:
    """Distinct molecules over valid samples; 0 where none is valid."""
    keys = _keys(samples)
    return len(set(keys)) / len(keys) if keys else 0.0


def novelty(samples: Iterable[Smiles], training: Collection[str]) -> float:
    """Share of the distinct valid molecules that are not among the training molecules (SMILES), by InChIKey."""
    return unseen(samples, set(_keys(training)))


def unseen(samples: Iterable[Smiles], keys: Collection[str]) -> float:
    """As `novelty`, with the InChIKeys of the training molecules."""
    found = set(_keys(samples))
    return sum(key not in keys for key in found) / len(found) if found else 0.0


def _keys(samples: Iterable[Smiles]) -> list[str]:
    return [found.inchikey for s in samples if (found := chem.known(s)) is not None]


# -- as 3M-Diffusion measures ------------------------------------------------------------------------


def released(references: Sequence[str], samples: Sequence[Sequence[Smiles]]) -> dict[str, float]:
    """Similarity, Novelty, Diversity and Validity (`evaluate_smi_multi`), pooled over the samples of all prompts.

    Validity: valid over all samples; the empty string is valid, as there. Similarity: of the valid ones, the share
    whose MACCS keys have a cosine of at least 0.5 with the reference's ("qualified"). Novelty: of these, the share with
    less than 0.8: new beside the reference, not beside the training set. Diversity: mean of 1 - Tanimoto (Morgan 3) over
    all pairs within a prompt's qualified samples and its reference; `Diversity/samples` leaves the reference out.

    Args:
        references: one a prompt.
        samples: of each prompt.

    Returns:
        What has no samples to be computed from has no entry.
    """
    told = [prompted(*prompt) for prompt in zip(references, samples, strict=True)]
    total, valid = sum(p.total for p in told), sum(p.valid for p in told)
    qualified, new = sum(p.qualified for p in told), sum(p.new for p in told)
    apart = {"Diversity": [x for p in told for x in p.apart], "Diversity/samples": [x for p in told for x in p.apart_samples]}
    counted = {"Validity": (valid, total), "Similarity": (qualified, valid), "Novelty": (new, qualified)}
    shares = {name: part / whole for name, (part, whole) in counted.items() if whole}
    return shares | {name: float(np.mean(values)) for name, values in apart.items() if values}


class Prompt(NamedTuple):
    """What the samples of one prompt add to the counts of `released`."""

    total: int
    valid: int
    qualified: int
    new: int
    apart: list[float]  # distances of all pairs of the qualified samples and the reference
    apart_samples: list[float]  # of the qualified samples alone


def prompted(reference: str, samples: Sequence[Smiles]) -> Prompt:
    """One prompt by itself."""
    wanted = _wanted(reference)
    kept: list[Any] = []
    valid = new = 0
    for sample in samples:
        found = chem.known(sample, released=True)
        if found is None:
            continue
        valid += 1
        alike = chem.cosine(wanted.fingerprint("maccs"), found.fingerprint("maccs"))
        if alike >= _QUALIFIED:
            kept.append(found.fingerprint("morgan3"))
            new += alike < _SAME
    apart = _distances([wanted.fingerprint("morgan3"), *kept]) if kept else []
    return Prompt(len(samples), valid, len(kept), new, apart, _distances(kept))


def qualified(sample: Smiles, reference: str) -> bool:
    """Whether a sample counts under Similarity."""
    return chem.known(sample, released=True) is not None and maccs_cosine(sample, reference) >= _QUALIFIED


def maccs_cosine(sample: Smiles, reference: str) -> float:
    """What Similarity and Novelty look at; 0 where the sample is no molecule."""
    found = chem.known(sample, released=True)
    return 0.0 if found is None else chem.cosine(_wanted(reference).fingerprint("maccs"), found.fingerprint("maccs"))


def resembling_none(samples: Sequence[Smiles], references: Sequence[str]) -> float:
    """Share of the valid samples with a Morgan (3) Tanimoto below 0.4 to every reference (`eval_novelty`)."""
    known = _prints(references)
    found = [max(chem.tanimoto(p, known)) < _STRANGE for p in _prints(samples)]
    return float(np.mean(found)) if found else 0.0


def pair_distances(samples: Sequence[Smiles]) -> list[float]:
    """1 - Tanimoto (Morgan 3) of each valid sample with the valid ones before it (`eval_diversity`)."""
    prints = _prints(samples)
    return [1 - alike for i, p in enumerate(prints) for alike in chem.tanimoto(p, prints[:i])]


def mean_common_part(references: Sequence[str], samples: Sequence[Smiles]) -> float:
    """Mean over valid samples of RASCAL's bound on their common part with the reference (`evaluate_smi`)."""
    read = [(_wanted(r), chem.known(s, released=True)) for r, s in zip(references, samples, strict=True)]
    found = [chem.common_part(wanted.mol, sample.mol) for wanted, sample in read if sample is not None]
    return float(np.mean(found)) if found else 0.0


def _wanted(reference: str) -> chem.Known:
    found = chem.known(reference, released=True)
    if found is None:
        raise ValueError(f"the reference {reference!r} is no molecule")
    return found


def _prints(samples: Iterable[Smiles]) -> list[Any]:
    return [found.fingerprint("morgan3") for s in samples if (found := chem.known(s)) is not None]


def _distances(prints: Sequence[Any]) -> list[float]:
    return [1 - chem.tanimoto(a, [b])[0] for a, b in combinations(prints, 2)]
