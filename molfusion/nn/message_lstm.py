"""An LSTM over a graph without cycles: each row reads the rows before it that it names (child-sum; Tai et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molfusion.nn.precision import float32_island


class Levels(NamedTuple):
    """Rows in an order in which nobody reads itself or a later level. Rows count from 1; row 0 is empty."""

    neighbours: Tensor  # [R, K] int64, rows that each row reads, 0 = none; on the left those that are
    sizes: Sequence[int]  # rows of each level; they sum to R
    widths: Sequence[int]  # the most neighbours in each level


class Weights(NamedTuple):
    """The four gates side by side, as the loops want them."""

    state: Tensor  # [3 H, H] of the neighbours' sum: input, output, candidate
    forget: Tensor  # [H, H] of each neighbour


class MessageLSTM(nn.Module):
    """h = o ⊙ tanh(c), c = i ⊙ u + Σ_k f_k ⊙ c_k; i, o, u see the sum of the neighbours' h, each f_k its own neighbour's."""

    def __init__(self, dim_in: int, dim: int) -> None:
        super().__init__()
        self.dim_in, self.dim = dim_in, dim
        self.input = nn.Linear(dim_in + dim, dim)
        self.output = nn.Linear(dim_in + dim, dim)
        self.candidate = nn.Linear(dim_in + dim, dim)
        self.forget = nn.Linear(dim_in + dim, dim)

    def project(self, x: Tensor) -> Tensor:
        """What the gates make of the rows' own features [..., dim_in] -> [..., 4 H]; float32."""
        gates = (self.input, self.output, self.candidate, self.forget)
        with float32_island(x):
            weight = torch.cat([g.weight[:, : self.dim_in] for g in gates])
            return F.linear(x.float(), weight, torch.cat([g.bias for g in gates]))

    def weights(self) -> Weights:
        gates = (self.input, self.output, self.candidate)
        return Weights(torch.cat([g.weight[:, self.dim_in :] for g in gates]), self.forget.weight[:, self.dim_in :])

    def forward(self, projected: Tensor, levels: Levels, code: Tensor | None = None) -> Tensor:
        """Hidden states [R + 1, H] float32, the empty row first.

        Args:
            projected: [R, 4 H], or [U, 4 H] of which row r has number `code[r]`.
            levels: who reads whom.
            code: [R] int64.
        """
        with float32_island(projected):
            weights = self.weights()
            return _Rows.apply(projected, code, weights.state, weights.forget, *levels)  # type: ignore[no-untyped-call, no-any-return]


def cell(projected: Tensor, h: Tensor, forget_h: Tensor, c: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    """One step without gradients: own features [n, 4 H], neighbours' h, h Wᵀ_f and c [n, K, H] -> h, c [n, H]."""
    d = h.shape[-1]
    gates = projected[:, : 3 * d] + h.sum(1) @ weights.state.T
    i, o = torch.sigmoid(gates[:, :d]), torch.sigmoid(gates[:, d : 2 * d])
    f = torch.sigmoid(projected[:, None, 3 * d :] + forget_h)
    new = i * torch.tanh(gates[:, 2 * d :]) + (f * c).sum(1)
    return o * torch.tanh(new), new


def gathered(rows: Tensor, near: Tensor) -> Tensor:
    """Sum [n, H] of the rows [R + 1, H] that each of [n, K] names; row 0 is empty."""
    n, k = near.shape
    return rows.index_select(0, near.reshape(-1)).view(n, k, -1).sum(1)


class _Rows(torch.autograd.Function):
    """All levels in one node of the autograd graph: states lie in one buffer, and each weight's gradient is one product."""

    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        code: Tensor | None,
        state: Tensor,
        forget: Tensor,
        neighbours: Tensor,
        sizes: Sequence[int],
        widths: Sequence[int],
    ) -> Tensor:
        rows, d = len(neighbours), forget.shape[0]
        h, c, hf = (projected.new_zeros(rows + 1, d) for _ in range(3))
        sums = projected.new_zeros(rows, d)
        gates = projected.new_empty(rows, 3 * d)
        start = 0
        for n, width in zip(sizes, widths, strict=True):
            own, place = slice(start, start + n), slice(start + 1, start + n + 1)
            x = projected[own] if code is None else projected[code[own]]
            g = gates[own]
            if width:
                near = neighbours[own, :width]
                flat = near.reshape(-1)
                torch.sum(h.index_select(0, flat).view(n, width, d), 1, out=sums[own])
                torch.addmm(x[:, : 3 * d], sums[own], state.T, out=g)
            else:
                g.copy_(x[:, : 3 * d])
            g[:, : 2 * d].sigmoid_()
            g[:, 2 * d :].tanh_()
            new = g[:, :d] * g[:, 2 * d :]
            if width:
                f = (x[:, None, 3 * d :] + hf.index_select(0, flat).view(n, width, d)).sigmoid_()
                new += (f.mul_(c.index_select(0, flat).view(n, width, d))).sum(1)
            c[place] = new
            torch.mul(g[:, d : 2 * d], new.tanh_(), out=h[place])
            torch.mm(h[place], forget.T, out=hf[place])
            start += n
        ctx.save_for_backward(projected, code, state, forget, neighbours, h, c, hf, sums, gates)
        ctx.sizes, ctx.widths = sizes, widths
        return h

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        projected, code, state, forget, neighbours, h, c, hf, sums, gates = ctx.saved_tensors
        rows, d = len(neighbours), forget.shape[0]
        gh, gc, gf = grad.clone(), torch.zeros_like(h), torch.zeros_like(h)
        gx = grad.new_empty(rows, 4 * d)
        stop = rows
        for n, width in zip(reversed(ctx.sizes), reversed(ctx.widths), strict=True):
            own, place = slice(stop - n, stop), slice(stop - n + 1, stop + 1)
            i, o, u = gates[own].split(d, 1)
            mine = torch.addmm(gh[place], gf[place], forget)
            tanh_c = c[place].tanh()
            new = torch.addcmul(gc[place], mine * o, 1 - tanh_c.square())
            x = gx[own]
            x[:, :d] = new * u * i * (1 - i)
            x[:, d : 2 * d] = mine * tanh_c * o * (1 - o)
            x[:, 2 * d : 3 * d] = new * i * (1 - u.square())
            if width:
                flat = neighbours[own, :width].reshape(-1)
                own_f = projected[own, 3 * d :] if code is None else projected[code[own], 3 * d :]
                f = (own_f[:, None] + hf.index_select(0, flat).view(n, width, d)).sigmoid_()
                through = new[:, None] * f
                gc.index_add_(0, flat, through.view(-1, d))
                through *= c.index_select(0, flat).view(n, width, d)
                through *= 1 - f
                gf.index_add_(0, flat, through.view(-1, d))
                torch.sum(through, 1, out=x[:, 3 * d :])
                back = torch.mm(x[:, : 3 * d], state)
                gh.index_add_(0, flat, back[:, None].expand(n, width, d).reshape(-1, d))
            else:
                x[:, 3 * d :] = 0
            stop -= n
        gstate = gx[:, : 3 * d].T @ sums if ctx.needs_input_grad[2] else None
        gforget = gf[1:].T @ h[1:] if ctx.needs_input_grad[3] else None
        if code is not None:
            gx = torch.zeros_like(projected).index_add_(0, code, gx)
        return gx, None, gstate, gforget, None, None, None
