"""MoleBLEND's pretraining step, operation by operation as the published code does it; keys are the published ones.

For `benchmarks/moleblend.py` to measure against; it passes the golden cases itself (tests/parity/test_plain_moleblend.py)
and shares nothing with molfusion. Every gather, every [B, N, N, 1024] outer product is written down; three masked fills
blend; attention is two products and a softmax. Batches are the published collator's: `x`, `edge_input`, `spatial_pos`,
`in_degree`, `node_type_edge`, `pos`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Batch = dict[str, Tensor]


class _AtomFeature(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.atom_encoder = nn.Embedding(512 * 9 + 1, dim, padding_idx=0)
        self.in_degree_encoder = nn.Embedding(512, dim, padding_idx=0)
        self.out_degree_encoder = nn.Embedding(512, dim, padding_idx=0)
        self.graph_token = nn.Embedding(1, dim)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        atoms = self.atom_encoder(batch["x"]).sum(-2)
        token = self.graph_token.weight.unsqueeze(0).repeat(len(atoms), 1, 1)
        degrees = self.in_degree_encoder(batch["in_degree"]) + self.out_degree_encoder(batch["in_degree"])
        return torch.cat([token, atoms], 1), degrees


class _GraphBias(nn.Module):
    def __init__(self, heads: int) -> None:
        super().__init__()
        self.edge_encoder = nn.Embedding(512 * 3 + 1, heads, padding_idx=0)
        self.edge_dis_encoder = nn.Embedding(128 * heads * heads, 1)
        self.spatial_pos_encoder = nn.Embedding(512, heads, padding_idx=0)
        self.graph_token_virtual_distance = nn.Embedding(1, heads)

    def base(self, padded: Tensor) -> Tensor:
        """[B, H, T, T]: the graph token's constant, and -inf in the columns of padding."""
        b, t = padded.shape
        out = torch.zeros(b, self.spatial_pos_encoder.embedding_dim, t, t, device=padded.device)
        constant = self.graph_token_virtual_distance.weight.view(1, -1, 1)
        out[:, :, 1:, 0] = out[:, :, 1:, 0] + constant
        out[:, :, 0, :] = out[:, :, 0, :] + constant
        return out.masked_fill(padded[:, None, None, :], float("-inf"))

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        spd = self.spatial_pos_encoder(batch["spatial_pos"]).permute(0, 3, 1, 2)
        edges = self.edge_encoder(batch["edge_input"]).mean(-2)  # [B, N, N, hops, H]
        b, n, _, hops, h = edges.shape
        matrices = self.edge_dis_encoder.weight.reshape(-1, h, h)[:hops]
        flat = torch.bmm(edges.permute(3, 0, 1, 2, 4).reshape(hops, -1, h), matrices)
        summed = flat.reshape(hops, b, n, n, h).permute(1, 2, 3, 0, 4).sum(-2)
        length = (batch["spatial_pos"] - 1).clamp(1, 5).float()
        return spd, (summed / length.unsqueeze(-1)).permute(0, 3, 1, 2)


class _Gaussians(nn.Module):
    def __init__(self, kernels: int) -> None:
        super().__init__()
        self.means, self.stds = nn.Embedding(1, kernels), nn.Embedding(1, kernels)
        self.mul, self.bias = (nn.Embedding(512 * 3, 1, padding_idx=0) for _ in range(2))

    def forward(self, distance: Tensor, types: Tensor) -> Tensor:
        x = self.mul(types).sum(-2) * distance.unsqueeze(-1) + self.bias(types).sum(-2)
        mean, std = self.means.weight.float().view(-1), self.stds.weight.float().view(-1).abs() + 1e-2
        return torch.exp(-0.5 * ((x.float() - mean) / std) ** 2) / ((2 * 3.14159) ** 0.5 * std)


class _Two(nn.Module):
    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.layer1, self.layer2 = nn.Linear(width, width), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer2(F.gelu(self.layer1(x)))


class _SpaceBias(nn.Module):
    def __init__(self, dim: int, heads: int, kernels: int) -> None:
        super().__init__()
        self.gbf, self.gbf_proj, self.edge_proj = _Gaussians(kernels), _Two(kernels, heads), nn.Linear(kernels, dim)

    def forward(self, batch: Batch, padded: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        delta = batch["pos"].unsqueeze(1) - batch["pos"].unsqueeze(2)
        distance = delta.norm(dim=-1)
        delta = delta / (distance.unsqueeze(-1) + 1e-5)
        density = self.gbf(distance, batch["node_type_edge"])
        bias = self.gbf_proj(density).permute(0, 3, 1, 2).contiguous()
        bias = bias.masked_fill(padded[:, None, None, :], float("-inf"))
        summed = density.masked_fill(padded[:, None, :, None], 0.0).sum(-2)
        return bias, self.edge_proj(summed), delta


class _Attention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x [T, B, D]."""
        t, b, d = x.shape
        size = d // self.heads
        split = (t, b * self.heads, size)
        q = (self.q_proj(x) * size**-0.5).contiguous().view(split).transpose(0, 1)
        k, v = (p(x).contiguous().view(split).transpose(0, 1) for p in (self.k_proj, self.v_proj))
        weights = torch.bmm(q, k.transpose(1, 2)) + bias.reshape(b * self.heads, t, t)
        weights = torch.softmax(weights.float(), dim=-1).type_as(v)
        return self.out_proj(torch.bmm(weights, v).transpose(0, 1).reshape(t, b, d))


class _Layer(nn.Module):
    def __init__(self, dim: int, ffn: int, heads: int) -> None:
        super().__init__()
        self.self_attn, self.self_attn_layer_norm = _Attention(dim, heads), nn.LayerNorm(dim)
        self.fc1, self.fc2, self.final_layer_norm = nn.Linear(dim, ffn), nn.Linear(ffn, dim), nn.LayerNorm(dim)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = self.self_attn_layer_norm(x + self.self_attn(x, bias))
        return self.final_layer_norm(x + self.fc2(F.gelu(self.fc1(x))))


class _AtomHead(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(dim, dim) for _ in range(3))
        self.force_proj1, self.force_proj2, self.force_proj3 = (nn.Linear(dim, 1) for _ in range(3))

    def forward(self, x: Tensor, bias: Tensor, delta: Tensor) -> Tensor:
        """x [N, B, D]."""
        x = x.transpose(0, 1)
        b, n, d = x.shape
        q, k, v = (p(x).view(b, n, self.heads, -1).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        weights = torch.softmax((q * (d // self.heads) ** -0.5 @ k.transpose(-1, -2) + bias).float(), dim=-1).type_as(v)
        turned = (weights.unsqueeze(-1) * delta.unsqueeze(1).type_as(v)).permute(0, 1, 4, 2, 3)  # [B, H, 3, N, N]
        read = (turned @ v.unsqueeze(2)).permute(0, 3, 2, 1, 4).reshape(b, n, 3, d)
        axes = (self.force_proj1, self.force_proj2, self.force_proj3)
        return torch.cat([proj(read[:, :, a]) for a, proj in enumerate(axes)], -1).float()


class _Outer(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.row_head, self.column_head = nn.Linear(dim, 32), nn.Linear(dim, 32)
        self.row_LayerNorm, self.column_LayerNorm = nn.LayerNorm(32, eps=1e-12), nn.LayerNorm(32, eps=1e-12)

    def forward(self, x: Tensor) -> Tensor:
        """[B, N, N, 1024]."""
        row, column = self.row_LayerNorm(F.gelu(self.row_head(x))), self.column_LayerNorm(F.gelu(self.column_head(x)))
        return torch.einsum("bic,bjd->bijcd", row, column).flatten(-2)


class _PairHead(nn.Module):
    def __init__(self, dim: int, name: str, outputs: int) -> None:
        super().__init__()
        self.name = name
        self.transform_n2_head = _Outer(dim)
        self.add_module(name, nn.Linear(1024, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.get_submodule(self.name)(self.transform_n2_head(x))


class _DirectionHead(_PairHead):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__(dim, "linear", hidden)
        self.force_proj1, self.force_proj2, self.force_proj3 = (nn.Linear(hidden, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        hidden = super().forward(x)
        return torch.cat([self.force_proj1(hidden), self.force_proj2(hidden), self.force_proj3(hidden)], -1)


class PlainMoleBlend(nn.Module):
    """Encoder with all heads; `forward` is the states, `losses` the four of one draw."""

    def __init__(self, dim: int, layers: int, ffn: int, heads: int, kernels: int, hidden: int = 256) -> None:
        super().__init__()
        self.atom_feature = _AtomFeature(dim)
        self.molecule_attn_bias = _GraphBias(heads)
        self.molecule_3d_bias = _SpaceBias(dim, heads, kernels)
        self.emb_layer_norm = nn.LayerNorm(dim)
        self.layers = nn.ModuleList(_Layer(dim, ffn, heads) for _ in range(layers))
        self.atom_proc = _AtomHead(dim, heads)
        self.blend_spd_pred_head = _PairHead(dim, "linear", 11)
        self.blend_edge_pred_head = _PairHead(dim, "linear_map_feature", 120)
        self.blend_3d_pred_head = _DirectionHead(dim, hidden)

    def forward(self, batch: Batch, blend: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        """States [T, B, D] of the last layer, and the vectors [B, N, 3]; blend: relations [N, N] and atoms [B, N]."""
        padded = batch["x"][:, :, 0] == 0
        x, degrees = self.atom_feature(batch)
        whole = self.molecule_attn_bias.base(F.pad(padded, (1, 0)))
        spd, path = self.molecule_attn_bias(batch)
        space, central, delta = self.molecule_3d_bias(batch, padded)
        if blend is None:
            whole[:, :, 1:, 1:] = whole[:, :, 1:, 1:] + spd + path + space
            x[:, 1:] = x[:, 1:] + degrees + central * 0.01
        else:
            relation, solid = blend
            parts = [bias.masked_fill(relation != code, 0.0) for code, bias in enumerate((spd, path, space))]
            whole[:, :, 1:, 1:] = whole[:, :, 1:, 1:] + (parts[0] + parts[1] + parts[2])
            solid = solid.unsqueeze(-1)
            x[:, 1:] = x[:, 1:] + degrees.masked_fill(solid, 0.0) + (central * 0.01).masked_fill(~solid, 0.0)
        x = self.emb_layer_norm(x).transpose(0, 1)
        for layer in self.layers:
            x = layer(x, whole)
        return x, self.atom_proc(x[1:], whole[:, :, 1:, 1:], delta)

    def losses(self, batch: Batch, noise: Tensor, blend: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Unweighted, under the names of the golden cases."""
        clean = batch["pos"]
        absent = (clean == 0).all(-1)
        x, vectors = self({**batch, "pos": clean + noise}, blend)
        atoms = x[1:].transpose(0, 1)
        spd, edge, way = (head(atoms) for head in (self.blend_spd_pred_head, self.blend_edge_pred_head, self.blend_3d_pred_head))
        asked = ~absent & blend[1]
        denoise = ((1 - F.cosine_similarity(vectors, noise, dim=-1)) * asked).sum() / asked.sum()

        bonds = batch["spatial_pos"] - 1
        classes = torch.where((bonds > 0) & (bonds < 510), bonds.clamp(max=11) - 1, -100)
        rows = batch["edge_input"] - torch.tensor([3, 515, 1027])
        bond = torch.where(batch["edge_input"][..., 0] > 0, rows[..., 0] * 6 + rows[..., 1] * 2 + rows[..., 2], -100)
        edge = edge.view(*edge.shape[:3], 5, 24)[:, :, :, : bond.shape[-1]]

        target = clean.unsqueeze(1) - clean.unsqueeze(2)
        void = (target == 0).all(-1) | absent.unsqueeze(1) | absent.unsqueeze(2)
        each = (1 - F.cosine_similarity(way.float().masked_fill(void.unsqueeze(-1), 0.0), target, dim=-1)).masked_fill(void, 0.0)
        count = (~void).sum((1, 2))
        return {
            "denoise": denoise,
            "spd": F.cross_entropy(spd.permute(0, 3, 1, 2).float(), classes),
            "edge": F.cross_entropy(edge.permute(0, 4, 1, 2, 3).float(), bond),
            "3d": (each.sum((1, 2)) / count.clamp(min=1)).sum() / (count > 0).sum().clamp(min=1),
        }
