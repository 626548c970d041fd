"""What the views are measured against: the usual way of doing the same, kept plain. Not part of the package."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit.Chem import Draw

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
