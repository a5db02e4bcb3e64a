"""Conversions of units, and places on a grid."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import small_grid
from hypothesis import given
from hypothesis import strategies as st

from nowcast import units


@given(st.floats(-40, 80))
def test_decibels_there_and_back(dbz: float) -> None:
    assert units.linear_to_dbz(np.array([units.dbz_to_linear(dbz)]))[0] == pytest.approx(dbz, abs=1e-9)
    assert units.model_to_dbz(units.dbz_to_model(dbz)) == pytest.approx(dbz, abs=1e-12)


def test_no_power_is_minus_infinity() -> None:
    assert units.linear_to_dbz(np.array([0.0, -1.0])).tolist() == [-np.inf, -np.inf]


def test_single_precision_stays() -> None:
    dbz = np.array([0.0, 35.0], np.float32)
    for convert in (units.dbz_to_model, units.model_to_dbz, units.dbz_to_linear):
        assert convert(dbz).dtype == np.float32


def test_times() -> None:
    leads = np.array([90, 600], "timedelta64[s]").astype("timedelta64[ns]")
    assert units.seconds(leads).tolist() == [90.0, 600.0] and units.minutes(leads).tolist() == [1.5, 10.0]
    assert units.seconds(leads[0]) == 90.0 and units.minutes(leads[0]) == 1.5
    time = np.datetime64("2005-11-27T04:41:59", "ns")
    assert units.iso_utc(time) == "2005-11-27T04:41:59Z" and units.iso_utc(time, "m") == "2005-11-27T04:41Z"
    assert units.compact_utc(time) == "20051127T044159" and units.compact_utc(time, "m") == "20051127T0441"


def test_a_voxels_centre_has_its_index() -> None:
    grid = small_grid((3, 5, 7))
    points = [(grid.x[6], grid.y[4], grid.z[2]), (grid.x[0], grid.y[0], grid.z[0]), (0.0, 0.0, 1500.0)]
    np.testing.assert_allclose(grid.index_of(points), [[2, 4, 6], [0, 0, 0], [0.5, 2, 3]])
