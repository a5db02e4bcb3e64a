from __future__ import annotations

import numpy as np
from helpers import small_grid
from hypothesis import given, settings
from hypothesis import strategies as st

from nowcast.gaussians.seed import draw_voxels, idle_gaussians, seeds_on_echo, seeds_on_residual

GRID = small_grid((5, 20, 24))


@given(st.integers(0, 10_000), st.integers(1, 80))
@settings(deadline=None, max_examples=25)
def test_draws_have_weight_and_keep_apart(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    weights = (rng.random(GRID.shape) * (rng.random(GRID.shape) < 0.3)).astype(np.float32)
    drawn = draw_voxels(weights, count, np.random.default_rng(0))
    assert len(drawn) <= count
    assert (weights[tuple(drawn.T)] > 0).all()
    apart = np.abs(drawn[:, None] - drawn[None])
    touching = ((apart[..., 0] == 0) & (apart[..., 1] + apart[..., 2] == 1)) | (apart.sum(-1) == 0)
    assert touching.sum() == len(drawn)
    np.testing.assert_array_equal(drawn, draw_voxels(weights, count, np.random.default_rng(0)))


def test_heavier_voxels_come_more_often() -> None:
    weights = np.full(GRID.shape, 0.01, np.float32)
    weights[:, :, ::4] = 1.0
    drawn = draw_voxels(weights, 60, np.random.default_rng(0))
    assert (drawn[:, 2] % 4 == 0).mean() > 0.9


def test_nothing_to_draw() -> None:
    empty = np.zeros((1, *GRID.shape), np.float32)
    ones, rng = np.ones_like(empty), np.random.default_rng(0)
    assert len(seeds_on_echo(empty, ones, GRID, 9, rng)) == 0
    assert len(seeds_on_echo(ones, 0 * ones, GRID, 9, rng)) == 0
    assert len(seeds_on_residual(0.1 * ones, GRID, 9, 0.2, rng)) == 0
    assert len(seeds_on_residual(ones, GRID, 0, 0.2, rng)) == 0


def test_one_seed_on_one_voxel() -> None:
    echo = np.zeros((2, *GRID.shape), np.float32)
    echo[:, 2, 11, 7] = 0.8, 0.4
    seed = seeds_on_echo(echo, np.ones_like(echo), GRID, 5, np.random.default_rng(0))
    assert len(seed) == 1
    away = seed.means[0] - (GRID.x[7], GRID.y[11], GRID.z[2])
    assert (np.abs(away) < 0.31 * np.array(GRID.spacing_m[::-1])).all()
    np.testing.assert_allclose(seed.intensities, [[0.4, 0.2]])


def test_seeds_take_the_sign_of_what_is_missing() -> None:
    residual = np.zeros((1, *GRID.shape), np.float32)
    residual[0, 1:4, 3:8, 3:8], residual[0, 1:4, 13:18, 13:18] = 0.5, -0.5
    seeds = seeds_on_residual(residual, GRID, 12, 0.25, np.random.default_rng(0))
    south = seeds.means[:, 1] < GRID.y[10]
    assert south.any() and not south.all()
    np.testing.assert_array_equal(np.sign(seeds.intensities[:, 0]), np.where(south, 1.0, -1.0))


def test_idle_gaussians_are_spread_out() -> None:
    idle = idle_gaussians(200, 1, GRID)
    assert not idle.intensities.any()
    for axis, coordinate in ((0, GRID.x), (1, GRID.y), (2, GRID.z)):
        share = (idle.means[:, axis] - coordinate[0]) / (coordinate[-1] - coordinate[0])
        assert share.min() >= 0 and share.max() <= 1
        assert abs(share.mean() - 0.5) < 0.05
