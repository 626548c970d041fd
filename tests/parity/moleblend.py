"""Checks against MoleBLEND's official preprocessing and modules."""

import torch

from molfusion.batch import Record
from molfusion.chem.graph import ATOM_SIZES
from molfusion.chem.relations import FAR, HOPS
from molfusion.views.relations import Relations, RelationsView
from tests.parity.golden import Case, close, component

UNREACHABLE = 510


def relations_of(smiles) -> Relations:
    view = RelationsView(max_atoms=512)
    return view.collate([view.featurise(Record(s, s, s)) for s in map(str, smiles)])


@component("moleblend", "collate")
def collate(case: Case, tmp_path) -> None:
    assert case.config["multi_hop_max_dist"] == HOPS
    assert FAR == UNREACHABLE
    given, expected = case.arrays("inputs"), case.arrays("outputs")
    batch = relations_of(given["in_smiles"])
    counts = given["in_n_atoms"].tolist()
    close(batch.mask.sum(1), given["in_n_atoms"], "atoms of each molecule")
    close(batch.atom_rows(), expected["out_batch_x"], "x")
    close(batch.distances, expected["out_batch_spatial_pos"], "spatial_pos")
    close(batch.degree_rows(), expected["out_batch_in_degree"], "in_degree")
    close(batch.degree_rows(), expected["out_batch_out_degree"], "out_degree")
    close(batch.bond_rows(), expected["out_batch_attn_edge_type"], "attn_edge_type")
    close(batch.pair_rows(), expected["out_batch_node_type_edge"], "node_type_edge")
    d = expected["out_batch_edge_input"].shape[3]  # theirs is as deep as the batch's longest path, ours always 5
    close(batch.hop_rows()[:, :, :, :d], expected["out_batch_edge_input"], "edge_input")
    assert not batch.hop_rows()[:, :, :, d:].any()
    closed = torch.isinf(expected["out_batch_attn_bias"][:, 0, 1:])
    close(~batch.mask, closed, "columns that attention may not read")

    for k, n in enumerate(counts):
        prefix = f"out_mol{k}_"
        close(batch.atoms[k, :n].long() - 1, expected[f"{prefix}node_feat"], f"features {k}")
        spd = expected[f"{prefix}spd"]
        close(batch.distances[k, :n, :n].long() - 1, spd, f"distances {k}")
        _follows(batch, k, n, expected[f"{prefix}fw_path"], spd)
        close(batch.degrees()[k, :n], expected[f"{prefix}item_in_degree"], f"degrees {k}")
    assert batch.atoms.shape[-1] == len(ATOM_SIZES)


def _follows(batch: Relations, k: int, n: int, inner: torch.Tensor, spd: torch.Tensor) -> None:
    """Every path's hops are those of its two halves around the recorded inner atom."""
    hops = batch.hops[k, :n, :n].tolist()
    for i in range(n):
        for j in range(n):
            length = int(spd[i, j])
            if not 1 < length < UNREACHABLE:
                continue
            via = int(inner[i, j])
            left, right = int(spd[i, via]), int(spd[via, j])
            assert left + right == length
            whole = hops[i][via][: min(left, HOPS)] + hops[via][j][: min(right, HOPS)]
            if left < HOPS:
                assert hops[i][j][: min(length, HOPS)] == whole[: min(length, HOPS)]
            else:
                assert hops[i][j] == hops[i][via]
