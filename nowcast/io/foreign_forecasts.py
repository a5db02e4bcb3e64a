"""Forecast files that others wrote: CF NetCDF with ``reflectivity(lead_time, z, y, x)``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nowcast.errors import InputError
from nowcast.io import cf
from nowcast.io.gridded import axis_metres
from nowcast.types import Forecast, GridSpec
from nowcast.units import clip_dbz

if TYPE_CHECKING:
    import xarray as xr

LEAD_NAMES = ("lead_time", "forecast_period", "step", "leadtime")
INIT_NAMES = ("forecast_reference_time", "init_time", "reference_time", "analysis_time")
ORIGIN = ("latitude_of_projection_origin", "longitude_of_projection_origin")


def read_foreign_forecast(path: Path) -> Forecast:
    """Read a forecast that nowcast did not write.

    Lead times and the initial time are found by standard name (``forecast_period``, ``forecast_reference_time``) or
    usual names, the origin of the grid by a CF grid mapping. Axes may fall, and be in kilometres. Values that are
    missing are not covered by the forecast.

    Raises
    ------
    InputError
        The file cannot be read, or lacks one of these.
    """
    import xarray as xr

    with cf.reading(path, "a forecast file"), xr.open_dataset(path, decode_timedelta=True) as dataset:
        return _forecast(dataset.load(), path)


def _forecast(dataset: xr.Dataset, path: Path) -> Forecast:
    lead = _named(dataset, "forecast_period", LEAD_NAMES)
    init = _named(dataset, "forecast_reference_time", INIT_NAMES)
    name = next((str(n) for n, v in dataset.data_vars.items() if lead in v.dims and v.ndim in (4, 5)), None)
    if lead is None or init is None or name is None:
        raise InputError(
            f"{path} is no forecast file: expected reflectivity(lead_time, z, y, x), its lead times and a "
            f"forecast_reference_time; it has {', '.join(map(str, dataset.variables))}"
        )
    axes = {dim: _axis(dataset.variables[dim], dim, path) for dim in ("z", "y", "x")}
    rising = dataset[name].isel({dim: np.argsort(axis) for dim, axis in axes.items()})
    members = [d for d in rising.dims if d not in (lead, *axes)]
    values = rising.transpose(*members, lead, *axes).values.astype(np.float32)
    values = clip_dbz(values if members else values[None]).astype(np.float32)
    return Forecast(
        init_time=dataset[init].values.astype("datetime64[ns]").ravel()[0],
        lead_times=_lead_times(dataset[lead], path),
        values=values,
        grid=_grid(dataset, [np.sort(axis) for axis in axes.values()], path),
        method=str(dataset.attrs.get("method", path.stem)),
    )


def _named(dataset: xr.Dataset, standard_name: str, names: tuple[str, ...]) -> str | None:
    """A variable by its standard name, else by one of its usual names."""
    for key, variable in dataset.variables.items():
        if variable.attrs.get("standard_name") == standard_name:
            return str(key)
    return next((n for n in names if n in dataset.variables), None)


def _lead_times(lead: xr.DataArray, path: Path) -> np.ndarray:
    """Lead times as timedelta64[ns]; plain numbers need units that xarray understands."""
    if not np.issubdtype(lead.dtype, np.timedelta64):
        raise InputError(
            f"{path}: lead times have units {lead.attrs.get('units', '(none)')!r}; expected minutes or such"
        )
    return lead.values.astype("timedelta64[ns]")


def _axis(axis: xr.Variable, dim: str, path: Path) -> NDArray[np.float64]:
    return axis_metres(path, dim, axis.values.astype(np.float64), str(axis.attrs.get("units", "")))


def _grid(dataset: xr.Dataset, axes: list[NDArray[np.float64]], path: Path) -> GridSpec:
    mapping = next((v.attrs for v in dataset.variables.values() if ORIGIN[0] in v.attrs), None)
    if mapping is None or ORIGIN[1] not in mapping:
        raise InputError(f"{path} has no grid mapping with {ORIGIN[0]}: where the grid lies is not known")
    lat, lon = (float(np.ravel(mapping[key])[0]) for key in ORIGIN)
    z, y, x = axes
    return GridSpec.from_axes(lat, lon, z, y, x, float(mapping.get("origin_altitude", 0.0)))
