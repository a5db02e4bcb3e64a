"""Forecast files: ``reflectivity(lead_time, z, y, x)`` as CF NetCDF-4."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.ensemble import ensemble_products
from nowcast.io import cf
from nowcast.types import REFLECTIVITY, Float32, Forecast

KIND = "forecast"
CONTROL = "reflectivity_control"


def write_forecast(forecast: Forecast, path: Path | str, *, history: str = "") -> None:
    """Write a forecast, compressed and atomically; where nothing is known the file holds the fill value.

    A deterministic forecast has dims ``(lead_time, z, y, x)``, an ensemble ``(member, lead_time, z, y, x)``, with the
    one best forecast (``reflectivity_control``) and what :mod:`nowcast.ensemble` derives from the members beside it:
    ``reflectivity_mean``, ``reflectivity_matched_mean``, ``reflectivity_quantile``, ``exceedance_probability`` and
    ``column_exceedance_probability``. A fallback says why in the attribute ``fallback_reason``.
    Raises OutputError when the file cannot be written.
    """
    import xarray as xr

    members = forecast.values.shape[0]
    dims: tuple[str, ...] = ("lead_time", "z", "y", "x")
    values = forecast.values[0]
    coordinates = cf.grid_coordinates(forecast.grid)
    chunks: tuple[int, ...] = (1, *forecast.grid.shape)
    if members > 1:
        dims, values, chunks = ("member", *dims), forecast.values, (1, *chunks)
        coordinates["member"] = cf.member_coordinate(members)
    coordinates |= cf.forecast_times(forecast)
    variables = {
        REFLECTIVITY: (dims, values, cf.reflectivity_attributes()),
        cf.GRID_MAPPING: cf.grid_mapping(forecast.grid),
    }
    derived = _add_products(forecast, variables, coordinates) if members > 1 else {}
    attributes = cf.global_attributes(KIND, "Radar reflectivity forecast", history)
    attributes |= {
        "method": forecast.method,
        "provenance": json.dumps(dict(forecast.provenance), default=str),
    }
    if forecast.radars:
        attributes |= cf.radar_attributes(forecast.radars, forecast.provenance.get("radars_missing", ()))
    if "fallback_reason" in forecast.provenance:
        attributes["fallback_reason"] = forecast.provenance["fallback_reason"]
    dataset = xr.Dataset(variables, coordinates, attributes)
    encoding: dict[str, dict[str, Any]] = {
        REFLECTIVITY: {**cf.PACKED_DBZ, "chunksizes": chunks},
        **cf.FORECAST_TIME_ENCODING,
        **derived,
    }
    cf.write_dataset(dataset, path, encoding)


def _add_products(
    forecast: Forecast, variables: dict[str, Any], coordinates: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Add what the members say together; returns how it is stored."""
    found = ensemble_products(forecast.values)
    space, above = ("lead_time", "z", "y", "x"), {"long_name": "reflectivity reached", "units": "dBZ"}
    coordinates["threshold"] = ("threshold", np.array(found.thresholds_dbz), above)
    coordinates["quantile"] = cf.quantile_coordinate(found.quantile_levels)
    dbz = cf.reflectivity_attributes()
    fields: dict[str, tuple[tuple[str, ...], Float32, str]] = {}
    if forecast.control is not None:
        fields[CONTROL] = (space, forecast.control, "the one best forecast")
    fields |= {
        "reflectivity_mean": (space, found.mean, "mean of the members"),
        "reflectivity_matched_mean": (space, found.matched_mean, "probability-matched mean of the members"),
        "reflectivity_quantile": (("quantile", *space), found.quantiles, "quantiles of the members"),
    }
    for name, (dims, values, text) in fields.items():
        variables[name] = (dims, values, {**dbz, "long_name": text})
    shares = {"units": "1", "grid_mapping": cf.GRID_MAPPING}
    here = {**shares, "long_name": "share of the members that reach the threshold"}
    variables["exceedance_probability"] = (("threshold", *space), found.probability, here)
    anywhere = {**shares, "long_name": "share of the members that reach the threshold in the column"}
    plane = ("threshold", "lead_time", "y", "x")
    variables["column_exceedance_probability"] = (plane, found.column_probability, anywhere)
    packed = {"dtype": "int16", "scale_factor": 1e-4, "_FillValue": -32768, "zlib": True, "complevel": 2}
    chances = ("exceedance_probability", "column_exceedance_probability")
    return {name: dict(cf.PACKED_DBZ) for name in fields} | {name: dict(packed) for name in chances}


def read_forecast(path: Path | str) -> Forecast:
    """Read a file of :func:`write_forecast`; raises InputError when it is not one."""
    with cf.own_dataset(path, KIND, "a forecast file") as dataset:
        values = dataset[REFLECTIVITY].values.astype(np.float32)
        return Forecast(
            init_time=np.datetime64(dataset["forecast_reference_time"].values.astype("datetime64[ns]").item(), "ns"),
            lead_times=dataset.variables["lead_time"].values.astype("timedelta64[ns]"),
            values=values[None] if values.ndim == 4 else values,
            grid=cf.grid_of(dataset),
            method=str(dataset.attrs["method"]),
            provenance=json.loads(dataset.attrs.get("provenance", "{}")),
            control=dataset[CONTROL].values.astype(np.float32) if CONTROL in dataset else None,
        )


def is_forecast_file(path: Path | str) -> bool:
    """Whether the path is a file of :func:`write_forecast`."""
    return cf.kind_of(path) == KIND
