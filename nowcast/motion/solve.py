"""From least-squares terms to a smooth velocity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from nowcast.types import Float32

Floats = NDArray[np.floating]


def solve_by_scale(
    terms: Float32,
    horizontal_cells: Sequence[float],
    vertical_levels: Sequence[float],
    saturation: float,
    ridge: float,
) -> Float32:
    """Velocity ``[Z, 2, Y, X]`` m/s per cell from the terms of :func:`~nowcast.motion.kernels.normal_equations`.

    First one velocity for the whole grid, then, from wide to narrow, the velocity that fits best within a Gaussian
    neighbourhood (standard deviations in cells and in levels), held by ``ridge`` to the one from the next wider
    neighbourhood. So cells and levels with little echo take what their surroundings, then the whole grid tell;
    without any echo the answer is zero.
    """
    whole = terms.mean((1, 2, 3), dtype=np.float64)[:, None, None, None]
    still: Floats = np.zeros((2, 1, 1, 1))
    velocity = _solve(_saturated(whole, saturation), still, 1e-3 * ridge)
    for across, along in zip(horizontal_cells, vertical_levels, strict=True):
        near = gaussian_filter(terms, (0.0, 0.0, across, across), mode="constant", truncate=3.0)
        near = _saturated(near, saturation)
        if along > 0:
            # After saturation, so that a level speaks for itself wherever it has echo enough.
            near = gaussian_filter1d(near, along, axis=1, mode="constant", truncate=3.0)
        velocity = _solve(near, velocity, ridge).astype(np.float32)
    return np.ascontiguousarray(velocity.transpose(1, 0, 2, 3))


def _saturated(terms: Floats, saturation: float) -> Floats:
    """Terms scaled so that the matrix's trace goes from 0, without echo, towards 1."""
    return terms / (terms[0] + terms[2] + saturation)


def _solve(terms: Floats, prior: Floats, ridge: float) -> Floats:
    """Solve the 2 x 2 systems; ``terms [5, ...]``, ``prior [2, ...]`` m/s."""
    xx, yy = terms[0] + ridge, terms[2] + ridge
    bx, by = terms[3] + ridge * prior[0], terms[4] + ridge * prior[1]
    xy = terms[1]
    determinant = xx * yy - xy * xy
    return np.stack([(yy * bx - xy * by) / determinant, (xx * by - xy * bx) / determinant])
