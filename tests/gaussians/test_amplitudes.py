"""Amplitudes given the shapes, against dense least squares."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from helpers import moving_cells, small_grid

from nowcast.gaussians import FitConfig
from nowcast.gaussians.amplitudes import solve_amplitudes
from nowcast.gaussians.passes import image_term, limits
from nowcast.gaussians.state import State, volume_in_voxels
from nowcast_kernels.voxelize import voxelize

GRID = small_grid((4, 16, 18))
CHANNELS = ("reflectivity", "zdr", "rhohv")


def test_the_amplitudes_are_those_of_least_squares_and_reflectivity_is_untouched() -> None:
    rng = np.random.default_rng(4)
    cells = moving_cells(GRID, steps=1)
    zdr = np.where(cells.reflectivity > 8, 0.05 * cells.reflectivity, np.nan)
    values = np.stack([cells.reflectivity, zdr, 1.0 - 0.02 * zdr], axis=1).astype(np.float32)
    volumes = replace(cells, values=values, channels=CHANNELS)
    n, config = 30, FitConfig()
    across, up = rng.uniform(GRID.x[0], GRID.x[-1], (n, 2)), rng.uniform(GRID.z[0], GRID.z[-1], (n, 1))
    quats = rng.normal(size=(n, 4))
    state = State(
        np.hstack([across, up]).astype(np.float32),
        np.log(rng.uniform(3e3, 6e3, (n, 3))).astype(np.float32),
        (quats / np.linalg.norm(quats, axis=1, keepdims=True)).astype(np.float32),
        rng.uniform(-0.1, 0.1, (n, 3)).astype(np.float32),
    )
    image, price = image_term(volumes, 0, config), np.full(n, 0.003, np.float32)
    free = replace(limits(GRID, CHANNELS, config), least=np.full(3, -9e9), most=np.full(3, 9e9))
    found = solve_amplitudes(image, state, price, free, 60).intensities
    np.testing.assert_array_equal(found[:, 0], state.intensities[:, 0])
    arrays = [torch.from_numpy(a) for a in state.arrays()[:3]]
    drawn = voxelize(*arrays, torch.eye(n), GRID).numpy().reshape(n, -1).T.astype(np.float64)
    for c in (1, 2):
        weight = image.root_weight[c].ravel()
        matrix = np.vstack([weight[:, None] * drawn, np.diag(np.sqrt(price * volume_in_voxels(state, GRID.spacing_m)))])
        right = np.concatenate([weight * image.target[c].ravel(), np.zeros(n)])
        best = np.linalg.lstsq(matrix, right, rcond=None)[0]
        np.testing.assert_allclose(found[:, c], best, atol=2e-3 * np.abs(best).max())
