"""Echo of known motion, and how far the displacements of fitted Gaussians are from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from helpers import all_observed, moving_cells, small_grid
from numpy.typing import NDArray

from nowcast.types import GaussianSequence, VolumeSequence

Doubles = NDArray[np.float64]
FlowMap = Callable[[Doubles, Doubles, float], tuple[Doubles, Doubles]]

GRID = small_grid((6, 36, 40))
STEP_S, VOXEL_M = 600.0, GRID.spacing_m[2]


@dataclass(frozen=True)
class MotionCase:
    """Volumes and the true displacement ``[T - 1, N, 2]``, m, of what was at ``[T - 1, N, 3]`` before each step.

    ``owners`` gives the cell ``[T, N]`` of what is at ``[T, N, 2]``, where there are several cells to go with.
    """

    volumes: VolumeSequence
    displacement: Callable[[Doubles], Doubles]
    owners: Callable[[Doubles], NDArray[np.int64]] | None = None


def displacement_error(fitted: GaussianSequence, case: MotionCase) -> float:
    """Intensity-weighted RMS error of the displacements, voxels a step.

    A Gaussian centred above or below the grid draws, and moves with, its highest or lowest level.
    """
    means = fitted.means.numpy().astype(np.float64)
    before = means[:-1].copy()
    before[..., 2] = before[..., 2].clip(fitted.grid.z[0], fitted.grid.z[-1])
    away = (means[1:] - means[:-1])[..., :2] - case.displacement(before)
    weight = _weight(fitted)
    return float(np.sqrt((weight * (away**2).sum(axis=-1)).sum() / weight.sum()) / fitted.grid.spacing_m[2])


def swapped(fitted: GaussianSequence, case: MotionCase) -> float:
    """Share of the Gaussians, by weight, that end at another cell than they began with."""
    if case.owners is None:
        return 0.0
    owner, throughout = case.owners(fitted.means[..., :2].numpy().astype(np.float64)), _weight(fitted).min(axis=0)
    return float((throughout * (owner[0] != owner[-1])).sum() / throughout.sum())


def _weight(fitted: GaussianSequence) -> Doubles:
    strength = fitted.intensities[..., 0].abs().numpy().astype(np.float64)
    return np.minimum(strength[1:], strength[:-1])


def steady(volumes: VolumeSequence, velocity_ms: tuple[float, float], shear_per_s: float = 0.0) -> MotionCase:
    """What :func:`helpers.moving_cells` made."""

    def displacement(before: Doubles) -> Doubles:
        east = velocity_ms[0] + shear_per_s * (before[..., 2] - volumes.grid.z[0])
        return STEP_S * np.stack(np.broadcast_arrays(east, velocity_ms[1]), axis=-1)

    return MotionCase(volumes, displacement)


def deforming(flow: FlowMap) -> MotionCase:
    """Seven cells in a flow that turns or shrinks them."""
    rng = np.random.default_rng(3)
    cells = [(*rng.uniform(-30e3, 30e3, 2), rng.uniform(5e3, 10e3), rng.uniform(38, 50)) for _ in range(7)]
    fields = []
    for t in range(4):
        x, y = flow(*_plane(), -t * STEP_S)
        fields.append(np.maximum.reduce([_cell(x, y, (cx, cy), r, p) for cx, cy, r, p in cells]))

    def displacement(before: Doubles) -> Doubles:
        return np.stack(flow(before[..., 0], before[..., 1], STEP_S), axis=-1) - before[..., :2]

    return MotionCase(all_observed(np.stack(fields), GRID, STEP_S), displacement)


def rotated(x: Doubles, y: Doubles, seconds: float) -> tuple[Doubles, Doubles]:
    """Solid rotation, 10 m/s at 50 km."""
    turn = 10.0 / 50e3 * seconds
    return np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y


def converged(x: Doubles, y: Doubles, seconds: float) -> tuple[Doubles, Doubles]:
    """Convergence of 3e-4 per second."""
    shrink = np.exp(-1.5e-4 * seconds)
    return shrink * x, shrink * y


def two_cells(apart_m: float, aside_m: float, speed_ms: float) -> MotionCase:
    """Two cells that drift east, and apart or together."""
    velocity = np.array([[6.0, speed_ms], [6.0, -speed_ms]])
    start = np.array([[-10e3 - aside_m / 2, apart_m / 2], [-10e3 + aside_m / 2, -apart_m / 2]])
    places = np.stack([start + velocity * t * STEP_S for t in range(4)])
    fields = [
        np.maximum(*(_cell(*_plane(), tuple(c), 6e3, p) for c, p in zip(two, (48.0, 44.0), strict=True)))
        for two in places
    ]

    def owners(centres: Doubles) -> NDArray[np.int64]:
        nearest: NDArray[np.int64] = np.linalg.norm(centres[:, :, None] - places[: len(centres), None], axis=-1).argmin(
            axis=-1
        )
        return nearest

    return MotionCase(
        all_observed(np.stack(fields), GRID, STEP_S), lambda before: velocity[owners(before[..., :2])] * STEP_S, owners
    )


CASES: dict[str, Callable[[], MotionCase]] = {
    "uniform": lambda: steady(moving_cells(GRID, (10.0, 5.0)), (10.0, 5.0)),
    "sheared with height": lambda: steady(moving_cells(GRID, (5.0, -5.0), shear_per_s=2e-3), (5.0, -5.0), 2e-3),
    "rotating": lambda: deforming(rotated),
    "converging": lambda: deforming(converged),
    "split": lambda: two_cells(12e3, 0.0, 2.5),
    "merge": lambda: two_cells(24e3, 0.0, -2.5),
    "pass": lambda: two_cells(18e3, 14e3, -3.0),
}


def _cell(x: Doubles, y: Doubles, centre: Sequence[float], radius_m: float, peak_dbz: float) -> Doubles:
    z = GRID.z[:, None, None]
    across = ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / radius_m**2
    return np.asarray(peak_dbz * np.exp(-0.5 * across) * np.exp(-0.5 * ((z - 3000.0) / 3500.0) ** 2))


def _plane() -> tuple[Doubles, Doubles]:
    y, x = np.meshgrid(GRID.y, GRID.x, indexing="ij")
    return x, y
