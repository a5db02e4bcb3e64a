"""Beam geometry against published values and exact inverses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast.radar import Site
from nowcast.radar.geometry import (
    EFFECTIVE_RADIUS_M,
    beam_height_m,
    column_positions,
    ground_distance_m,
    slant_range_m,
)
from nowcast.types import GridSpec


@pytest.mark.parametrize(
    ("range_km", "elevation", "height_km"),
    # h = r sin(e) + r^2 cos^2(e) / (2 k a), the usual second-order form, is good to a few metres here.
    [(100, 0.5, 1.461), (200, 0.5, 4.099), (100, 5.0, 9.300), (50, 19.5, 16.821), (230, 0.0, 3.114)],
)
def test_beam_height_agrees_with_the_usual_approximation(range_km: float, elevation: float, height_km: float) -> None:
    assert beam_height_m(1e3 * range_km, elevation) == pytest.approx(1e3 * height_km, abs=12.0)
    r, e = 1e3 * range_km, np.deg2rad(elevation)
    second_order = r * np.sin(e) + (r * np.cos(e)) ** 2 / (2 * EFFECTIVE_RADIUS_M)
    assert beam_height_m(r, elevation) == pytest.approx(second_order, rel=2e-3)


@given(st.floats(1e3, 4e5), st.floats(0.0, 60.0))
def test_slant_range_inverts_ground_distance(range_m: float, elevation: float) -> None:
    assert slant_range_m(ground_distance_m(range_m, elevation), elevation) == pytest.approx(range_m, rel=1e-9)


def test_a_vertical_beam_never_gets_far() -> None:
    assert np.isnan(slant_range_m(50e3, 90.0))


def test_columns_around_the_radar_are_polar_coordinates() -> None:
    grid = GridSpec(-27.6, 152.5, (1, 3, 3), (0.0, -1000.0, -1000.0), (500.0, 1000.0, 1000.0))
    ground, azimuth = column_positions(Site(-27.6, 152.5, 10.0), grid)
    assert ground[1] == pytest.approx([1000.0, 0.0, 1000.0])
    assert azimuth[1, [0, 2]] == pytest.approx([270.0, 90.0])
    assert azimuth[2, [0, 1, 2]] == pytest.approx([315.0, 0.0, 45.0])


def test_columns_of_another_origin_agree_with_the_sphere() -> None:
    site = Site(50.0, 5.0, 100.0)
    grid = GridSpec(50.5, 5.5, (1, 5, 5), (0.0, -40e3, -40e3), (500.0, 20e3, 20e3))
    ground, azimuth = column_positions(site, grid)
    # The grid's centre by the spherical law of cosines.
    lat1, lat2, step = np.deg2rad(50.0), np.deg2rad(50.5), np.deg2rad(0.5)
    angle = np.arccos(np.sin(lat1) * np.sin(lat2) + np.cos(lat1) * np.cos(lat2) * np.cos(step))
    bearing = np.arctan2(
        np.sin(step) * np.cos(lat2), np.cos(lat1) * np.sin(lat2) - np.sin(lat1) * np.cos(lat2) * np.cos(step)
    )
    assert ground[2, 2] == pytest.approx(6371e3 * angle, rel=4e-3)
    assert azimuth[2, 2] == pytest.approx(np.rad2deg(bearing), abs=0.3)
    # Moving the origin onto the radar gives what polar coordinates give.
    there = GridSpec(50.0, 5.0, (1, 5, 5), (0.0, -40e3, -40e3), (500.0, 20e3, 20e3))
    exact, _ = column_positions(site, there)
    slow, _ = column_positions(Site(50.0 + 2e-7, 5.0, 100.0), there)
    assert slow == pytest.approx(exact, abs=0.5)
