"""Where Gaussians start: on the echo first, then where the residual is largest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from nowcast.gaussians.compute import Compute, Field, Indices
from nowcast.gaussians.on_cpu import CPU
from nowcast.gaussians.state import State
from nowcast.types import Float32
from nowcast_kernels.voxelize import VoxelGrid

LEVEL = 0.7
"""A level counts as this much of a column where distances in voxels matter: levels are thin, columns wide."""
SHARE = 0.5
"""Of the value at its centre a seed draws so much itself; its neighbours bring the rest."""
SPACING = 0.6
"""Scale of a seed relative to the mean distance of its neighbours."""
CANDIDATES = 20  # draws for each seed before suppression


def draw_voxels(weights: Field, count: int, rng: np.random.Generator, compute: Compute = CPU) -> Indices:
    """At most ``count`` voxels ``[n, 3]`` (z, y, x), drawn by weight, none next to another.

    Weighted draws without replacement, then suppression of neighbours within a plane and along a column.
    """
    nz, ny, nx = weights.shape
    taken = np.zeros((nz + 2, ny + 2, nx + 2), np.bool_)
    chosen: list[tuple[int, int, int]] = []
    for z, y, x in compute.draw(weights, CANDIDATES * count, rng).tolist():
        if len(chosen) == count:
            break
        if not taken[z + 1, y + 1, x + 1]:
            chosen.append((z, y, x))
            taken[z : z + 3, y + 1, x : x + 3] = True
            taken[z + 1, y : y + 3, x + 1] = True
    return np.array(chosen, np.int64).reshape(-1, 3)


def seeds_on_echo(
    target: Field,
    root_weight: Field,
    grid: VoxelGrid,
    count: int,
    rng: np.random.Generator,
    compute: Compute = CPU,
) -> State:
    """Seeds on the observed echo, as large as they lie apart; ``target`` and ``root_weight [C, Z, Y, X]``."""
    voxels = draw_voxels(target[0].clip(min=0.0) * (root_weight[0] > 0), count, rng, compute)
    if len(voxels) == 0:
        return State.empty(len(target))
    apart = np.full(len(voxels), 3.0)
    if len(voxels) > 1:
        lie = voxels * (LEVEL, 1.0, 1.0)
        distance, _ = cKDTree(lie).query(lie, k=min(5, len(voxels)))
        apart = np.clip(distance[:, 1:].mean(axis=1), 1.0, 8.0)
    return _seeds(voxels, SPACING * apart, SPACING / LEVEL * apart, compute.values_at(target, voxels), grid, rng)


def seeds_on_residual(
    residual: Field, grid: VoxelGrid, count: int, noise: float, rng: np.random.Generator, compute: Compute = CPU
) -> State:
    """Small seeds where what is still missing, observed minus rendered ``[C, Z, Y, X]``, is largest."""
    voxels = draw_voxels(compute.missing(residual[0], noise), count, rng, compute)
    ones = np.ones(len(voxels))
    return _seeds(voxels, ones, 1.5 * ones, compute.values_at(residual, voxels), grid, rng)


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
    values: Float32,
    grid: VoxelGrid,
    rng: np.random.Generator,
) -> State:
    """Upright seeds at voxels of values ``[n, C]``, scales in voxels; off centre, so that no two see the same."""
    step = np.array(grid.spacing_m)
    place = voxels + rng.uniform(-0.3, 0.3, voxels.shape)
    means = (np.array(grid.first_m) + place * step)[:, ::-1]
    scales = np.stack([across * step[2], across * step[1], up * step[0]], axis=1)
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
