"""Azimuthal shear and divergence against winds whose derivatives are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nowcast.radar.shear import shear
from nowcast.types import Float32

AZIMUTH = (np.arange(360) + 0.5).astype(np.float32)
GATE_M, GATES = 500.0, 200
PLACE = (30e3, 40e3)  # east and north of the radar


def radial(wind: Callable[[Any, Any], tuple[Any, Any]], rays: Float32 = AZIMUTH) -> Float32:
    """Radial velocity ``[R, G]`` of a wind given by its eastward and northward parts at (x, y)."""
    turn, reach = np.deg2rad(rays)[:, None], GATE_M * (np.arange(GATES) + 0.5)
    east, north = np.sin(turn), np.cos(turn)
    u, v = wind(reach * east - PLACE[0], reach * north - PLACE[1])
    return np.asarray(u * east + v * north, np.float32)


def at_place(values: Float32) -> float:
    """The value at the centre of the wind: 50 km away, 36.9 degrees from north."""
    return float(values[36, 100])


def test_solid_rotation_is_azimuthal_shear_without_divergence() -> None:
    across, along = shear(radial(lambda x, y: (-2e-3 * y, 2e-3 * x)), AZIMUTH, 0.5 * GATE_M, GATE_M)
    assert at_place(across) == pytest.approx(2e-3, rel=0.01)
    assert at_place(along) == pytest.approx(0.0, abs=2e-5)


def test_pure_divergence_is_the_reverse() -> None:
    across, along = shear(radial(lambda x, y: (2e-3 * x, 2e-3 * y)), AZIMUTH, 0.5 * GATE_M, GATE_M)
    assert at_place(across) == pytest.approx(0.0, abs=2e-5)
    assert at_place(along) == pytest.approx(2e-3, rel=0.01)


def test_the_circle_is_closed_at_north() -> None:
    """Uneven rays, north between the last and the first."""
    rays = np.sort(np.mod(AZIMUTH + np.random.default_rng(1).uniform(-0.3, 0.3, 360), 360.0)).astype(np.float32)
    turning = radial(lambda x, y: (-1e-3 * (y + PLACE[1]), 1e-3 * (x + PLACE[0] + 20e3)), rays)
    across, _ = shear(turning, rays, 0.5 * GATE_M, GATE_M)
    # v_r = w d cos(azimuth) for a vortex d west of the radar, so that the shear is -w d sin(azimuth) / r.
    expected = -20.0 * np.sin(np.deg2rad(rays)) / (100.5 * GATE_M)
    assert np.abs(across[:, 100] - expected).max() < 6e-6  # of 2e-4: uneven rays see a little curvature


def test_few_velocities_tell_nothing() -> None:
    velocity = radial(lambda x, y: (2e-3 * x, 2e-3 * y))
    lonely = np.full_like(velocity, np.nan)
    lonely[36, 100] = velocity[36, 100]
    half = np.where(np.arange(GATES) < 100, velocity, np.nan).astype(np.float32)
    for values in (*shear(lonely, AZIMUTH, 0.5 * GATE_M, GATE_M),):
        assert np.isnan(values).all()
    across, _ = shear(half, AZIMUTH, 0.5 * GATE_M, GATE_M)
    assert np.isfinite(across[:, :100]).all() and np.isnan(across[:, 100:]).all()
