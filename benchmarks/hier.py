"""A teacher-forced step of the hierarchical decoder at paper size (250 wide, latent 24), beside the released update; decoding."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.molecules import demo
from benchmarks.plain_hier import PlainDecoder, Tensors, tensorise
from benchmarks.table import Row, Table, timed
from molfusion.batch import MoleculeBatch, Record
from molfusion.chem.motifs_tree import MotifTree
from molfusion.chem.motifs_vocabulary import ATOM_INDEX, MotifVocabulary, pairs_of, vocabulary_of, writable_tree
from molfusion.chem.parse import ChemError
from molfusion.decoders.hier import HierDecoder
from molfusion.views.base import ViewError
from molfusion.weights.hiervae import DECODER_RULES
from molfusion.weights.keys import convert

LATENT, HIDDEN, ATOMS = 24, 250, 30


def table(quick: bool) -> Table:
    torch.manual_seed(0)
    sizes = [20] if quick else [20, 64, 128]
    trees = usable(demo(2 * max(sizes)))
    pairs = Counter(pair for _, tree in trees for pair in pairs_of(tree, compat=True))
    words = vocabulary_of(pairs, compat=True)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "motifs.json"
        words.save(path)
        ours = HierDecoder(LATENT, HIDDEN, HIDDEN, str(path), compat=True)
        plain = PlainDecoder(len(ATOM_INDEX), words, LATENT, HIDDEN, HIDDEN)
        for parameter in plain.parameters():
            (nn.init.xavier_normal_ if parameter.ndim > 1 else nn.init.zeros_)(parameter)
        ours.load_state_dict(convert(plain.state_dict(), DECODER_RULES, "plain").state)
        for size in sizes:
            rows += steps(ours, plain, words, trees[:size], 1 if size > 64 else 2 if quick else 3)
        latent = torch.randn(sizes[0], LATENT)
        times = [timed(lambda: ours.decode(latent), 1)[0] / len(latent) for _ in range(2 if quick else 5)]
        rows.append(Row("decode, random weights, a molecule", times))
    return Table(
        f"{len(trees)} demo molecules of at most {ATOMS} atoms, {len(words.motifs)} motifs, {len(words.pairs)} pairs, float32",
        rows,
        "plain: the released update from its description (plain_hier.py), which passes the golden cases; losses compared. "
        "Forward and backward; not the encoder, nor the optimiser. Decoding has no plain side.",
    )


def usable(records: list[Record]) -> list[tuple[Record, MotifTree]]:
    """Connected molecules that the released code can take apart, each graph once."""
    out: dict[str, tuple[Record, MotifTree]] = {}
    for record in records:
        try:
            tree = writable_tree(record.smiles, MotifVocabulary((), compat=True), ATOMS)
        except ChemError:
            continue
        if all(len(place) == len(node.anchors) for node in tree.nodes for place in node.candidates):
            out.setdefault(record.smiles.replace("@", ""), (record, tree))
    return list(out.values())


def steps(
    ours: HierDecoder, plain: PlainDecoder, words: MotifVocabulary, trees: list[tuple[Record, MotifTree]], repeats: int
) -> list[Row]:
    """One batch: collating it, and a step of either side."""
    view, size = ours.view, len(trees)
    items = []
    for record, _ in trees:
        try:
            items.append(view.featurise(record))
        except ViewError as error:
            raise AssertionError(f"{record.smiles}: {error}") from error
    batch = MoleculeBatch(*[[""] * size] * 7, torch.zeros(size, 0), {view: view.collate(items)})
    official = tensorise([tree for _, tree in trees], words, ATOM_INDEX)
    z = torch.randn(size, LATENT)
    here, there = [], []
    for _ in range(repeats):
        mine, loss = timed(lambda: our_step(ours, z, batch), 1)
        theirs, expected = timed(lambda: plain_step(plain, z, official), 1)
        if abs(loss - expected) > 1e-4 * abs(expected):
            raise AssertionError(f"losses differ: {loss}, expected {expected}")
        here.append(mine)
        there.append(theirs)
    return [
        Row(f"step, batch {size}", here, there),
        Row(
            f"collate, batch {size}",
            [timed(lambda: view.collate(items))[0]],
            [timed(lambda: tensorise([tree for _, tree in trees], words, ATOM_INDEX))[0]],
        ),
    ]


def our_step(model: HierDecoder, z: Tensor, batch: MoleculeBatch) -> float:
    model.zero_grad(set_to_none=True)
    loss = model.reconstruction(z, batch)
    loss.backward()
    return loss.item()


def plain_step(model: PlainDecoder, z: Tensor, batch: Tensors) -> float:
    model.zero_grad(set_to_none=True)
    loss = torch.stack(list(model(z, batch).values())).sum() / len(z)
    loss.backward()
    return loss.item()
