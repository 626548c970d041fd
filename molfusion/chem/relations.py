"""Shortest paths between all atoms of a molecule, and the bonds at their start."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from molfusion.chem.graph import BOND_SIZES, Graph

HOPS = 5  # bonds of a path that are kept
FAR = 510  # a path of so many bonds counts as none: MoleBLEND's table of distances ends here

# Every bond feature triple as one number: 1 + type * 12 + stereo * 2 + conjugated; 0 = no bond.
_PLACES = np.array([BOND_SIZES[1] * BOND_SIZES[2], BOND_SIZES[2], 1], dtype=np.uint8)
CODES = 1 + int(np.prod(BOND_SIZES))  # 61, so that a code fits a byte


class Paths(NamedTuple):
    """The shortest path from each atom i to each atom j."""

    distances: NDArray[np.uint16]  # [N, N] bonds from i to j, 0 = i itself, or no path
    hops: NDArray[np.uint8]  # [N, N, HOPS] codes of the first bonds of the path from i, 0 = the path is over


def paths(graph: Graph) -> Paths:
    """Distances and path bonds under the tie rule of the Floyd-Warshall loop (Graphormer, Transformer-M, MoleBLEND).

    Of all shortest paths from i to j it is the one whose largest inner atom index is smallest, and so on within
    both halves: the loop updates only on strict improvement, the inner atom outermost and ascending. Such a path's
    parts are such paths themselves, and the path back is the same one, so the next atom is all there is to keep.
    """
    from scipy.sparse.csgraph import floyd_warshall  # 0.4 s to import: only where it is needed

    n = len(graph.atoms)
    codes = np.zeros((n, n), dtype=np.uint8)
    codes[graph.edges[:, 0], graph.edges[:, 1]] = bond_codes(graph.bonds)
    # scipy takes a masked array as it is; any other form it would search for what is no edge.
    bonds = np.ma.MaskedArray(np.ones((n, n)), mask=codes == 0)
    lengths, before = floyd_warshall(bonds, return_predecessors=True, overwrite=True)
    reached = before >= 0  # from one atom to another one
    if n > FAR:
        reached &= lengths < FAR
    # The last atom before i on the path from j is the first after i on the path to j; 'stay' where there is none.
    after = np.where(reached, before.T, np.arange(n)[:, None])
    return Paths(np.where(reached, lengths, 0).astype(np.uint16), _walk(codes, after))


def _walk(codes: NDArray[np.uint8], after: NDArray[np.int64]) -> NDArray[np.uint8]:
    """[N, N, HOPS]: from i towards j, one atom after the other. Pairs are numbered i * N + j."""
    n = len(codes)
    onward = (after * n + np.arange(n)).ravel()  # the pair (next atom, j)
    hops = np.empty((HOPS, n * n), dtype=np.uint8)
    first, at = hops[0], onward
    codes.take((after + n * np.arange(n)[:, None]).ravel(), out=first, mode="clip")  # staying is no bond: 0
    for hop in hops[1:]:
        first.take(at, out=hop, mode="clip")
        at = onward.take(at, mode="clip")
    return hops.T.reshape(n, n, HOPS)


def bond_codes(bonds: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[E, 3] features -> [E] codes in 1 … 60."""
    codes: NDArray[np.uint8] = bonds @ _PLACES + np.uint8(1)
    return codes


def part(graph: Graph, kept: NDArray[np.int64]) -> Graph:
    """The graph of the atoms `kept` and of the bonds among them; features stay those of the whole molecule."""
    place = np.full(len(graph.atoms), -1, dtype=np.int32)
    place[kept] = np.arange(len(kept))
    edges = place[graph.edges]
    inside = (edges >= 0).all(axis=1)
    return Graph(graph.atoms[kept], graph.bonds[inside], edges[inside])
