"""The same molecule under several scopes of its text."""

import torch
from torch import nn

from molfusion.batch import MoleculeBatch
from molfusion.encoders import Fingerprint, TextEncoder
from molfusion.tasks import Retrieval


class Towers(nn.Module):
    """A molecule's vector is the place of its letter, a text's that of its first letter; both count how often they are asked."""

    asked = 0

    def embed_molecules(self, batch):
        self.asked += len(batch)
        return torch.eye(3)[["abc".index(key) for key in batch.ids]].unsqueeze(1)

    def embed_texts(self, batch):
        return torch.eye(3)[["abc".index(text[0]) for text in batch.texts]]


def batch(ids, texts, scope):
    n = len(ids)
    return MoleculeBatch(
        ids=list(ids), smiles=["C"] * n, texts=texts, groups=list(ids), scopes=[scope] * n, prompts=[""] * n,
        pools=["p" if scope != "all" else ""] * n, targets=torch.zeros(n, 0), views={},
    )  # fmt: skip


def test_a_molecule_is_embedded_once_for_all_scopes():
    task = Retrieval(Fingerprint(dim=8, hidden=8), TextEncoder(dim=8, layers=1, heads=2))
    task.towers = Towers()
    whole = task.observe(batch("abc", ["a", "b", "c"], "all"))
    part = task.observe(batch("cb", ["c", "c"], "chi"))
    assert task.towers.asked == 3
    metrics, _ = task.evaluate([whole, part], "val")
    assert metrics["m2t/R@1"] == metrics["t2m/R@1"] == 1.0
    assert metrics["chi/t2m/pool_accuracy"] == 0.5  # b is told as c; with c's vector in b's place it would be otherwise
