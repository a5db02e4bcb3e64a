from __future__ import annotations

import numpy as np
import pytest
from helpers import moving_cells, small_grid
from hypothesis import given, settings
from hypothesis import strategies as st

from nowcast.errors import InputError
from nowcast.motion import MotionField, advect_semilagrangian
from nowcast.types import GridSpec

GRID = small_grid((3, 20, 24), spacing_m=1000.0)


def uniform_motion(u: float, v: float, grid: GridSpec = GRID) -> MotionField:
    nz, ny, nx = grid.shape
    velocity = np.broadcast_to(np.array([u, v], np.float32)[None, :, None, None], (nz, 2, ny, nx))
    return MotionField(np.ascontiguousarray(velocity), grid)


def shifted(field: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """The field moved by whole voxels, 0 coming in."""
    out = np.zeros_like(field)
    ny, nx = field.shape[1:]
    to_y, to_x = slice(max(dy, 0), ny + min(dy, 0)), slice(max(dx, 0), nx + min(dx, 0))
    from_y, from_x = slice(max(-dy, 0), ny - max(dy, 0)), slice(max(-dx, 0), nx - max(dx, 0))
    out[:, to_y, to_x] = field[:, from_y, from_x]
    return out


@settings(max_examples=25, deadline=None)
@given(dx=st.integers(-5, 5), dy=st.integers(-5, 5), seed=st.integers(0, 5))
def test_whole_voxels_are_carried_exactly(dx: int, dy: int, seed: int) -> None:
    field = np.random.default_rng(seed).uniform(0, 60, GRID.shape).astype(np.float32)
    # 1000 m in 500 s: 2 m/s is one voxel per lead, and two for the second lead.
    moved = advect_semilagrangian(field, uniform_motion(2.0 * dx, 2.0 * dy), [500.0, 1000.0])
    assert np.array_equal(moved[0], shifted(field, dy, dx))
    assert np.array_equal(moved[1], shifted(field, 2 * dy, 2 * dx))


def test_no_motion_and_no_lead_change_nothing() -> None:
    field = np.random.default_rng(0).uniform(0, 60, GRID.shape).astype(np.float32)
    assert np.array_equal(advect_semilagrangian(field, MotionField.still(GRID), [600.0])[0], field)
    assert np.array_equal(advect_semilagrangian(field, uniform_motion(7.0, 3.0), [0.0])[0], field)
    assert advect_semilagrangian(field, uniform_motion(7.0, 3.0), []).shape == (0, *GRID.shape)


def test_leads_do_not_pile_up_smoothing() -> None:
    field = moving_cells(GRID, steps=1).filled()[0]
    motion = uniform_motion(1.3, -0.7)
    many = advect_semilagrangian(field, motion, list(np.arange(1, 13) * 300.0))
    once = advect_semilagrangian(field, motion, [3600.0])
    assert np.allclose(many[-1], once[0], atol=2e-3)


def test_rotation_returns_after_a_full_turn() -> None:
    grid = small_grid((1, 61, 61), spacing_m=1000.0)
    y, x = np.meshgrid(grid.y, grid.x, indexing="ij")
    period = 2 * np.pi / 5e-4
    velocity = np.stack([-5e-4 * y, 5e-4 * x])[None].astype(np.float32)
    field = (50 * np.exp(-0.5 * ((x - 12e3) ** 2 + y**2) / 4e3**2))[None].astype(np.float32)
    turned = advect_semilagrangian(field, MotionField(velocity, grid), list(period * np.arange(1, 81) / 80))
    quarter = 50 * np.exp(-0.5 * (x**2 + (y - 12e3) ** 2) / 4e3**2)
    assert np.abs(turned[19, 0] - quarter).max() < 1.0
    assert np.abs(turned[-1] - field).max() < 1.0


def test_each_level_follows_its_own_motion() -> None:
    field = np.random.default_rng(0).uniform(0, 60, GRID.shape).astype(np.float32)
    velocity = uniform_motion(0.0, 0.0).velocities.copy()
    velocity[2, 0] = 2.0
    moved = advect_semilagrangian(field, MotionField(velocity, GRID), [500.0])[0]
    assert np.array_equal(moved[:2], field[:2])
    assert np.array_equal(moved[2], shifted(field, 0, 1)[2])


def test_motion_is_sampled_trilinearly() -> None:
    velocity = np.zeros((3, 2, 20, 24), np.float32)
    velocity[:, 0] = (GRID.z[:, None, None] + 2 * GRID.y[:, None] - GRID.x) / 1000
    velocity[:, 1] = 4.0
    motion = MotionField(velocity, GRID)
    points = np.array([[0.0, 0.0, 1500.0], [1234.0, -4321.0, 2900.0], [GRID.x[0], GRID.y[-1], GRID.z[-1]]])
    expected = (points[:, 2] + 2 * points[:, 1] - points[:, 0]) / 1000
    assert np.allclose(motion.sample(points)[:, 0], expected, atol=1e-4)
    assert np.allclose(motion.sample(points)[:, 1], 4.0)
    outside = np.array([[1e6, -1e6, 9e9]])
    assert np.allclose(motion.sample(outside), velocity[-1, :, 0, -1])
    assert motion.sample(np.zeros((0, 3))).shape == (0, 2)


def test_what_does_not_fit_is_refused() -> None:
    field = np.zeros(GRID.shape, np.float32)
    with pytest.raises(InputError, match="rise"):
        advect_semilagrangian(field, MotionField.still(GRID), [600.0, 300.0])
    with pytest.raises(InputError, match="shape"):
        advect_semilagrangian(field[:, :4], MotionField.still(GRID), [600.0])
    with pytest.raises(InputError, match="shape"):
        MotionField(np.zeros((3, 2, 4, 4), np.float32), GRID)
    with pytest.raises(InputError, match="finite"):
        MotionField(np.full((3, 2, 20, 24), np.nan, np.float32), GRID)
