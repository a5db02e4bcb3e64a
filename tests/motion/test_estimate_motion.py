from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from helpers import moving_cells, small_grid
from hypothesis import given, settings
from hypothesis import strategies as st

from nowcast.errors import InputError
from nowcast.motion import estimate_motion, estimate_motion_2d
from nowcast.types import GridSpec, VolumeSequence

STEP_S = 600.0
VOXEL_M = 2500.0


def error_voxels(velocity: np.ndarray, truth: np.ndarray, echo: np.ndarray) -> np.ndarray:
    """Distance between estimated and true displacement over a step, in voxels, where there is echo."""
    apart = np.hypot(velocity[:, 0] - truth[:, 0], velocity[:, 1] - truth[:, 1])
    error: np.ndarray = apart[echo] * STEP_S / VOXEL_M
    return error


def estimate(volumes: VolumeSequence) -> np.ndarray:
    return estimate_motion(volumes.filled(), volumes.times, volumes.grid, mask=volumes.mask).velocities


def uniform(velocity: tuple[float, float], grid: GridSpec) -> np.ndarray:
    nz, ny, nx = grid.shape
    truth: np.ndarray = np.broadcast_to(np.array(velocity)[None, :, None, None], (nz, 2, ny, nx))
    return truth


@pytest.mark.parametrize("velocity", [(10.0, 5.0), (-12.0, 0.0), (0.0, 0.0), (25.0, -15.0), (0.0, 30.0)])
def test_uniform_motion_is_found(velocity: tuple[float, float]) -> None:
    grid = small_grid((6, 60, 60))
    volumes = moving_cells(grid, velocity, steps=4, step_s=STEP_S)
    echo = volumes.filled()[-1] > 20
    assert error_voxels(estimate(volumes), uniform(velocity, grid), echo).max() < 0.25


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_motion_differs_by_height(seed: int) -> None:
    grid = small_grid((10, 60, 60))
    volumes = moving_cells(grid, (-6.0, 3.0), steps=4, shear_per_s=2e-3, seed=seed)
    echo = volumes.filled()[-1] > 15
    truth = uniform((0.0, 3.0), grid).copy()
    truth[:, 0] = (-6.0 + 2e-3 * (grid.z - grid.z[0]))[:, None, None]
    assert error_voxels(estimate(volumes), truth, echo).max() < 0.25


def test_rotation_is_found() -> None:
    grid = small_grid((2, 80, 80))
    rate = 1.2e-4  # rad/s: 8 m/s at 67 km
    distance = np.array([20e3, 35e3, 50e3, 60e3])
    bearing = np.array([0.3, 2.0, 3.7, 5.2])
    times = np.arange(4) * STEP_S
    frames = np.zeros((4, 2, 80, 80), np.float32)
    for t, time in enumerate(times):
        for d, b in zip(distance, bearing, strict=True):
            x, y = d * np.cos(b + rate * time), d * np.sin(b + rate * time)
            apart = (grid.x[None, :] - x) ** 2 + (grid.y[:, None] - y) ** 2
            frames[t] = np.maximum(frames[t], 45 * np.exp(-0.5 * apart / 9e3**2))
    stamps = np.datetime64("2020-01-01", "ns") + (times * 1e9).astype("timedelta64[ns]")
    velocity = estimate_motion(frames, stamps, grid).velocities
    y, x = np.meshgrid(grid.y, grid.x, indexing="ij")
    truth = np.broadcast_to(np.stack([-rate * y, rate * x])[None], velocity.shape)
    # Round cells tell the motion of their centre only.
    assert error_voxels(velocity, truth, frames[-1] > 40).max() < 0.25


def test_uneven_steps_are_measured_by_their_length() -> None:
    grid = small_grid((4, 60, 60))
    volumes = moving_cells(grid, (12.0, -4.0), steps=7, step_s=300.0).select([0, 2, 3, 6])
    echo = volumes.filled()[-1] > 20
    assert error_voxels(estimate(volumes), uniform((12.0, -4.0), grid), echo).max() < 0.25


def test_growing_cells_do_not_pull_the_motion() -> None:
    grid = small_grid((4, 60, 60))
    volumes = moving_cells(grid, (8.0, 8.0), steps=4, peak_dbz=35.0, growth_dbz=4.0)
    echo = volumes.filled()[-1] > 20
    assert np.median(error_voxels(estimate(volumes), uniform((8.0, 8.0), grid), echo)) < 0.25


def test_finer_grids_give_the_same_motion() -> None:
    grid = small_grid((3, 150, 150), spacing_m=1000.0)
    volumes = moving_cells(grid, (10.0, 5.0), steps=3, step_s=STEP_S)
    echo = volumes.filled()[-1] > 20
    assert error_voxels(estimate(volumes), uniform((10.0, 5.0), grid), echo).max() < 0.25


def test_dry_frames_and_single_frames_stand_still() -> None:
    grid = small_grid((4, 30, 30))
    volumes = moving_cells(grid, (10.0, 5.0), steps=3)
    assert not estimate(moving_cells(grid, steps=3, peak_dbz=0.0)).any()
    assert not estimate(volumes.select([0])).any()
    nothing = np.zeros_like(volumes.mask)
    assert not estimate_motion(volumes.filled(), volumes.times, grid, mask=nothing).velocities.any()


def test_dry_levels_take_their_neighbours_motion() -> None:
    grid = small_grid((8, 60, 60))
    volumes = moving_cells(grid, (10.0, 5.0), steps=4)
    frames = volumes.filled()
    frames[:, 4:] = 0
    velocity = estimate_motion(frames, volumes.times, grid).velocities
    echo = np.broadcast_to(frames[-1, 1] > 20, grid.shape)
    assert error_voxels(velocity, uniform((10.0, 5.0), grid), echo).max() < 0.25


def test_edge_of_the_observed_area_does_not_hold_the_echo_back() -> None:
    grid = small_grid((3, 60, 60))
    volumes = moving_cells(grid, (14.0, 0.0), steps=4, cells=8)
    volumes.mask[..., 30:] = False
    volumes.values[..., 30:] = np.nan
    frames, times = volumes.filled(), volumes.times
    echo = frames[-1] > 20
    truth = uniform((14.0, 0.0), grid)
    seen = error_voxels(estimate_motion(frames, times, grid, mask=volumes.mask).velocities, truth, echo)
    blind = error_voxels(estimate_motion(frames, times, grid).velocities, truth, echo)
    assert seen.max() < 0.25
    assert seen.max() < blind.max()


def test_flat_frames_give_one_motion_for_all_levels() -> None:
    grid = small_grid((5, 60, 60))
    volumes = moving_cells(grid, (10.0, 5.0), steps=4)
    flat = estimate_motion(volumes.filled().max(axis=1), volumes.times, grid)
    assert np.array_equal(flat.velocities, estimate_motion_2d(volumes.filled(), volumes.times, grid).velocities)
    assert (flat.velocities == flat.velocities[:1]).all()
    echo = volumes.filled()[-1] > 20
    assert error_voxels(flat.velocities, uniform((10.0, 5.0), grid), echo).max() < 0.25


def test_same_bits_whatever_the_number_of_threads(threads: Callable[[int], None]) -> None:
    volumes = moving_cells(small_grid((6, 40, 48)), (10.0, 5.0))
    found = []
    for count in (1, 3):
        threads(count)
        found.append(estimate(volumes))
    assert np.array_equal(*found)


@settings(max_examples=15, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
    count=st.integers(1, 4),
    seed=st.integers(0, 10),
)
def test_noise_on_any_grid_gives_a_finite_bounded_motion(shape: tuple[int, int, int], count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames = rng.uniform(0, 70, (count, *shape)).astype(np.float32)
    times = np.datetime64("2020-01-01", "ns") + np.arange(count) * np.timedelta64(5, "m")
    velocity = estimate_motion(frames, times, small_grid(shape)).velocities
    assert velocity.shape == (shape[0], 2, *shape[1:])
    assert np.abs(velocity).max() <= 60.0


def test_what_does_not_fit_is_refused() -> None:
    grid = small_grid((3, 10, 12))
    volumes = moving_cells(grid, steps=2)
    frames, times = volumes.filled(), volumes.times
    with pytest.raises(InputError, match="shape"):
        estimate_motion(frames[:, :, :5], times, grid)
    with pytest.raises(InputError, match="mask"):
        estimate_motion(frames, times, grid, mask=volumes.mask[:1])
    frames[0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="NaN"):
        estimate_motion(frames, times, grid)
