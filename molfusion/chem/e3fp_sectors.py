"""Where a shell's atoms lie around its centre: E3FP's stereo code."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ZERO = 1e-12
_MEAN = 0.1  # Å: a shorter mean vector is no direction
_BIN = 0.01  # latitudes that differ by less are the same
_POLE = np.pi / 36
_LAST = np.iinfo(np.int64).max

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def unit(v: Floats) -> Floats:
    """Vectors [..., 3] to length 1; those shorter than 1e-6 stay."""
    square = np.einsum("...j,...j->...", v, v)
    square[square < _ZERO] = 1.0
    unit: Floats = v / np.sqrt(square)[..., None]
    return unit


def sectors(key: Ints, count: Ints, vectors: Floats, towards: Floats) -> Ints:
    """The sector of each neighbour: ±1 around the poles, ±2 … ±5 the quadrants of each hemisphere, 0 = undefined.

    The y axis points to the first neighbour whose (bond, identifier) no other has, else along the mean of all. The z
    axis is the first neighbour, by latitude then bond, with which no other shares both, brought at right angles to y.

    Args:
        key: [R, K] bond << 33 | identifier + 2³¹, ascending; int64's largest = no neighbour.
        count: [R] neighbours of each row.
        vectors: [R, K, 3] Å from the centre to each.
        towards: the same, of length 1.
    """
    real = key != _LAST
    rows = np.arange(len(key))
    single = _single(key, real)
    y_at = np.where(single.any(1), single.argmax(1), np.where(count == 2, 0, -1))
    by_atom = y_at >= 0
    y, has_y = vectors[rows, y_at], by_atom.copy()
    if not by_atom.all():
        rest = ~by_atom
        mean = np.where(real[rest][..., None], vectors[rest], 0.0).sum(1) / np.maximum(count[rest], 1)[:, None]
        y[rest], has_y[rest] = mean, np.sqrt((mean * mean).sum(1)) >= _MEAN
    y = unit(y)
    is_y = np.zeros_like(real)
    is_y[rows[by_atom], y_at[by_atom]] = True
    coincident = _is_zero(vectors)

    latitude = np.pi / 2.0 - _angle(towards, y, coincident)
    latitude[np.abs(latitude) < _ZERO] = 0.0
    side = 1 - 2 * (latitude < 0)
    latitude = np.abs(latitude)

    others = real & ~coincident & ~is_y
    band = np.where(others, (latitude / _BIN).astype(np.int64) * 8 + (key >> 33), _LAST)
    order = np.argsort(band, axis=1, kind="stable")
    band = band[rows[:, None], order]
    single = _single(band, band != _LAST)
    has_z = single.any(1) & has_y
    flat = vectors - np.einsum("rkc,rc->rk", vectors, y)[..., None] * y[:, None]
    z = unit(flat[rows, order[rows, single.argmax(1)]])
    flat = unit(flat)
    around = _angle(flat, z, _is_zero(flat))
    # The sign of y · (flat × z), the triple product turned so that the cross product is one a row.
    turn = np.einsum("rkc,rc->rk", flat, _cross(z, y))
    np.negative(around, out=around, where=turn < 0)
    around = (around + 2 * np.pi) % (2 * np.pi)
    around[is_y] = 0.0
    quadrant = 2 + (((around + np.pi / 4) % (2 * np.pi)) * 4 / (2 * np.pi)).astype(np.int64)

    sector: Ints = quadrant * side * has_z[:, None]
    np.copyto(sector, side, where=(np.pi / 2 - latitude < _POLE) & has_y[:, None])
    sector *= real & ~coincident
    return sector


def _single(ascending: Ints, real: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which real values of each sorted row stand alone."""
    same = ascending[:, 1:] == ascending[:, :-1]
    single = real.copy()
    single[:, 1:] &= ~same
    single[:, :-1] &= ~same
    return single


def _angle(v: Floats, axis: Floats, zero: NDArray[np.bool_]) -> Floats:
    """[R, K] between unit vectors [R, K, 3] and [R, 3]; 0 for those of length 0."""
    cosine = np.einsum("rkc,rc->rk", v, axis)
    angle: Floats = np.arccos(np.minimum(np.maximum(cosine, -1.0), 1.0))
    angle[zero] = 0.0
    return angle


def _is_zero(v: Floats) -> NDArray[np.bool_]:
    """[R, K] of [R, K, 3]; a reduction over an axis of three would be slower."""
    zero: NDArray[np.bool_] = (v[..., 0] == 0) & (v[..., 1] == 0) & (v[..., 2] == 0)
    return zero


def _cross(a: Floats, b: Floats) -> Floats:
    left, right = [1, 2, 0], [2, 0, 1]
    return a[:, left] * b[:, right] - a[:, right] * b[:, left]
