"""The CF conventions shared by every file we write: axes, projection, reflectivity encoding, provenance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import nowcast
from nowcast.errors import InputError
from nowcast.io.atomic import atomic_path
from nowcast.types import GridSpec

if TYPE_CHECKING:
    import xarray as xr

GRID_MAPPING = "projection"
PACKED_DBZ = {
    "dtype": "int16",
    "scale_factor": 0.01,
    "_FillValue": np.int16(-32768),
    "zlib": True,
    "complevel": 2,
}
"""Reflectivity is stored to 0.01 dBZ; the fill value means "not observed"."""
TIME_UNITS = "seconds since 1970-01-01T00:00:00"


def grid_coordinates(grid: GridSpec) -> dict[str, tuple[Any, ...]]:
    """Coordinate variables ``z``, ``y``, ``x`` in metres with CF attributes."""
    above = "mean sea level" if grid.origin_alt == 0 else f"{grid.origin_alt:g} m above mean sea level"
    z_name = "altitude" if grid.origin_alt == 0 else "height"
    z = {
        "standard_name": z_name,
        "long_name": f"height above {above}",
        "units": "m",
        "axis": "Z",
        "positive": "up",
    }
    y = {
        "standard_name": "projection_y_coordinate",
        "long_name": "distance north of the origin",
        "units": "m",
    }
    x = {"standard_name": "projection_x_coordinate", "long_name": "distance east of the origin", "units": "m"}
    return {
        "z": ("z", grid.z, z),
        "y": ("y", grid.y, {**y, "axis": "Y"}),
        "x": ("x", grid.x, {**x, "axis": "X"}),
    }


def grid_mapping(grid: GridSpec) -> tuple[Any, ...]:
    """The CF grid-mapping variable: azimuthal equidistant around the grid's origin on WGS84."""
    attributes = {
        "grid_mapping_name": "azimuthal_equidistant",
        "latitude_of_projection_origin": grid.origin_lat,
        "longitude_of_projection_origin": grid.origin_lon,
        "false_easting": 0.0,
        "false_northing": 0.0,
        "semi_major_axis": 6378137.0,
        "inverse_flattening": 298.257223563,
        "origin_altitude": grid.origin_alt,
    }
    return ((), np.int32(0), attributes)


def grid_of(dataset: xr.Dataset, where: str) -> GridSpec:
    """The grid of one of our datasets; raises InputError when its axes or projection are missing."""
    try:
        mapping = dataset[GRID_MAPPING].attrs
        return GridSpec.from_axes(
            float(mapping["latitude_of_projection_origin"]),
            float(mapping["longitude_of_projection_origin"]),
            dataset["z"].values,
            dataset["y"].values,
            dataset["x"].values,
            float(mapping.get("origin_altitude", 0.0)),
        )
    except KeyError as error:
        raise InputError(f"{where} has no {error}: not a file that nowcast wrote, or damaged") from error


def reflectivity_attributes() -> dict[str, str]:
    """CF attributes of a reflectivity variable."""
    return {
        "standard_name": "equivalent_reflectivity_factor",
        "long_name": "radar reflectivity",
        "units": "dBZ",
        "grid_mapping": GRID_MAPPING,
        "comment": "0 dBZ: observed, no echo. Fill value: not observed.",
    }


def global_attributes(kind: str, title: str, history: str) -> dict[str, str]:
    """Global attributes; ``kind`` tells our file types apart."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "Conventions": "CF-1.11",
        "title": title,
        "source": f"nowcast {nowcast.__version__}",
        "history": f"{stamp} {history or 'nowcast'}",
        "nowcast_kind": kind,
    }


def write_dataset(dataset: xr.Dataset, path: Path | str, encoding: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a dataset as NetCDF-4, atomically."""
    with atomic_path(path) as temporary:
        dataset.to_netcdf(temporary, format="NETCDF4", engine="netcdf4", encoding=dict(encoding))


def open_dataset(path: Path | str, kind: str, what: str) -> xr.Dataset:
    """Read one of our files into memory, having checked its kind.

    Raises
    ------
    InputError
        The file is missing, unreadable, or of another kind.
    """
    import xarray as xr

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist: expected {what}")
    try:
        with xr.open_dataset(path, engine="netcdf4", decode_timedelta=True) as dataset:
            found = dataset.attrs.get("nowcast_kind")
            if found != kind:
                raise InputError(f"{path} is not {what}" + (f" but a {found} file" if found else ""))
            return dataset.load()
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise InputError(f"{path} cannot be read as {what}: {error}") from error


def kind_of(path: Path | str) -> str | None:
    """Which of our file types a path is ("volumes", "gaussians", "forecast"), or None."""
    import netCDF4

    path = Path(path)
    if not path.is_file():
        return None
    try:
        with netCDF4.Dataset(path) as file:
            return getattr(file, "nowcast_kind", None)
    except (OSError, RuntimeError):
        return None
