"""Where Gaussians start: on the echo first, then where the residual is largest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from nowcast.gaussians.state import State
from nowcast.types import Float32
from nowcast_kernels.voxelize import VoxelGrid

LEVEL = 0.7
"""A level counts as this much of a column where distances in voxels matter: levels are thin, columns wide."""
SHARE = 0.5
"""Of the value at its centre a seed draws so much itself; its neighbours bring the rest."""
SPACING = 0.6
"""Scale of a seed relative to the mean distance of its neighbours."""
RESIDUAL_BLUR = 0.7  # voxels: a Gaussian is worth its place where residuals of one sign stand together
CANDIDATES = 20  # draws for each seed before suppression
Indices = NDArray[np.int64]


def draw_voxels(weights: Float32, count: int, rng: np.random.Generator) -> Indices:
    """At most ``count`` voxels ``[n, 3]`` (z, y, x), drawn by weight, none next to another.

    Weighted draws without replacement by exponential keys (Efraimidis and Spirakis 2006,
    doi:10.1016/j.ipl.2005.11.003), then suppression of neighbours within a plane and along a column.
    """
    nz, ny, nx = weights.shape
    flat = weights.reshape(-1)
    candidates = np.flatnonzero(flat > 0)
    keys = rng.exponential(size=len(candidates)) / flat[candidates]
    order = np.argsort(keys, kind="stable")[: CANDIDATES * count]
    taken = np.zeros((nz + 2, ny + 2, nx + 2), np.bool_)
    chosen: list[tuple[int, int, int]] = []
    for z, y, x in zip(*np.unravel_index(candidates[order], weights.shape), strict=True):
        if len(chosen) == count:
            break
        if not taken[z + 1, y + 1, x + 1]:
            chosen.append((z, y, x))
            taken[z : z + 3, y + 1, x : x + 3] = True
            taken[z + 1, y : y + 3, x + 1] = True
    return np.array(chosen, np.int64).reshape(-1, 3)


def seeds_on_echo(
    target: Float32, root_weight: Float32, grid: VoxelGrid, count: int, rng: np.random.Generator
) -> State:
    """Seeds on the observed echo, as large as they lie apart; ``target`` and ``root_weight [C, Z, Y, X]``."""
    voxels = draw_voxels(np.where(root_weight[0] > 0, np.maximum(target[0], 0.0), 0.0), count, rng)
    if len(voxels) == 0:
        return State.empty(len(target))
    apart = np.full(len(voxels), 3.0)
    if len(voxels) > 1:
        lie = voxels * (LEVEL, 1.0, 1.0)
        distance, _ = cKDTree(lie).query(lie, k=min(5, len(voxels)))
        apart = np.clip(distance[:, 1:].mean(axis=1), 1.0, 8.0)
    return _seeds(voxels, SPACING * apart, SPACING / LEVEL * apart, target, grid, rng)


def seeds_on_residual(residual: Float32, grid: VoxelGrid, count: int, noise: float, rng: np.random.Generator) -> State:
    """Small seeds where what is still missing, observed minus rendered ``[C, Z, Y, X]``, is largest."""
    missing = gaussian_filter(residual[0], RESIDUAL_BLUR, truncate=3.0)
    voxels = draw_voxels(np.where(np.abs(missing) > noise, missing**2, 0.0), count, rng)
    ones = np.ones(len(voxels))
    return _seeds(voxels, ones, 1.5 * ones, residual, grid, rng)


def idle_gaussians(count: int, channels: int, grid: VoxelGrid) -> State:
    """Idle Gaussians, spread over the grid by a low-discrepancy sequence (R_d of Roberts 2018)."""
    shares = (0.5 + np.arange(1, count + 1)[:, None] / 1.2207440846057596 ** np.arange(1, 4)) % 1.0
    first, step, shape = (np.array(v, np.float64) for v in (grid.first_m, grid.spacing_m, grid.shape))
    means = (first + shares * (shape - 1) * step)[:, ::-1]
    scales = np.broadcast_to(np.log(step[::-1]), (count, 3))
    return State(
        means.astype(np.float32), scales.astype(np.float32), _upright(count), np.zeros((count, channels), np.float32)
    )


def _seeds(
    voxels: Indices,
    across: NDArray[np.float64],
    up: NDArray[np.float64],
    field: Float32,
    grid: VoxelGrid,
    rng: np.random.Generator,
) -> State:
    """Upright seeds at voxels, scales in voxels, a little off the centres so that no two see the same."""
    step = np.array(grid.spacing_m)
    place = voxels + rng.uniform(-0.3, 0.3, voxels.shape)
    means = (np.array(grid.first_m) + place * step)[:, ::-1]
    scales = np.stack([across * step[2], across * step[1], up * step[0]], axis=1)
    values = field[:, voxels[:, 0], voxels[:, 1], voxels[:, 2]].T
    return State(
        np.ascontiguousarray(means, np.float32),
        np.log(scales).astype(np.float32),
        _upright(len(voxels)),
        np.ascontiguousarray(SHARE * values, np.float32),
    )


def _upright(count: int) -> Float32:
    quats = np.zeros((count, 4), np.float32)
    quats[:, 0] = 1.0
    return quats
