"""Checks against 3M-Diffusion's official modules: motifs, the hierarchical encoder and decoder."""

import json
from collections import Counter
from pathlib import Path

import pytest
import rdkit
import torch
from rdkit import Chem
from rdkit.Chem import rdMolDescriptors
from torch_geometric.data import Data

from benchmarks.plain_hier import tensorise
from molfusion.batch import MoleculeBatch, Record
from molfusion.chem.motifs import fragments, kekulised
from molfusion.chem.motifs_tree import MotifTree, motif_tree
from molfusion.chem.motifs_vocabulary import (
    ATOM_INDEX,
    count_fragments,
    load_vocabulary,
    pairs_of,
    released_vocabulary,
    vocabulary_of,
)
from molfusion.chem.parse import ChemError
from molfusion.decoders.hier import HierDecoder
from molfusion.encoders.autoencoder import Autoencoder
from molfusion.encoders.gin import GIN
from molfusion.encoders.hier import HierEncoder
from molfusion.encoders.projection import Projection
from molfusion.weights import hiervae, threemdiffusion
from molfusion.weights.keys import convert
from tests.parity.golden import Case, close, component

GRADIENT = 1e-4
RECORDED = "2026.09.1"  # by this RDKit


def read(path: Path):
    return json.loads(path.read_text())


def vocabulary_file(case: Case, tmp_path) -> Path:
    """The vocabulary beside the case, or that of `hier_tensors`, in our format."""
    folder = case.folder if (case.folder / "vocab.txt").is_file() else case.folder.parent / "hier_tensors"
    if not folder.is_dir():
        pytest.skip(f"{case.name} reads {folder}, which is not there")
    fragment = folder / "fragment.txt"
    if not fragment.is_file():
        fragment = case.folder.parent / "hier_tensors" / "fragment.txt"
    known = fragment.read_text() if fragment.is_file() else ""
    path = tmp_path / "motifs.json"
    released_vocabulary((folder / "vocab.txt").read_text(), known).save(path)
    return path


def as_recorded(tree: MotifTree) -> dict:
    return {
        "clusters": [n.atoms for n in tree.nodes],
        "nodes": [
            {
                "motif": n.motif,
                "attach": n.attach,
                "inter_label": [list(a) for a in n.anchors],
                "assm_cands": [list(c) if len(c) > 1 else c[0] for c in n.candidates],
            }
            for n in tree.nodes
        ],
        "tree_edges": sorted([x, y, tree.label(x, y)] for x, y in tree.edges),
        "order": [list(step) for step in tree.order],
        "graph_edges": [[a, b, [kind, place] if place else kind] for (a, b), (kind, place) in tree.bonds.items()],
    }


@component("3m-diffusion", "motif")
def motif(case: Case, tmp_path) -> None:
    """Fragments, clusters, tree, labels and order, exactly; with another RDKit, labels of the stable rows."""
    recorded = read(case.folder / "decomposition.json")
    same = case.config.get("rdkit", RECORDED) == rdkit.__version__
    for row in recorded["molecules"]:
        what = f"row {row['row']}: {row['smiles']}"
        try:
            found = as_recorded(motif_tree(row["smiles"], recorded["fragments_official"], compat=True))
        except ChemError:
            assert "error" in row, what
            continue
        assert "error" not in row, what
        if same:
            pieces = fragments(kekulised(row["smiles"], compat=True))
            assert sorted((s, sorted(a)) for s, a in pieces) == sorted((s, a) for s, a in row["fragments"]), what
            for name, value in found.items():
                assert value == row[name], f"{what}: {name}"
        elif row["stable_across_rdkit"]:
            assert labels(found["nodes"]) == labels(row["nodes"]), what
    if same and (case.folder / "vocab_from_these.json").is_file():
        vocabulary(recorded, read(case.folder / "vocab_from_these.json"))


def labels(nodes: list[dict]) -> list[tuple[str, str]]:
    return sorted((n["motif"], n["attach"]) for n in nodes)


def vocabulary(recorded: dict, expected: dict) -> None:
    smiles = [row["smiles"] for row in recorded["molecules"]]
    counts: Counter[str] = Counter()
    for s in smiles:
        counts.update(count_fragments(s, compat=True))
    assert [list(pair) for pair in counts.most_common()] == expected["fragment_counts"]
    kept = [name for name, n in counts.most_common() if n >= expected["min_frequency"]]
    assert kept == list(expected["fragments_kept"])
    pairs: Counter[tuple[str, str, str]] = Counter()
    for s in smiles:
        try:
            pairs.update(pairs_of(motif_tree(s, kept, compat=True), compat=True))
        except ChemError:
            continue
    words = vocabulary_of(pairs, tuple(kept), compat=True)
    recorded_pairs = [p.split() if isinstance(p, str) else list(p) for p in expected["vocab_pairs"]]
    assert [list(pair) for pair in words.pairs] == recorded_pairs
    assert len(words.motifs) == expected["n_motifs"]


def molecules(model: HierDecoder, smiles: list[str]) -> MoleculeBatch:
    blank = [""] * len(smiles)
    items = [model.view.featurise(Record("", s, "")) for s in smiles]
    views = {model.view: model.view.collate(items)}
    return MoleculeBatch(blank, smiles, blank, blank, blank, blank, blank, torch.zeros(len(smiles), 0), views)


def by_time(steps) -> torch.Tensor:
    """The recorded order of our steps: step by step over the batch."""
    time = torch.cat([torch.arange(int(n)) for n in torch.bincount(steps.molecule)])
    return torch.argsort(time * 10_000 + steps.molecule)


@component("3m-diffusion", "decoder_tf")
def decoder_tf(case: Case, tmp_path) -> None:
    meta, io = read(case.folder / "meta.json"), case.arrays("io")
    c = meta["config"]
    path = vocabulary_file(case, tmp_path)
    model = HierDecoder(c["latent_size"], c["hidden_size"], c["embed_size"], str(path), compat=True)
    converted = convert(case.weights(), hiervae.DECODER_RULES, case.name)
    model.load_state_dict(converted.state)
    batch = molecules(model, meta["smiles"])
    z = io["z"].requires_grad_()
    check_losses(model, z, batch, io)
    parts = model.parts(z, batch)
    loss = model.reconstruction(z, batch)
    loss.backward()
    b = len(z)
    close(loss, io["loss"].squeeze(), "loss", GRADIENT)
    for ours, theirs in (("topology", "topo"), ("motif", "motif"), ("attachment", "attach"), ("assembly", "assm")):
        close(parts[ours] * b, io[f"{theirs}_loss_sum"].squeeze(), theirs, GRADIENT)
    close(z.grad, io["grad_z"], "gradient of z", GRADIENT)
    parameters = dict(model.named_parameters())
    for key, norm in meta["grad_norms"].items():
        if key in converted.renamed:
            close(parameters[converted.renamed[key]].grad.norm(), torch.tensor(norm), f"gradient of {key}", GRADIENT)


def check_losses(model: HierDecoder, z, batch: MoleculeBatch, io) -> None:
    steps = batch[model.view]
    said = model.predict(z, steps)
    order = by_time(steps)
    close(steps.molecule[order], io["topo_batch"], "molecules of the steps")
    close(steps.down[order].long(), io["topo_labels"].long(), "topology labels")
    close(said.topology[order], io["topo_scores"], "topology", GRADIENT)
    # Roots first, then new nodes step by step.
    going = torch.nonzero(steps.down).squeeze(1)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order))
    nodes = torch.cat([torch.arange(len(z)), len(z) + torch.argsort(rank[going])])
    truth = torch.cat([steps.root, steps.child])[nodes]
    close(truth[:, 0], io["cls_labels"], "motif labels")
    close(truth[:, 1], io["icls_labels"], "attachment labels")
    close(said.motif[nodes], io["cls_scores"], "motifs", GRADIENT)
    close(said.pair[nodes], io["icls_scores"], "attachments", GRADIENT)
    found, expected = said.assembly, io["assm_scores"]
    assert found.shape == expected.shape, f"assembly: {list(found.shape)}, expected {list(expected.shape)}"
    owners = io["assm_batch"][:, 0]
    by_molecule = torch.argsort(owners, stable=True)
    close(steps.question_molecule, owners[by_molecule], "molecules of the questions")
    close(found, expected[by_molecule], "assembly", GRADIENT)


@component("3m-diffusion", "decode")
def decode(case: Case, tmp_path) -> None:
    """Robust rows exactly; the others, whose scores tie, as a molecule of the same formula."""
    expected, io = read(case.folder / "expected.json"), case.arrays("io")
    c = expected["config"]
    path = vocabulary_file(case, tmp_path)
    limits = {"beam": c["beam"], "max_steps": c["max_decode_step"]}
    model = HierDecoder(c["latent_size"], c["hidden_size"], c["embed_size"], str(path), compat=True, **limits).eval()
    model.load_state_dict(convert(case.weights(), hiervae.DECODER_RULES, case.name).state)
    results = {
        "greedy": model.decode(io["z"]),
        "random": model.decode(io["z_random"]),
        "interp": model.decode(io["z_interp"]),
        "greedy_one_by_one": [model.decode(z[None])[0] for z in io["z"]],
    }
    model.max_steps = 4
    results["max_step_4"] = model.decode(io["z"])
    robust = 0
    for name, found in results.items():
        sure = expected[f"{name.removesuffix('_one_by_one')}_robust"]
        for ours, theirs, exact in zip(found, expected[name], sure, strict=True):
            what = f"{name}: {ours}, expected {theirs}"
            assert ours == theirs if exact else formula(ours) == formula(theirs), what
            robust += exact
    assert robust


def formula(smiles: str | None) -> str | None:
    return None if smiles is None else rdMolDescriptors.CalcMolFormula(Chem.MolFromSmiles(smiles))


@component("3m-diffusion", "hier_tensors")
def hier_tensors(case: Case, tmp_path) -> None:
    """Numbering of nodes, messages and neighbours; the arrays are those the plain decoder of `benchmarks` runs on."""
    meta, io = read(case.folder / "meta.json"), case.arrays("tensors")
    words = load_vocabulary(vocabulary_file(case, tmp_path))
    assert (len(words.motifs), len(words.pairs)) == (meta["n_motifs"], meta["n_pairs"])
    assert list(words.motifs) == meta["hvocab"]
    trees = [motif_tree(s, words.known, compat=True) for s in meta["smiles"]]
    found = tensorise(trees, words, ATOM_INDEX)
    assert [[list(step) for step in order] for order in found.orders] == meta["orders"]
    assert sorted([x, y, int(found.tree.messages[k, 2]), k] for (x, y), k in found.edge.items()) == sorted(meta["tree_edges"])
    nodes = [(i, node) for i, tree in enumerate(trees) for node in tree.nodes]
    for k, ((molecule, node), expected) in enumerate(zip(nodes, meta["nodes"], strict=True), 1):
        assert molecule == expected["batch"]
        assert found.clusters[k] == expected["cluster"]
        assert [found.tree.nodes[k].tolist()] == expected["label"]
        assert [smiles for _, smiles in node.anchors] == [smiles for _, smiles in expected["inter_label"]]
        assert [list(c) if len(c) > 1 else c[0] for c in found.candidates[k]] == expected["assm_cands"]
    for name, level in (("tree", found.tree), ("graph", found.graph)):
        for field, array in (("fnode", level.nodes), ("fmess", level.messages), ("agraph", level.into_node)):
            close(array, io[f"{name}_{field}"].long(), f"{name} {field}")
        close(level.into_message, io[f"{name}_bgraph"].long(), f"{name} bgraph")
    close(found.members, io["tree_cgraph"].long(), "atoms of the nodes")
    sizes = [[len(t.nodes) for t in trees], [t.mol.GetNumAtoms() for t in trees]]
    for name, counts in zip(("tree", "graph"), sizes, strict=True):
        starts = torch.cumsum(torch.tensor([1, *counts[:-1]]), 0)
        close(torch.stack([starts, torch.tensor(counts)], 1), io[f"{name}_scope"], f"{name} scope")
    mapped = torch.tensor([max(1, attach.count(":1]") + attach.count(":2]")) for _, attach in words.pairs])
    close(mapped, io["inter_size"], "mapped atoms of the pairs")
    rows = io["pair_mask_rows"]
    of = torch.tensor(words.motif_of)
    close(torch.where(of[None] == torch.arange(len(rows))[:, None], 0.0, -1000.0), rows, "pairs of a motif")


def graphs(encoder: HierEncoder, smiles: list[str]):
    return encoder.view.collate([encoder.view.featurise(Record("", s, "")) for s in smiles])


@component("3m-diffusion", "hier_encoder")
def hier_encoder(case: Case, tmp_path) -> None:
    """hgraph2graph's encoder with either cell, and the atom level that 3M-Diffusion keeps of it. Row 0 is padding."""
    path = vocabulary_file(case, tmp_path)
    source = case.folder if (case.folder / "meta.json").is_file() else case.folder.parent / "hier_tensors"
    smiles, io = read(source / "meta.json")["smiles"], case.arrays("io")
    c = {"embed_size": 12, "depthT": 3, "depthG": 4} | case.config.get("config", case.config)
    for name, file, cell in (("orig", "original", "lstm"), ("gru", "original_gru", "gru")):
        weights = case.weights(f"{file}_weights")
        hidden = len(weights["W_c.0.bias"])
        encoder = HierEncoder(hidden, weights["E_c.0.weight"].shape[1], str(path), c["depthG"], c["depthT"], cell, "both")
        encoder.load_state_dict(convert(weights, hiervae.LEVEL_RULES, case.name).state)
        batch = graphs(encoder, smiles)
        states = encoder.states(batch)
        tokens = encoder(MoleculeBatch(*[[""]] * 7, torch.zeros(0), {encoder.view: batch}))
        close(states.atoms, io[f"{name}_atom"][1:], f"{name} atoms", 1e-5)
        close(states.pairs, io[f"{name}_inter"][1:], f"{name} attachments", 1e-5)
        close(tokens.x[:, 0], io[f"{name}_root"], f"{name} roots", 1e-5)
        close(tokens.x[:, 1:][batch.mask], io[f"{name}_node"][1:], f"{name} motifs", 1e-5)
    weights = case.weights("trimmed_weights")
    encoder = HierEncoder(len(weights["graph_encoder.W_o.0.bias"]), 4, str(path), c["depthG"], c["depthT"])
    missing = encoder.load_state_dict(convert(weights, hiervae.LEVEL_RULES, case.name).state, strict=False)
    assert not missing.unexpected_keys
    assert not [k for k in missing.missing_keys if k.startswith("atom_")]
    batch = graphs(encoder, smiles)
    atoms = encoder.atom_states(batch)
    close(atoms, io["trimmed_atom"][1:], "trimmed atoms", 1e-5)
    b = len(smiles)
    mean = torch.zeros(b, atoms.shape[1]).index_add(0, batch.atom_molecule, atoms)
    close(mean / torch.bincount(batch.atom_molecule, minlength=b)[:, None], io["trimmed_root"], "trimmed roots", 1e-5)


@component("3m-diffusion", "hiervae")
def hiervae_whole(case: Case, tmp_path) -> None:
    """GIN, latent and decoder together, through the key map that loads published checkpoints."""
    meta, io = read(case.folder / "meta.json"), case.arrays("io")
    c = meta["config"]
    path = vocabulary_file(case, tmp_path)
    decoder = HierDecoder(c["latent_size"], c["hidden_size"], c["embed_size"], str(path), compat=True)
    gin = GIN(meta["gin"]["emb_dim"], meta["gin"]["num_layer"], compat=True)
    batch = molecules(decoder, meta["smiles"])
    batch.views[gin.view] = Data(x=io["x"], edge_index=io["edge_index"], edge_attr=io["edge_attr"], batch=io["batch"])
    model = Autoencoder(Projection(gin, c["graph_hidden"], norm=True), decoder, c["hidden_size"], compat=True)
    model.load_state_dict(threemdiffusion.autoencoder(case.weights(), hiervae.IN_AUTOENCODER, case.name).state)
    for mode in ("eval", "train"):
        model.train(mode == "train")
        for normed, name in ((True, "with_ln"), (False, "no_ln")):
            tokens = model.encoder(batch) if normed else model.encoder.unnormed(batch)
            close(model.hidden(tokens.x[:, 0]), io[f"{mode}_root_{name}"], f"{mode} hidden {name}", GRADIENT)
        posterior = model.posterior(batch)
        sample = posterior.mean + torch.exp(posterior.log_variance / 2) * io["eps"]
        close(sample, io[f"{mode}_latent_with_ln"], f"{mode} latent", GRADIENT)
        unnormed = model.posterior(batch, normed=False)
        seen = unnormed.mean + torch.exp(unnormed.log_variance / 2) * io["eps"]
        close(seen, io[f"{mode}_latent_for_diffusion"], f"{mode} latent for diffusion", GRADIENT)
        close(model(batch).x[:, 0], unnormed.mean, f"{mode} token")
        kl = posterior.divergence()
        close(kl.double(), io[f"{mode}_kl"], f"{mode} KL", GRADIENT)
        loss = decoder.reconstruction(sample, batch) + 0.1 * kl
        close(loss, io[f"{mode}_loss"], f"{mode} loss", GRADIENT)
