"""Gridded radar files of others: Py-ART Grid NetCDF, and CF NetCDF with reflectivity on z, y, x.

Such files mostly write one value for both "no echo" and "not observed". Then every voxel is taken as observed and as
no echo where it has no value, and ``coverage`` marks the voxels that held a value at least once.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import netCDF4
import numpy as np
from numpy.typing import NDArray

from nowcast.errors import InputError
from nowcast.fields import find_field
from nowcast.io import cf
from nowcast.types import REFLECTIVITY, Bool, Float32, GridSpec, Times, VolumeSequence
from nowcast.units import ECHO_FLOOR_DBZ, clip_dbz

MASK_NAMES = ("mask", "observed", "valid_mask", "coverage_mask", "observed_mask")
AXIS_NAMES = {
    "z": ("z", "height", "altitude", "level", "lev", "z0"),
    "y": ("y", "y0", "projection_y_coordinate", "north"),
    "x": ("x", "x0", "projection_x_coordinate", "east"),
}
LENGTH_UNITS = {"m": 1.0, "meter": 1.0, "meters": 1.0, "metre": 1.0, "metres": 1.0, "": 1.0, "1": 1.0}
LENGTH_UNITS |= {"km": 1000.0, "kilometer": 1000.0, "kilometers": 1000.0, "kilometre": 1000.0, "kilometres": 1000.0}
MOST_DBZ = 200.0
"""No radar measures reflectivity beyond this, positive or negative."""
SUSPECT_KM = 200.0
"""An axis without units whose values stay below this is in kilometres."""


@dataclass(frozen=True)
class _Layout:
    """Where a file keeps what we need: names of the variables and of the dimensions."""

    reflectivity: str
    mask: str | None
    time: str | None
    dims: tuple[str, str, str]


def gridded_times(path: Path | str) -> Times:
    """Valid times ``[T]`` of a gridded file, without reading its volumes; raises InputError as :func:`read_gridded`."""
    with _opened(Path(path)) as dataset:
        return _times(Path(path), dataset, _layout(Path(path), dataset))


def read_gridded(
    path: Path | str,
    *,
    bottom_m: float = 0.0,
    top_m: float = 20_000.0,
    level_spacing_m: float = 500.0,
    times: Sequence[np.datetime64] | None = None,
) -> VolumeSequence:
    """Read a gridded file of one or several times.

    Parameters
    ----------
    bottom_m, top_m
        Only levels within are kept, in the file's own datum of height.
    level_spacing_m
        Levels that are not evenly spaced are interpolated to this spacing.
    times
        Only these times are read, as :func:`gridded_times` gives them; default all.

    Raises
    ------
    InputError
        The file cannot be read, has no reflectivity on z, y, x, no times, none of the wanted times, no origin, or the
        same time twice.
    """
    path = Path(path)
    grid, found, radars = _read_file(path, (bottom_m, top_m, level_spacing_m), times)
    if not found:
        raise InputError(f"{path} holds no volume of the times asked for")
    return replace(_sequence(sorted(found, key=lambda item: item[0]), grid, path.name), radars=radars)


def _sequence(found: list[tuple[np.datetime64, Float32, Bool | None]], grid: GridSpec, source: str) -> VolumeSequence:
    times = np.array([item[0] for item in found], "datetime64[ns]")
    values = np.stack([item[1] for item in found])[:, None]
    finite = np.isfinite(values[:, 0])
    masks = [item[2] for item in found if item[2] is not None]
    told = bool(masks)  # a file has a mask at all times or none
    mask = np.stack(masks) if told else np.ones_like(finite)
    values = np.where(finite[:, None], clip_dbz(values), np.float32(ECHO_FLOOR_DBZ)).astype(np.float32)
    values[~mask[:, None]] = np.nan
    coverage = None if told else np.asarray(finite.any(axis=0))
    return VolumeSequence(values, mask, times, grid, sources=(source,) * len(found), coverage=coverage)


def _read_file(
    path: Path, levels: tuple[float, float, float], wanted: Sequence[np.datetime64] | None
) -> tuple[GridSpec, list[tuple[np.datetime64, Float32, Bool | None]], tuple[str, ...]]:
    with _opened(path) as dataset:
        layout = _layout(path, dataset)
        times = _times(path, dataset, layout)
        axes = [_axis(path, dataset, dim) for dim in layout.dims]
        order = [np.argsort(axis) for axis in axes]
        axes = [axis[o] for axis, o in zip(axes, order, strict=True)]
        lat, lon, alt = _origin(path, dataset, layout)
        resample = _Levels.choose(path, axes[0], *levels)
        volumes = []
        for k, time in enumerate(times):
            if wanted is not None and time not in wanted:
                continue
            values = _volume(dataset, layout.reflectivity, layout, k)[np.ix_(*order)]
            mask = None
            if layout.mask is not None:
                mask = resample.of_mask(_volume(dataset, layout.mask, layout, k)[np.ix_(*order)] > 0.5)
            volumes.append((time, resample.of_values(values), mask))
        grid = GridSpec.from_axes(lat, lon, resample.target, axes[1], axes[2], alt)
        radars = cf.one_radar(str(getattr(dataset, "instrument_name", "")))
    return grid, volumes, radars


@dataclass(frozen=True)
class _Levels:
    """How a file's levels become evenly spaced ones: level ``i`` mixes ``lower[i]`` and the one above it."""

    target: NDArray[np.float64]
    lower: NDArray[np.intp]
    part: Float32

    @staticmethod
    def choose(path: Path, z: NDArray[np.float64], bottom: float, top: float, spacing: float) -> _Levels:
        inside = (z >= bottom - 1.0) & (z <= top + 1.0)
        if not inside.any():
            raise InputError(
                f"{path} has levels from {z[0]:.0f} to {z[-1]:.0f} m, none within {bottom:.0f} to {top:.0f} m"
            )
        target = z[inside]
        steps = np.diff(target)
        if steps.size and np.ptp(steps) > 1e-3 * steps[0]:
            low, high = max(bottom, z[0]), min(top, z[-1])
            target = low + spacing * np.arange(int((high - low) / spacing + 1e-6) + 1)
        lower = np.clip(np.searchsorted(z, target + 0.5, side="right") - 1, 0, max(z.size - 2, 0))
        width = np.maximum(z[np.minimum(lower + 1, z.size - 1)] - z[lower], 1e-6)
        return _Levels(target, lower, np.clip((target - z[lower]) / width, 0.0, 1.0).astype(np.float32))

    def of_values(self, values: Float32) -> Float32:
        """Levels interpolated linearly; where one of the two has no value the nearer counts."""
        upper = np.minimum(self.lower + 1, values.shape[0] - 1)
        low, high, part = values[self.lower], values[upper], self.part[:, None, None]
        mixed = np.where(part < 1e-6, low, np.where(part > 1 - 1e-6, high, low + part * (high - low)))
        return np.where(np.isfinite(mixed), mixed, np.where(part < 0.5, low, high)).astype(np.float32)

    def of_mask(self, mask: Bool) -> Bool:
        """A level is observed where the nearer of the two is."""
        upper = np.minimum(self.lower + 1, mask.shape[0] - 1)
        return np.where(self.part[:, None, None] < 0.5, mask[self.lower], mask[upper])


@contextmanager
def _opened(path: Path) -> Iterator[netCDF4.Dataset]:
    try:
        dataset = netCDF4.Dataset(path)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a NetCDF grid: {error}") from error
    with dataset, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks on unusual files are not for the user
        try:
            yield dataset
        except (OSError, RuntimeError) as error:
            raise InputError(f"{path} is damaged: {error}") from error


def _layout(path: Path, file: netCDF4.Dataset) -> _Layout:
    name = _reflectivity_name(file)
    if name is None:
        raise InputError(f"{path} has no reflectivity on z, y, x; its variables are {', '.join(file.variables)}")
    dims = file[name].dimensions
    found = [d for axis in ("z", "y", "x") if (d := _dimension(file, dims, axis)) is not None]
    others = [d for d in dims if d not in found and len(file.dimensions[d]) != 1]
    single = [d for d in dims if d not in found and len(file.dimensions[d]) == 1]
    if len(found) != 3 or len(others) > 1:
        raise InputError(f"{path}: {name} has dimensions {dims}, not (time, z, y, x)")
    mask = next((n for n in MASK_NAMES if n in file.variables and file[n].dimensions == dims), None)
    time = next((d for d in (*others, *single)), None)
    return _Layout(name, mask, time, (found[0], found[1], found[2]))


def _reflectivity_name(file: netCDF4.Dataset) -> str | None:
    cubes = [n for n, v in file.variables.items() if v.ndim >= 3]
    usual = find_field(cubes, REFLECTIVITY)
    if usual is not None:
        return usual
    for name in cubes:
        standard, units = (str(getattr(file[name], a, "")) for a in ("standard_name", "units"))
        if "reflectivity" in standard or units.lower() == "dbz":
            return name
    return None


def _dimension(file: netCDF4.Dataset, dims: tuple[str, ...], axis: str) -> str | None:
    for dim in dims:
        if dim in file.variables and str(getattr(file[dim], "axis", "")).lower() == axis:
            return dim
    lower = {d.lower(): d for d in dims}
    return next((lower[a] for a in AXIS_NAMES[axis] if a in lower), None)


def _axis(path: Path, file: netCDF4.Dataset, dim: str) -> NDArray[np.float64]:
    """Coordinates along a dimension in metres."""
    if dim not in file.variables:
        raise InputError(f"{path} has no coordinates along {dim}")
    values = np.asarray(np.ma.filled(file[dim][:].astype(np.float64), np.nan))
    return axis_metres(path, dim, values, str(getattr(file[dim], "units", "")))


def axis_metres(path: Path, dim: str, values: NDArray[np.float64], units: str) -> NDArray[np.float64]:
    """Coordinates of a grid's axis in metres; raises InputError where ``units`` is no length.

    An axis without units is in kilometres when its values stay below ``SUSPECT_KM``.
    """
    units = units.strip().lower()
    if units.startswith("degree"):
        raise InputError(f"{path}: {dim} is in degrees; a grid in metres on a projection plane is needed")
    if units not in LENGTH_UNITS:
        raise InputError(f"{path}: {dim} is in {units!r}; expected metres or kilometres")
    in_km = units == "" and bool(np.abs(values).max() < SUSPECT_KM)
    return values * (1000.0 if in_km else LENGTH_UNITS[units])


def _times(path: Path, file: netCDF4.Dataset, layout: _Layout) -> Times:
    expected = len(file.dimensions[layout.time]) if layout.time is not None else 1
    for name in (layout.time, "time", "valid_time", "time0"):
        variable = file.variables.get(name) if name is not None else None
        if variable is None or "since" not in str(getattr(variable, "units", "")):
            continue
        numbers = np.ma.atleast_1d(variable[:])
        if numbers.size == expected and not np.ma.is_masked(numbers):
            calendar = str(getattr(variable, "calendar", "standard"))
            dates = np.atleast_1d(np.asarray(netCDF4.num2date(numbers, variable.units, calendar)))
            return np.array([d.isoformat() for d in dates], "datetime64[ns]")
    try:
        return np.array([np.datetime64(str(file.time_coverage_start).rstrip("Z"), "ns")])
    except (AttributeError, ValueError) as error:
        raise InputError(f"{path} has no time coordinate that can be understood") from error


def _volume(file: netCDF4.Dataset, name: str, layout: _Layout, k: int) -> Float32:
    """One time of a variable ``[z, y, x]`` in the file's order of levels, rows and columns; NaN where missing."""
    dims = file[name].dimensions
    index = tuple(slice(None) if d in layout.dims else (k if d == layout.time else 0) for d in dims)
    values = np.ma.filled(np.ma.asarray(file[name][index]).astype(np.float32), np.nan)
    values[np.abs(values) > MOST_DBZ] = np.nan  # a fill value that the file does not declare
    left = [d for d in dims if d in layout.dims]
    return values.transpose([left.index(d) for d in layout.dims])


def _origin(path: Path, file: netCDF4.Dataset, layout: _Layout) -> tuple[float, float, float]:
    """Latitude, longitude and altitude of the point where x, y and z are 0."""
    lat, lon, alt = (_scalar(file, f"origin_{n}") for n in ("latitude", "longitude", "altitude"))
    if lat is None or lon is None:
        named = str(getattr(file[layout.reflectivity], "grid_mapping", ""))
        for name in sorted(file.variables, key=lambda n: n != named):
            attributes = file[name].__dict__
            if "latitude_of_projection_origin" in attributes:
                lat = float(np.ravel(attributes["latitude_of_projection_origin"])[0])
                east = "longitude_of_projection_origin"
                east = east if east in attributes else "longitude_of_central_meridian"
                lon = float(np.ravel(attributes[east])[0]) if east in attributes else None
                alt = float(attributes["origin_altitude"]) if "origin_altitude" in attributes else alt
                break
    if lat is None or lon is None or not np.isfinite([lat, lon]).all():
        raise InputError(f"{path} does not tell the origin of its grid: no origin_latitude and no grid mapping")
    return lat, lon, alt or 0.0


def _scalar(file: netCDF4.Dataset, name: str) -> float | None:
    if name in file.variables:
        return float(np.ma.filled(np.ma.asarray(file[name][:], float), np.nan).ravel()[0])
    try:
        return float(getattr(file, name))
    except (AttributeError, TypeError, ValueError):
        return None
