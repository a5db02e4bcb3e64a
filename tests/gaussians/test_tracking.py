"""Gaussians follow the air: known motions of every kind, and cells that keep their own Gaussians."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from helpers import small_grid
from numpy.typing import NDArray

from nowcast.gaussians import FitConfig, fit_sequence
from nowcast.types import GaussianSequence, VolumeSequence

Doubles = NDArray[np.float64]
FlowMap = Callable[[Doubles, Doubles, float], tuple[Doubles, Doubles]]

GRID = small_grid((6, 36, 40))
CONFIG = FitConfig(gaussians=128)
STEP_S, VOXEL_M = 600.0, GRID.spacing_m[2]
ALLOWED = 0.25  # voxel a step


def rotated(x: Doubles, y: Doubles, seconds: float) -> tuple[Doubles, Doubles]:
    """Solid rotation, 10 m/s at 50 km."""
    turn = 10.0 / 50e3 * seconds
    return np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y


def converged(x: Doubles, y: Doubles, seconds: float) -> tuple[Doubles, Doubles]:
    """Convergence of 3e-4 per second."""
    shrink = np.exp(-1.5e-4 * seconds)
    return shrink * x, shrink * y


def drawn(fields: list[Doubles]) -> VolumeSequence:
    times = np.datetime64("2020-01-01T00:00", "ns") + (np.arange(len(fields)) * STEP_S * 1e9).astype("timedelta64[ns]")
    values = np.stack(fields).astype(np.float32)[:, None]
    return VolumeSequence(values, np.ones((len(fields), *GRID.shape), np.bool_), times, GRID)


def cell(x: Doubles, y: Doubles, centre: Sequence[float], radius_m: float, peak_dbz: float) -> Doubles:
    z = GRID.z[:, None, None]
    across = ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / radius_m**2
    return np.asarray(peak_dbz * np.exp(-0.5 * across) * np.exp(-0.5 * ((z - 3000.0) / 3500.0) ** 2))


def plane() -> tuple[Doubles, Doubles]:
    y, x = np.meshgrid(GRID.y, GRID.x, indexing="ij")
    return x, y


def rms(away: Doubles, weight: Doubles) -> float:
    return float(np.sqrt((weight * (away**2).sum(axis=-1)).sum() / weight.sum()) / VOXEL_M)


def parts(fitted: GaussianSequence) -> tuple[Doubles, Doubles]:
    """Horizontal centres ``[T, N, 2]`` and what each step's displacement weighs ``[T - 1, N]``."""
    strength = fitted.intensities[..., 0].abs().numpy().astype(np.float64)
    return fitted.means[..., :2].numpy().astype(np.float64), np.minimum(strength[1:], strength[:-1])


@pytest.mark.parametrize("flow", [rotated, converged])
def test_gaussians_follow_a_flow_that_deforms(flow: FlowMap) -> None:
    rng = np.random.default_rng(3)
    cells = [(*rng.uniform(-30e3, 30e3, 2), rng.uniform(5e3, 10e3), rng.uniform(38, 50)) for _ in range(7)]
    fields = []
    for t in range(4):
        x, y = flow(*plane(), -t * STEP_S)
        fields.append(np.maximum.reduce([cell(x, y, (cx, cy), r, p) for cx, cy, r, p in cells]))
    centres, weight = parts(fit_sequence(drawn(fields), CONFIG))
    true = np.stack([np.stack(flow(c[:, 0], c[:, 1], STEP_S), axis=-1) for c in centres[:-1]])
    assert rms(centres[1:] - true, weight) < ALLOWED


@pytest.mark.parametrize(
    ("apart_m", "aside_m", "speed_ms"),
    [(12e3, 0.0, 2.5), (24e3, 0.0, -2.5), (18e3, 14e3, -3.0)],
    ids=["split", "merge", "pass"],
)
def test_two_cells_keep_their_own_gaussians(apart_m: float, aside_m: float, speed_ms: float) -> None:
    """They drift together and apart: each Gaussian goes with its cell, and none changes over to the other."""
    velocity = np.array([[6.0, speed_ms], [6.0, -speed_ms]])
    start = np.array([[-10e3 - aside_m / 2, apart_m / 2], [-10e3 + aside_m / 2, -apart_m / 2]])
    places = np.stack([start + velocity * t * STEP_S for t in range(4)])
    fields = [
        np.maximum(*(cell(*plane(), tuple(c), 6e3, p) for c, p in zip(two, (48.0, 44.0), strict=True)))
        for two in places
    ]
    centres, weight = parts(fit_sequence(drawn(fields), CONFIG))
    owner = np.linalg.norm(centres[:, :, None] - places[:, None], axis=-1).argmin(axis=-1)
    assert rms(centres[1:] - centres[:-1] - velocity[owner[1:]] * STEP_S, weight) < ALLOWED
    throughout = weight.min(axis=0)
    swapped = (throughout * (owner[0] != owner[-1])).sum() / throughout.sum()
    assert swapped < 0.05
