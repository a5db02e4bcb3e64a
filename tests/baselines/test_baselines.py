from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from helpers import moving_cells, small_grid

from nowcast.baselines import extrapolation, extrapolation_levels, persistence

METHODS = [persistence, extrapolation, extrapolation_levels]
LEADS = np.array([10, 20, 30], "timedelta64[m]").astype("timedelta64[ns]")


@pytest.mark.parametrize("method", METHODS)
def test_shape_and_dry_stays_dry(method: Callable[..., np.ndarray]) -> None:
    volumes = moving_cells(small_grid((4, 24, 32)), steps=3, peak_dbz=0.0)
    forecast = method(volumes, LEADS)
    assert forecast.shape == (3, 4, 24, 32)
    assert forecast.dtype == np.float32
    assert (forecast == 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_one_volume_is_enough(method: Callable[..., np.ndarray]) -> None:
    volumes = moving_cells(small_grid((4, 24, 32)), steps=1)
    forecast = method(volumes, LEADS)
    assert all(np.array_equal(field, volumes.filled()[0]) for field in forecast)


@pytest.mark.parametrize("method", METHODS)
def test_voxels_not_observed_give_no_nan(method: Callable[..., np.ndarray]) -> None:
    volumes = moving_cells(small_grid((4, 24, 32)), steps=3)
    volumes.mask[:, :, :6] = False
    volumes.values[:, :, :, :6] = np.nan
    assert np.isfinite(method(volumes, LEADS)).all()


def test_extrapolation_follows_moving_cells() -> None:
    volumes = moving_cells(small_grid((6, 48, 56)), (10.0, 5.0), steps=7)
    past, future = volumes.select(slice(0, 4)), volumes.filled()[4:]
    error = {m.__name__: np.abs(m(past, LEADS) - future).mean() for m in METHODS}
    assert error["extrapolation"] < 0.1 * error["persistence"]
    assert error["extrapolation_levels"] < 0.1 * error["persistence"]


def test_levels_of_their_own_pay_in_shear() -> None:
    volumes = moving_cells(small_grid((9, 48, 56)), (-6.0, 3.0), steps=7, shear_per_s=2e-3)
    past, future = volumes.select(slice(0, 4)), volumes.filled()[4:]
    error = {m.__name__: np.abs(m(past, LEADS) - future).mean() for m in METHODS}
    assert error["extrapolation_levels"] < 0.5 * error["extrapolation"]
