"""The implementation that `benchmarks/hier.py` measures against passes the golden cases too."""

import pytest
import torch

from benchmarks.plain_hier import PlainDecoder, tensorise
from molfusion.chem.motifs_tree import motif_tree
from molfusion.chem.motifs_vocabulary import ATOM_INDEX, load_vocabulary
from tests.parity.golden import ROOT, Case, close
from tests.parity.threemdiffusion_hier import GRADIENT, read, vocabulary_file

CASES = sorted(p.parent for p in ROOT.glob("3m-diffusion/decoder_tf*/config.json"))


@pytest.mark.parametrize("folder", CASES or [None], ids=lambda p: p.name if p else "none")
def test_golden(folder, tmp_path):
    if folder is None:
        pytest.skip(f"no golden cases of the decoder under {ROOT}")
    case = Case(folder)
    meta, io = read(folder / "meta.json"), case.arrays("io")
    c = meta["config"]
    words = load_vocabulary(vocabulary_file(case, tmp_path))
    batch = tensorise([motif_tree(s, words.known, compat=True) for s in meta["smiles"]], words, ATOM_INDEX)
    model = PlainDecoder(len(ATOM_INDEX), words, c["latent_size"], c["embed_size"], c["hidden_size"], c["diterG"])
    weights = {k: v for k, v in case.weights().items() if not k.startswith(("rnn_cell.", "E_assm."))}
    model.load_state_dict(weights)
    z = io["z"].requires_grad_()
    losses = model(z, batch)
    loss = sum(losses.values()) / len(z)
    loss.backward()
    close(loss, io["loss"].squeeze(), "loss", GRADIENT)
    for ours, theirs in (("topology", "topo"), ("motif", "motif"), ("attachment", "attach"), ("assembly", "assm")):
        close(losses[ours], io[f"{theirs}_loss_sum"].squeeze(), ours, GRADIENT)
    close(z.grad, io["grad_z"], "gradient of z", GRADIENT)
    parameters = dict(model.named_parameters())
    for key, norm in meta["grad_norms"].items():
        close(parameters[key].grad.norm(), torch.tensor(norm), f"gradient of {key}", GRADIENT)
