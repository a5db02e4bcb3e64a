"""Volumes with known answers, and the way to the real radar data where it is present."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from nowcast.types import GridSpec, VolumeSequence
from nowcast.units import clip_dbz


def real_data(*parts: str) -> Path:
    """Path of real radar data; skips the calling test where the data is not there.

    The data lies in ``$NOWCAST_DATA``, or in ``shared/data`` beside the checkout, under the names that
    ``data/README.md`` lists. It is not part of the project.
    """
    root = Path(os.environ.get("NOWCAST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    path = root.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"real radar data {'/'.join(parts)} is not here")
    return path


def heed_interrupts() -> None:
    """For ``preexec_fn``: a shell's background job ignores SIGINT, and so would all that a test in it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def small_grid(shape: tuple[int, int, int] = (8, 40, 48), spacing_m: float = 2500.0) -> GridSpec:
    """A grid centred on its origin, levels 1 km apart from 1 km up."""
    _, ny, nx = shape
    first = (1000.0, -spacing_m * (ny - 1) / 2, -spacing_m * (nx - 1) / 2)
    return GridSpec(-27.6, 152.5, shape, first, (1000.0, spacing_m, spacing_m))


def all_observed(reflectivity: np.ndarray, grid: GridSpec, step_s: float = 600.0) -> VolumeSequence:
    """Volumes of ``reflectivity [T, Z, Y, X]``, a step apart, without a voxel that was not observed."""
    since = (np.arange(len(reflectivity)) * step_s * 1e9).astype("timedelta64[ns]")
    values = clip_dbz(reflectivity.astype(np.float32))[:, None]
    times = np.datetime64("2020-01-01T00:00", "ns") + since
    return VolumeSequence(values, np.ones(reflectivity.shape, bool), times, grid)


def moving_cells(
    grid: GridSpec,
    velocity_ms: tuple[float, float] = (10.0, 5.0),
    steps: int = 4,
    step_s: float = 600.0,
    *,
    shear_per_s: float = 0.0,
    peak_dbz: float = 50.0,
    cells: int = 6,
    seed: int = 1,
    growth_dbz: float = 0.0,
) -> VolumeSequence:
    """Round cells that move with a known velocity (m/s east, north), all observed.

    ``shear_per_s`` adds eastward velocity per metre of height above the lowest level; ``growth_dbz`` is added to
    every cell's peak at each step.
    """
    rng = np.random.default_rng(seed)
    z, y, x = (a.astype(np.float32) for a in (grid.z, grid.y, grid.x))
    centre_x = rng.uniform(0.6 * x[0], 0.3 * x[-1], cells)
    centre_y = rng.uniform(0.6 * y[0], 0.4 * y[-1], cells)
    radius = rng.uniform(6e3, 12e3, cells)
    top = rng.uniform(5e3, 10e3, cells)
    peak = peak_dbz - rng.uniform(0, 12, cells)
    values = np.zeros((steps, *grid.shape), np.float32)
    for t in range(steps):
        for k in range(cells):
            u = velocity_ms[0] + shear_per_s * (z - z[0])
            dx = x[None, None, :] - (centre_x[k] + u[:, None, None] * t * step_s)
            dy = y[None, :, None] - (centre_y[k] + velocity_ms[1] * t * step_s)
            height = np.exp(-0.5 * ((z - 3e3) / (0.4 * top[k])) ** 2)[:, None, None]
            cell = (peak[k] + growth_dbz * t) * height * np.exp(-0.5 * (dx**2 + dy**2) / radius[k] ** 2)
            values[t] = np.maximum(values[t], cell)
    return all_observed(values, grid, step_s)
