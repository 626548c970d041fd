"""The released way of running the hierarchical decoder under teacher forcing, written from its description.

Index tensors of the whole batch are made once; every step then masks them by what is visible and computes states anew, in
buffers as long as the batch has messages. Names of parameters are the published ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POSITIONS, BOND_TYPES = 30, 4


class Level(NamedTuple):
    """Index tensors of one level; row 0 of each is padding."""

    nodes: Tensor
    messages: Tensor  # [M, 4] from, to, two features
    into_node: Tensor  # [N, K + 1] messages; the last column is spare
    into_message: Tensor  # [M, K + 1]


class Tensors(NamedTuple):
    """A batch as the released code sees it, and what Python objects keep beside it."""

    tree: Level
    graph: Level
    members: Tensor  # [N, K] atoms of each tree node
    scope: list[int]  # the root of each molecule
    orders: list[list[tuple[int, int | None, int]]]
    clusters: list[list[int]]
    edge: dict[tuple[int, int], int]
    bond: dict[tuple[int, int], int]
    near: dict[int, list[int]]
    anchors: dict[int, list[int]]
    candidates: dict[int, list[tuple[int, ...]]]


def tensorise(trees: Sequence[Any], words: Any, atom_index: dict[tuple[str, int], int]) -> Tensors:
    """Motif trees (`molfusion.chem.motifs_tree.MotifTree`, of `compat`) as index tensors; ids from 1 over the batch."""
    nodes, tree_messages, clusters = [(0, 0)], [(0, 0, 0, 0)], [[]]
    atoms, graph_messages = [0], [(0, 0, 0, 0)]
    edge, bond, scope, orders, anchors, candidates = {}, {}, [], [], {}, {}
    near: dict[int, list[int]] = {}
    for tree in trees:
        n0, a0 = len(nodes), len(atoms)
        scope.append(n0)
        orders.append([(x + n0, None if y is None else y + n0, down) for x, y, down in tree.order])
        for i, node in enumerate(tree.nodes):
            pair = words.pair_index[node.motif, node.attach]
            nodes.append((words.motif_of[pair], pair))
            clusters.append([a + a0 for a in node.atoms])
            anchors[i + n0] = [words.pair_index[node.motif, smiles] for _, smiles in node.anchors]
            candidates[i + n0] = [tuple(a + a0 for a in place) for place in node.candidates]
        for x, y in tree.edges:
            edge[x + n0, y + n0] = len(tree_messages)
            tree_messages.append((x + n0, y + n0, tree.label(x, y), 0))
        atoms += [atom_index[atom.GetSymbol(), atom.GetFormalCharge()] for atom in tree.mol.GetAtoms()]
        for (a, b), (kind, position) in tree.bonds.items():
            bond[a + a0, b + a0] = len(graph_messages)
            graph_messages.append((a + a0, b + a0, kind, position))
            near.setdefault(a + a0, []).append(b + a0)
    atoms[0], nodes[0] = atoms[1], nodes[1]
    return Tensors(
        _level(nodes, tree_messages), _level(atoms, graph_messages), _table(clusters, 0), scope, orders, clusters,
        edge, bond, near, anchors, candidates,
    )  # fmt: skip


def _level(nodes: list[Any], messages: list[tuple[int, int, int, int]]) -> Level:
    into: list[list[int]] = [[] for _ in nodes]
    for number, (_, to, _, _) in enumerate(messages):
        if number:
            into[to].append(number)
    before = [[m for m in into[a] if messages[m][0] != b] if k else [] for k, (a, b, _, _) in enumerate(messages)]
    return Level(torch.tensor(nodes), torch.tensor(messages), _table(into, 1), _table(before, 1))


def _table(rows: list[list[int]], spare: int) -> Tensor:
    width = max(map(len, rows)) + spare
    return torch.tensor([row + [0] * (width - len(row)) for row in rows])


def scatter(part: Tensor, whole: Tensor, index: Tensor) -> Tensor:
    """`whole` with the rows `index` taken from `part`, by a buffer and a mask of its full size."""
    n, d = whole.shape
    buffer = torch.zeros_like(whole).scatter_(0, index.repeat(d, 1).t(), part)
    mask = torch.ones(n).scatter_(0, index, 0)
    return whole * mask.unsqueeze(-1) + buffer


class PlainLSTM(nn.Module):
    def __init__(self, dim_in: int, dim: int, depth: int) -> None:
        super().__init__()
        self.depth = depth
        self.W_i, self.W_o, self.W_f, self.W = (nn.Sequential(nn.Linear(dim_in + dim, dim), g) for g in _gates())

    def forward(self, h: Tensor, c: Tensor, x: Tensor, which: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
        """Rows `which` of h and c from nothing, `depth` times, reading `near` [n, K]."""
        mask = torch.ones(len(h)).scatter_(0, which, 0).unsqueeze(1)
        h, c = h * mask, c * mask
        for _ in range(self.depth):
            h_near = h.index_select(0, near.reshape(-1)).view(*near.shape, -1)
            c_near = c.index_select(0, near.reshape(-1)).view(*near.shape, -1)
            both = torch.cat([x, h_near.sum(1)], -1)
            each = torch.cat([x.unsqueeze(1).expand(-1, near.shape[1], -1), h_near], -1)
            new_c = self.W_i(both) * self.W(both) + (self.W_f(each) * c_near).sum(1)
            new_h = self.W_o(both) * torch.tanh(new_c)
            h, c = scatter(new_h, h, which), scatter(new_c, c, which)
        return h, c


def _gates() -> list[nn.Module]:
    return [nn.Sigmoid(), nn.Sigmoid(), nn.Sigmoid(), nn.Tanh()]


class PlainLevel(nn.Module):
    def __init__(self, dim_node: int, dim_message: int, hidden: int, depth: int) -> None:
        super().__init__()
        self.rnn = PlainLSTM(dim_message, hidden, depth)
        self.W_o = nn.Sequential(nn.Linear(dim_node + hidden, hidden), nn.ReLU())

    def forward(
        self, x: Tensor, messages: Tensor, into_node: Tensor, near: Tensor, h: Tensor, c: Tensor,
        nodes: Tensor, which: Tensor, n: int,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Vectors of `nodes` (all others 0), and the states after their messages `which` were computed."""
        if len(which):
            h, c = self.rnn(h, c, messages, which, near)
        arriving = h.index_select(0, into_node.reshape(-1)).view(*into_node.shape, -1).sum(1)
        out = self.W_o(torch.cat([x, arriving], 1))
        return scatter(out, torch.zeros(n, out.shape[1]), nodes), h, c


class PlainMessages(nn.Module):
    def __init__(self, atoms: int, motifs: int, pairs: int, embed: int, hidden: int, rounds: int) -> None:
        super().__init__()
        self.E_c, self.E_i = (nn.Sequential(nn.Embedding(n, embed)) for n in (motifs, pairs))
        self.W_c, self.W_i = (nn.Sequential(nn.Linear(embed + hidden, hidden), nn.ReLU()) for _ in range(2))
        self.graph_encoder = PlainLevel(atoms, atoms + BOND_TYPES + POSITIONS, hidden, rounds)
        self.inter_encoder = PlainLevel(hidden, hidden + POSITIONS, hidden, 1)
        self.tree_encoder = PlainLevel(hidden, hidden + POSITIONS, hidden, 1)


class PlainDecoder(nn.Module):
    """Losses of a batch; `state_dict` in the published layout, duplicates left out."""

    def __init__(self, atoms: int, words: Any, latent: int, embed: int, hidden: int, rounds: int = 5) -> None:
        super().__init__()
        motifs, pairs = len(words.motifs), len(words.pairs)
        self.atoms, self.hidden = atoms, hidden
        self.hmpn = PlainMessages(atoms, motifs, pairs, embed, hidden, rounds)
        self.topoNN, self.clsNN, self.iclsNN = (
            nn.Sequential(nn.Linear(hidden + latent, hidden), nn.ReLU(), nn.Dropout(0.0), nn.Linear(hidden, n))
            for n in (1, motifs, pairs)
        )
        self.matchNN = nn.Sequential(nn.Linear(hidden + embed + POSITIONS, hidden), nn.ReLU())
        self.W_assm, self.W_root = nn.Linear(hidden, latent), nn.Linear(latent, hidden)
        mask = torch.full((motifs, pairs), -1000.0)
        mask[torch.tensor(words.motif_of), torch.arange(pairs)] = 0
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, z: Tensor, batch: Tensors) -> dict[str, Tensor]:
        """Sums of the four losses over the batch."""
        tree, graph = batch.tree, batch.graph
        features = [F.one_hot(graph.nodes[graph.messages[:, 0]], self.atoms), F.one_hot(graph.messages[:, 2], BOND_TYPES)]
        bonds = torch.cat([*features, F.one_hot(graph.messages[:, 3], POSITIONS)], 1).float()
        atoms = F.one_hot(graph.nodes, self.atoms).float()
        b, m = len(z), len(tree.messages)
        start = self.W_root(z)
        into_node, into_message = tree.into_node.clone(), tree.into_message.clone()
        for i, root in enumerate(batch.scope):  # the init vector is one more message, in the spare columns
            into_node[root, -1] = m + i
            for (x, _), number in batch.edge.items():
                if x == root:
                    into_message[number, -1] = m + i
        seen_tree = torch.cat([torch.zeros(m), torch.ones(b)])
        seen_bonds = torch.zeros(len(graph.messages))
        h_t, c_t = torch.cat([torch.zeros(m, self.hidden), start]), torch.zeros(m + b, self.hidden)
        h_i, c_i = torch.zeros_like(c_t), torch.zeros_like(c_t)
        h_g, c_g = (torch.zeros(len(graph.messages), self.hidden) for _ in range(2))
        motifs: list[Any] = [(start[i], i, *tree.nodes[r].tolist()) for i, r in enumerate(batch.scope)]
        topo, assembly = [], []
        where = {i: batch.clusters[r] for i, r in enumerate(batch.scope)}
        widest = 2 * max(map(len, batch.clusters))
        for t in range(max(map(len, batch.orders))):
            active = [i for i in range(b) if t < len(batch.orders[i])]
            now = [batch.orders[i][t] for i in active]
            inside = torch.tensor([a for i in active for a in where[i]])
            own = [batch.bond[a, o] for i in active for a in where[i] for o in batch.near.get(a, ()) if o in set(where[i])]
            sent = [batch.edge[x, y] for x, y, _ in now if y is not None]
            new_bonds, new_messages = torch.tensor(own, dtype=torch.long), torch.tensor(sent, dtype=torch.long)
            seen_bonds = seen_bonds.scatter(0, new_bonds, 1)
            seen_tree = seen_tree.scatter(0, new_messages, 1)
            g_node, g_near = graph.into_node[inside], graph.into_message[new_bonds]
            vectors, h_g, c_g = self.hmpn.graph_encoder(
                atoms[inside], bonds[new_bonds], (g_node * seen_bonds[g_node]).long(), (g_near * seen_bonds[g_near]).long(),
                h_g, c_g, inside, new_bonds, len(atoms),
            )  # fmt: skip
            nodes = torch.tensor([x for x, _, _ in now])
            t_node, t_near = into_node[nodes], into_message[new_messages]
            t_node, t_near = (t_node * seen_tree[t_node]).long(), (t_near * seen_tree[t_near]).long()
            i_node, i_near = t_node * (t_node < m), t_near * (t_near < m)
            members = vectors.index_select(0, batch.members[nodes].reshape(-1)).view(len(nodes), -1, self.hidden).sum(1)
            pairs = self.hmpn.W_i(torch.cat([self.hmpn.E_i(tree.nodes[nodes, 1]), members], 1))
            inter, h_i, c_i = self._tree(self.hmpn.inter_encoder, pairs, tree, nodes, new_messages, i_node, i_near, h_i, c_i)
            words = self.hmpn.W_c(torch.cat([self.hmpn.E_c(tree.nodes[nodes, 0]), inter[nodes]], 1))
            out, h_t, c_t = self._tree(self.hmpn.tree_encoder, words, tree, nodes, new_messages, t_node, t_near, h_t, c_t)
            for i, (x, y, down) in zip(active, now, strict=True):
                topo.append((out[x], i, down))
                if y is not None:
                    where[i] = batch.clusters[y]
                if not down:
                    continue
                assert y is not None
                motifs.append((h_t[batch.edge[x, y]], i, *tree.nodes[y].tolist()))
                if len(batch.clusters[x]) > 2:
                    places = vectors[torch.tensor(batch.candidates[y])]
                    names = self.hmpn.E_i(torch.tensor(batch.anchors[y])).expand(len(places), -1, -1)
                    position = F.one_hot(tree.messages[batch.edge[y, x], 2], POSITIONS).float().expand(*places.shape[:2], -1)
                    found = self.matchNN(torch.cat([places, names, position], -1)).sum(1)
                    assembly.append((F.pad(found, (0, 0, 0, widest - len(found))), i))
        return self._losses(z, topo, motifs, assembly)

    def _tree(
        self, level: PlainLevel, x: Tensor, tree: Level, nodes: Tensor, which: Tensor, into: Tensor, near: Tensor,
        h: Tensor, c: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        whole = scatter(x, torch.zeros(len(tree.nodes), self.hidden), nodes)
        position = F.one_hot(tree.messages[which, 2], POSITIONS).float()
        messages = torch.cat([whole[tree.messages[which, 0]], position], 1)
        out: tuple[Tensor, Tensor, Tensor] = level(x, messages, into, near, h, c, nodes, which, len(tree.nodes))
        return out

    def _losses(self, z: Tensor, topo: list[Any], motifs: list[Any], assembly: list[Any]) -> dict[str, Tensor]:
        vectors, owner, down = (list(v) for v in zip(*topo, strict=True))
        score = self.topoNN(torch.cat([torch.stack(vectors), z[owner]], 1)).squeeze(-1)
        losses = {"topology": F.binary_cross_entropy_with_logits(score, torch.tensor(down).float(), reduction="sum")}
        vectors, owner, motif, pair = (list(v) for v in zip(*motifs, strict=True))
        x, truth = torch.cat([torch.stack(vectors), z[owner]], 1), torch.tensor(motif)
        losses["motif"] = F.cross_entropy(self.clsNN(x), truth, reduction="sum")
        losses["attachment"] = F.cross_entropy(self.iclsNN(x) + self.mask[truth], torch.tensor(pair), reduction="sum")
        losses["assembly"] = z.new_zeros(())
        if assembly:
            vectors, owner = (list(v) for v in zip(*assembly, strict=True))
            scores = (self.W_assm(torch.stack(vectors)) * z[owner].unsqueeze(1)).sum(-1)
            losses["assembly"] = F.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long), reduction="sum")
        return losses
