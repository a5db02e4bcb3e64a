"""Gaussians follow the air: known motions of every kind, and cells that keep their own Gaussians."""

from __future__ import annotations

import pytest
from motion_cases import CASES, displacement_error, swapped

from nowcast.gaussians import FitConfig, fit_sequence

CONFIG = FitConfig(gaussians=128)
ALLOWED = 0.25  # voxel a step


@pytest.mark.parametrize("name", CASES)
def test_gaussians_follow_the_motion_and_keep_to_their_cell(name: str) -> None:
    case = CASES[name]()
    fitted = fit_sequence(case.volumes, CONFIG)
    assert displacement_error(fitted, case) < ALLOWED
    assert swapped(fitted, case) < 0.05
