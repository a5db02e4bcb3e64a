"""The CF conventions shared by every file we write: axes, projection, reflectivity encoding, provenance."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import nowcast
from nowcast.channels import CHANNELS
from nowcast.errors import InputError, UsageError
from nowcast.io.atomic import atomic_path, check_writable
from nowcast.types import REFLECTIVITY, Float32, Forecast, GridSpec, Times

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
PACKING = ("dtype", "scale_factor", "add_offset", "_FillValue", "units", "calendar")
"""What a variable's encoding tells of how its values are stored."""
OTHER_FORMATS = (".zarr", ".tif", ".tiff", ".h5", ".hdf")
TIME_UNITS = "seconds since 1970-01-01T00:00:00"
SINCE = {"units_metadata": "leap_seconds: none"}
"""Of times counted from an epoch: UTC as numpy counts it, every day with as many seconds."""
OBSERVED_TIME_ENCODING: dict[str, dict[str, Any]] = {"time": {"units": TIME_UNITS, "dtype": "float64"}}
FORECAST_TIME_ENCODING: dict[str, dict[str, Any]] = {
    "lead_time": {"units": "minutes", "dtype": "float64"},
    "valid_time": {"units": TIME_UNITS, "dtype": "float64"},
    "forecast_reference_time": {"units": TIME_UNITS, "dtype": "float64"},
}


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


def forecast_times(forecast: Forecast) -> dict[str, tuple[Any, ...]]:
    """Coordinate variables ``lead_time``, ``valid_time`` and ``forecast_reference_time`` with CF attributes."""
    lead = {"standard_name": "forecast_period", "long_name": "time since the forecast reference time"}
    init = {"standard_name": "forecast_reference_time", "long_name": "valid time of the newest volume used", **SINCE}
    valid = {"standard_name": "time", "long_name": "valid time", **SINCE}
    return {
        "lead_time": ("lead_time", forecast.lead_times.astype("timedelta64[ns]"), lead),
        "forecast_reference_time": ((), forecast.init_time.astype("datetime64[ns]"), init),
        "valid_time": ("lead_time", forecast.valid_times.astype("datetime64[ns]"), valid),
    }


def observed_times(times: Times) -> dict[str, tuple[Any, ...]]:
    """Coordinate variable ``time`` of observed volumes."""
    return {"time": ("time", times, {"standard_name": "time", "long_name": "valid time", "axis": "T", **SINCE})}


def member_coordinate(members: int) -> tuple[Any, ...]:
    """Coordinate variable ``member``."""
    attributes = {"standard_name": "realization", "long_name": "ensemble member", "units": "1"}
    return "member", np.arange(members, dtype=np.int32), attributes


def quantile_coordinate(levels: Sequence[float]) -> tuple[Any, ...]:
    """Coordinate variable ``quantile``."""
    return "quantile", np.array(levels), {"long_name": "share of the members below", "units": "1"}


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


def grid_of(dataset: xr.Dataset) -> GridSpec:
    """The grid of one of our datasets.

    Its axes are taken from ``variables``: for a dimension without coordinates xarray makes up numbers from 0.
    """
    mapping = dataset[GRID_MAPPING].attrs
    return GridSpec.from_axes(
        float(mapping["latitude_of_projection_origin"]),
        float(mapping["longitude_of_projection_origin"]),
        dataset.variables["z"].values,
        dataset.variables["y"].values,
        dataset.variables["x"].values,
        float(mapping.get("origin_altitude", 0.0)),
    )


def channel_attributes(name: str) -> dict[str, Any]:
    """CF attributes of a channel's variable."""
    if name == REFLECTIVITY:
        return reflectivity_attributes()
    channel = CHANNELS.get(name)
    if channel is None:
        return {"grid_mapping": GRID_MAPPING}
    note = "Fill value: not measured, or no echo to measure."
    return {"long_name": channel.long_name, "units": channel.unit, "grid_mapping": GRID_MAPPING, "comment": note}


def limited(name: str, values: Float32) -> Float32:
    """Values of a channel within what is plausible, so that they fit their packing."""
    if name == REFLECTIVITY or name not in CHANNELS:
        return values
    return np.clip(values, np.float32(CHANNELS[name].low), np.float32(CHANNELS[name].high))


def channel_encoding(name: str) -> dict[str, Any]:
    """How a channel is packed."""
    if name == REFLECTIVITY:
        return dict(PACKED_DBZ)
    if name not in CHANNELS:
        return {"zlib": True, "complevel": 2}
    return {**PACKED_DBZ, "scale_factor": CHANNELS[name].step}


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


def provenance_attribute(facts: Mapping[str, Any] | None) -> dict[str, str]:
    """Global attribute with what a file was made from, by what and how, as JSON; none where nothing is told."""
    return {"provenance": json.dumps(dict(facts), default=str)} if facts else {}


def radar_attributes(radars: Sequence[str], missing: Sequence[Sequence[str]]) -> dict[str, str]:
    """Global attributes of what radars saw: their names and, of several, those that were missing at some time."""
    lacking = {"radars_missing": ", ".join(sorted({name for names in missing for name in names}))} if missing else {}
    return {"radars": ", ".join(radars), **lacking} if radars else {}


def radars_of(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the radars of :func:`radar_attributes`."""
    return listed(attributes.get("radars", ""))


def one_radar(name: str) -> tuple[str, ...]:
    """The name of a radar as such an attribute can list it, without a comma; empty where there is none."""
    plain = " ".join(name.replace(",", " ").split())
    return (plain,) if plain else ()


def listed(text: object) -> tuple[str, ...]:
    """Names with commas between."""
    return tuple(filter(None, str(text).split(", ")))


def check_netcdf(path: Path) -> None:
    """Make the folder of a NetCDF file, before long work.

    Raises UsageError for a name of another format, OutputError where it cannot be written.
    """
    if path.suffix.lower() in OTHER_FORMATS:
        step = f"give -o {path.stem}.nc, then nowcast convert {path.stem}.nc -o {path.name}"
        raise UsageError(f"{path.name} names no NetCDF file: {step}")
    check_writable(path)


def write_dataset(dataset: xr.Dataset, path: Path | str, encoding: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a dataset as NetCDF-4, atomically."""
    # Coordinates are complete: xarray would give each floating-point one a fill value, which CF forbids.
    whole = {str(name): {"_FillValue": None, **encoding.get(str(name), {})} for name in dataset.coords}
    with atomic_path(path) as temporary:
        dataset.to_netcdf(temporary, format="NETCDF4", engine="netcdf4", encoding={**encoding, **whole})


MADE_BY = {"gaussians": "nowcast fit", "forecast": "nowcast forecast", "volumes": "nowcast grid"}
"""The commands that write our kinds of files."""


@contextmanager
def own_dataset(path: Path | str, kind: str, what: str, drop: Collection[str] = ()) -> Iterator[xr.Dataset]:
    """One of our files in memory, its kind checked, to be understood within :func:`reading`.

    The variables to ``drop`` are not read.

    Raises
    ------
    InputError
        The file is missing, unreadable, of another kind, or what is done with it fails.
    """
    import xarray as xr

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}: expected {what}")
    options: dict[str, Any] = {"engine": "netcdf4", "decode_timedelta": True, "drop_variables": list(drop)}
    with reading(path, what), xr.open_dataset(path, **options) as dataset:
        found = dataset.attrs.get("nowcast_kind")
        if found != kind:
            step = f"; {MADE_BY[kind]} makes one" if kind in MADE_BY else ""
            raise InputError(f"{path} is not {what}" + (f" but a {found} file" if found else "") + step)
        yield dataset.load()


@contextmanager
def reading(path: Path | str, what: str) -> Iterator[None]:
    """Tell whatever a damaged or foreign file makes fail within as an InputError that names the file."""
    try:
        yield
    except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, InputError) and str(path) in str(error):
            raise
        reason = str(error.args[0]) if isinstance(error, KeyError) else str(error)
        lacks = "" if " " in reason else "it has no "
        raise InputError(f"{path} cannot be read as {what}: {lacks}{reason}") from error


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
