from __future__ import annotations

import numpy as np
import pytest
from helpers import moving_cells, small_grid

from nowcast.motion import estimate_motion
from nowcast.types import VolumeSequence

STEP_S = 600.0
VOXEL_M = 2500.0


def error_voxels(velocity: np.ndarray, truth: np.ndarray, echo: np.ndarray) -> np.ndarray:
    """Distance between estimated and true displacement over a step, in voxels, where there is echo."""
    apart = np.hypot(velocity[:, 0] - truth[:, 0], velocity[:, 1] - truth[:, 1])
    return apart[echo] * STEP_S / VOXEL_M


def estimate(volumes: VolumeSequence) -> np.ndarray:
    return estimate_motion(volumes.filled(), volumes.times, volumes.grid, mask=volumes.mask).velocities


@pytest.mark.parametrize("velocity", [(10.0, 5.0), (-12.0, 0.0), (0.0, 0.0), (25.0, -15.0)])
def test_uniform_motion_is_found(velocity: tuple[float, float]) -> None:
    grid = small_grid((6, 60, 60))
    volumes = moving_cells(grid, velocity, steps=4, step_s=STEP_S)
    echo = volumes.filled()[-1] > 20
    truth = np.broadcast_to(np.array(velocity)[None, :, None, None], (6, 2, 60, 60))
    assert error_voxels(estimate(volumes), truth, echo).max() < 0.25
