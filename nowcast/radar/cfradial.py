"""CfRadial 1 volumes, read with netCDF4: importing Py-ART for them would take longer than reading them.

https://github.com/NCAR/CfRadial, version 1.4. Files that are laid out otherwise are left to Py-ART.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from nowcast.fields import find_field
from nowcast.radar.polar import ALWAYS_READ, DEFAULT_BEAM_WIDTH_DEG, NO_ECHO_DBZ, Sweep, ordered, plausible_site
from nowcast.radar.volume_head import VolumeHead
from nowcast.types import REFLECTIVITY, Float32

MIN_RAYS = 5


def read_head(path: Path) -> VolumeHead | None:
    """Time, radar, position and elevations without the data, or None where the layout is not understood."""
    try:
        with warnings.catch_warnings(), netCDF4.Dataset(path) as file:
            warnings.simplefilter("ignore")
            return _head(path, file)
    except (KeyError, ValueError, IndexError, AttributeError, OSError, RuntimeError):
        return None


def read_cfradial(path: Path, also: Collection[str] = ()) -> tuple[VolumeHead, list[Sweep]] | None:
    """The azimuth sweeps with reflectivity, or None where the file is laid out in a way that Py-ART knows better."""
    try:
        with warnings.catch_warnings(), netCDF4.Dataset(path) as file:
            warnings.simplefilter("ignore")
            sweeps = _sweeps(file, also)
            return (_head(path, file), sweeps) if sweeps else None
    except (KeyError, ValueError, IndexError, AttributeError, OSError, RuntimeError):
        return None


def _head(path: Path, file: netCDF4.Dataset) -> VolumeHead:
    place = [float(_numbers(file, name).ravel()[0]) for name in ("latitude", "longitude", "altitude")]
    variables = file.variables
    start = _text(variables["time_coverage_start"][:]) if "time_coverage_start" in variables else ""
    start = start or str(getattr(file, "time_coverage_start", ""))
    beam = next((n for n in ("radar_beam_width_v", "radar_beam_width_h") if n in variables), None)
    width = float(_numbers(file, beam).ravel()[0]) if beam is not None else 0.0
    return VolumeHead(
        path=path,
        format="cfradial",
        time=np.datetime64(start.strip().rstrip("Z")[:19], "ns"),
        radar=str(getattr(file, "instrument_name", "")).strip("\x00 "),
        site=plausible_site(*place),
        elevations_deg=tuple(float(a) for a in _numbers(file, "fixed_angle").ravel()),
        scan=str(getattr(file, "scan_name", "")).strip("\x00 "),
        beam_width_deg=width if 0.1 < width < 10.0 else DEFAULT_BEAM_WIDTH_DEG,
    )


def _sweeps(file: netCDF4.Dataset, also: Collection[str]) -> list[Sweep]:
    rays = len(file.dimensions["time"])
    dims = ("n_points",) if "n_points" in file.dimensions else ("time", "range")
    fields = [n for n, v in file.variables.items() if v.dimensions == dims]
    names = {q: n for q in {*ALWAYS_READ, *also} if (n := find_field(fields, q)) is not None}
    if REFLECTIVITY not in names:
        return []
    range_m = _numbers(file, "range").ravel()
    times = file["time"]
    start: Any = netCDF4.num2date(np.zeros(1), times.units, getattr(times, "calendar", "standard"))
    origin, seconds = np.datetime64(str(start[0].isoformat()), "ms"), _numbers(file, "time")
    azimuth, elevation = _numbers(file, "azimuth"), _numbers(file, "elevation")
    data = {q: _field(file, n, q, rays, range_m.size) for q, n in names.items()}
    first, last = (file[f"sweep_{end}_ray_index"][:].astype(int) for end in ("start", "end"))
    sweeps = []
    for k, (a, b) in enumerate(zip(first, last + 1, strict=True)):
        if not _turning(file, k) or b - a < MIN_RAYS:
            continue
        gates = _gates(file, a, range_m.size)
        when = origin + np.timedelta64(round(1000.0 * float(np.nanmin(seconds[a:b]))), "ms")
        step = float(range_m[-1] - range_m[0]) / (range_m.size - 1)
        values = {q: np.ascontiguousarray(v[a:b, :gates]) for q, v in data.items()}
        angle = float(np.median(elevation[a:b]))
        began, folds = when.astype("datetime64[ns]"), _nyquist(file, a)
        sweeps.append(ordered(angle, azimuth[a:b], float(range_m[0]), step, values, began, folds))
    return sweeps


def _nyquist(file: netCDF4.Dataset, ray: int) -> float | None:
    if "nyquist_velocity" not in file.variables:
        return None
    told = float(_numbers(file, "nyquist_velocity").ravel()[ray])
    return told if told > 0 else None


def _turning(file: netCDF4.Dataset, sweep: int) -> bool:
    """Whether a sweep turns in azimuth at one elevation."""
    if "sweep_mode" not in file.variables:
        return True
    mode = _text(file["sweep_mode"][sweep])
    return not any(other in mode.lower() for other in ("rhi", "vertical", "pointing", "calibration", "idle"))


def _field(file: netCDF4.Dataset, name: str, quantity: str, rays: int, gates: int) -> Float32:
    """``[rays, gates]``: a masked gate held no signal above the noise."""
    fill = NO_ECHO_DBZ if quantity == REFLECTIVITY else np.float32(np.nan)
    stored = np.ma.filled(np.ma.asarray(file[name][:]).astype(np.float32), fill)
    stored[~np.isfinite(stored)] = fill
    if stored.ndim == 2:
        return stored
    values = np.full((rays, gates), np.nan, np.float32)
    starts, counts = (file[n][:].astype(int) for n in ("ray_start_index", "ray_n_gates"))
    for row, start, count in zip(values, starts, counts, strict=True):
        row[:count] = stored[start : start + count]
    return values


def _gates(file: netCDF4.Dataset, ray: int, gates: int) -> int:
    return int(file["ray_n_gates"][ray]) if "ray_n_gates" in file.variables else gates


def _numbers(file: netCDF4.Dataset, name: str) -> Any:
    return np.ma.filled(np.ma.asarray(file[name][:]).astype(np.float64), np.nan)


def _text(values: Any) -> str:
    flat = np.ma.filled(np.ma.asarray(values), b"").ravel()
    return (
        b"".join(v if isinstance(v, bytes) else str(v).encode() for v in flat).decode("utf-8", "replace").strip("\x00 ")
    )
