"""What the views are measured against: the usual way of doing the same, kept plain. Not part of the package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rdkit.Chem import Draw

from molfusion.views import ConformerView, E3FPView, FingerprintView, GraphView, RelationsView, View

FAR = 510


def paths(n: int, edges: NDArray[Any], features: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Floyd-Warshall, then every path as a list, then the features of all its bonds (as Graphormer's preprocessing).

    The triple loop runs row by row in NumPy, which is as fast as a compiled one at these sizes; the lists are Python.

    Returns:
        distances [N, N], FAR = no path; bonds [N, N, longest path, 3], -1 = the path is over.
    """
    bond: NDArray[np.int64] = np.full((n, n, 3), -1)
    bond[edges[:, 0], edges[:, 1]] = features
    distance = np.full((n, n), FAR)
    distance[edges[:, 0], edges[:, 1]] = 1
    np.fill_diagonal(distance, 0)
    via = np.full((n, n), -1)
    for k in range(n):
        through = distance[:, k, None] + distance[k]
        better = through < distance
        distance[better] = through[better]
        via[better] = k

    def between(i: int, j: int) -> list[int]:
        k = int(via[i, j])
        return [] if k == -1 else [*between(i, k), k, *between(k, j)]

    reached = distance[distance < FAR]
    whole: NDArray[np.int64] = np.full((n, n, int(reached.max()), 3), -1)
    for i in range(n):
        for j in range(n):
            if i == j or distance[i, j] >= FAR:
                continue
            path = [i, *between(i, j), j]
            for h in range(len(path) - 1):
                whole[i, j, h] = bond[path[h], path[h + 1]]
    return distance, whole


def draw(mol: Any, width: int, height: int) -> bytes:
    """Through RDKit's grid (which encodes and decodes) and out by PIL: two PNG encodings, one decoding."""
    out = BytesIO()
    Draw.MolsToGridImage([mol], molsPerRow=1, subImgSize=(width, height)).save(out, format="png")
    return out.getvalue()


Item = Mapping[str, NDArray[Any]]


def collate(view: View, items: Sequence[Item]) -> dict[str, torch.Tensor]:
    """The tensors of a batch, filled in one molecule after the other."""
    if isinstance(view, ConformerView):
        return padded(items, {"numbers": ("numbers", 0, np.int64), "positions": ("positions", 0, np.float32)})
    if isinstance(view, E3FPView):
        return padded(items, {"ids": ("ids", -1, np.int64)})
    if isinstance(view, FingerprintView):
        dense = np.zeros((len(items), view.width), np.float32)
        for row, item in zip(dense, items, strict=True):
            row[item["index"]] = item["count"]
        return {"counts": torch.from_numpy(dense)}
    if isinstance(view, GraphView):
        return graphs(items)
    assert isinstance(view, RelationsView)
    return relations(items)


def padded(items: Sequence[Item], fields: Mapping[str, tuple[str, float, Any]]) -> dict[str, torch.Tensor]:
    out = {}
    for name, (key, fill, kind) in fields.items():
        lengths = [len(i[key]) for i in items]
        array = np.full((len(items), max(lengths), *items[0][key].shape[1:]), fill, kind)
        mask = np.zeros(array.shape[:2], bool)
        for b, item in enumerate(items):
            array[b, : lengths[b]] = item[key]
            mask[b, : lengths[b]] = True
        out |= {name: torch.from_numpy(array), "mask": torch.from_numpy(mask)}
    return out


def graphs(items: Sequence[Item]) -> dict[str, torch.Tensor]:
    edges, molecule, start = [], [], 0
    for b, item in enumerate(items):
        edges.append(item["edges"] + start)
        molecule.append(np.full(len(item["atoms"]), b))
        start += len(item["atoms"])
    return {
        "x": torch.from_numpy(np.concatenate([i["atoms"] for i in items]).astype(np.int64)),
        "edge_index": torch.from_numpy(np.concatenate(edges).T.astype(np.int64)),
        "edge_attr": torch.from_numpy(np.concatenate([i["bonds"] for i in items]).astype(np.int64)),
        "batch": torch.from_numpy(np.concatenate(molecule)),
    }


def relations(items: Sequence[Item]) -> dict[str, torch.Tensor]:
    out = padded([{"atoms": i["atoms"] + np.uint8(1)} for i in items], {"atoms": ("atoms", 0, np.uint8)})
    b, n = out["mask"].shape
    distances, hops = np.zeros((b, n, n), np.int16), np.zeros((b, n, n, 5), np.uint8)
    for i, item in enumerate(items):
        k = len(item["atoms"])
        far = item["distances"].reshape(k, k).astype(np.int16)
        far[far == 0] = FAR
        np.fill_diagonal(far, 0)
        distances[i, :k, :k] = far + 1
        hops[i, :k, :k] = item["hops"].reshape(k, k, 5)
    return out | {"distances": torch.from_numpy(distances), "hops": torch.from_numpy(hops)}


@torch.no_grad()
def diffusion_sample(
    denoiser: Any, context: torch.Tensor, x: torch.Tensor, noises: torch.Tensor, guidance: float
) -> torch.Tensor:
    """50 ancestral steps of 100 with a linear schedule, as the formulas are written: two calls a step if guided."""
    beta = torch.linspace(0.001, 0.2, 100, dtype=torch.float64)
    alphas = torch.cumprod(1 - beta, 0).float()
    times = list(reversed(torch.linspace(-1, 99, len(noises) + 1).int().tolist()))
    nothing = denoiser.nothing(torch.zeros(len(x), dtype=torch.long))
    for k, (now, then) in enumerate(pairwise(times)):
        t = torch.full((len(x),), now)
        x0 = denoiser(x, t, context)
        if guidance != 1.0:
            x0 = guidance * x0 + (1 - guidance) * denoiser(x, t, nothing)
        if then < 0:
            return x0
        a, after = alphas[now], alphas[then]
        noise = (x / a.sqrt() - x0) / (1 / a - 1).sqrt()
        sigma = ((1 - a / after) * (1 - after) / (1 - a)).sqrt()
        x = x0 * after.sqrt() + (1 - after - sigma**2).sqrt() * noise + sigma * noises[k + 1]
    return x
