"""From least-squares terms to a smooth velocity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from nowcast.types import Float32


def solve_by_scale(
    terms: Float32,
    horizontal_cells: Sequence[float],
    vertical_levels: Sequence[float],
    ridge: float,
    growth: float,
) -> Float32:
    """Velocity ``[Z, 2, Y, X]`` m/s per cell from the terms of :func:`~nowcast.motion.kernels.normal_equations`.

    First one velocity for the whole grid, then, from wide to narrow, the velocity that fits best within a Gaussian
    neighbourhood (standard deviations in cells and in levels), held by ``ridge`` to the one from the next wider
    neighbourhood. So cells and levels with little echo take what their surroundings, then the whole grid tell;
    without any echo the answer is zero. ``growth`` is the strength that holds the local growth to zero.
    """
    whole = terms.mean((1, 2, 3), dtype=np.float64)[:, None, None, None]
    velocity = _solve(whole, np.zeros((2, 1, 1, 1)), 1e-3 * ridge, growth)
    for across, along in zip(horizontal_cells, vertical_levels, strict=True):
        sigmas = (0.0, along, across, across)
        near = gaussian_filter(terms, sigmas, mode="constant", truncate=3.0)
        velocity = _solve(near, velocity, ridge, growth).astype(np.float32)
    return np.ascontiguousarray(velocity.transpose(1, 0, 2, 3))


def _solve(terms: np.ndarray, prior: np.ndarray, ridge: float, growth: float) -> np.ndarray:
    """Solve the 2 x 2 systems, the growth eliminated; ``terms [9, ...]`` and ``prior [2, ...]``."""
    xx, xy, yy, bx, by, gx, gy, rest, count = terms
    if np.isfinite(growth):
        share = 1.0 / (count + growth)
        xx, xy, yy = xx - gx * gx * share, xy - gx * gy * share, yy - gy * gy * share
        bx, by = bx - gx * rest * share, by - gy * rest * share
    xx, yy = xx + ridge, yy + ridge
    bx, by = bx + ridge * prior[0], by + ridge * prior[1]
    determinant = xx * yy - xy * xy
    return np.stack([(yy * bx - xy * by) / determinant, (xx * by - xy * bx) / determinant])
