"""ODIM_H5 polar volumes, read with h5py.

Each sweep keeps its own range axis. The conventions are those of the OPERA data information model for HDF5,
versions 2.0 to 2.4 (https://www.eumetnet.eu/opera).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nowcast.errors import InputError
from nowcast.radar.fields import find_field
from nowcast.radar.head import VolumeHead
from nowcast.radar.polar import DEFAULT_BEAM_WIDTH_DEG, NO_ECHO_DBZ, Site, Sweep, ordered
from nowcast.types import REFLECTIVITY, Float32

MAX_CLOCK_ERROR = np.timedelta64(60, "m")
_WANTED = ("velocity", "rhohv", "zdr", "snr")


def open_odim(path: Path) -> h5py.File:
    """Open an ODIM file; raises InputError when HDF5 cannot."""
    try:
        return h5py.File(path, "r")
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path} is a damaged HDF5 file: truncated or not fully written") from error


def read_head(path: Path) -> VolumeHead:
    """Time, radar, position and elevations of an ODIM volume, without reading any data."""
    with open_odim(path) as file:
        return _head(path, file)


def read_odim(path: Path) -> tuple[VolumeHead, list[Sweep]]:
    """Read the sweeps that hold reflectivity, unsorted, with what the file says of itself.

    A sweep whose data are damaged is left out and told in the head's ``defect``. Raises InputError when the
    radar flags the volume as a malfunction, when the sweeps' clock contradicts the nominal time, or when no
    sweep can be read.
    """
    with open_odim(path) as file:
        head = _head(path, file)
        _refuse_malfunction(path, file)
        _refuse_wrong_clock(path, head, file)
        sweeps: list[Sweep] = []
        broken = 0
        for group in _datasets(file):
            try:
                sweep = _sweep(group)
            except (OSError, KeyError, RuntimeError):
                broken += 1
                continue
            if sweep is not None:
                sweeps.append(sweep)
    if not sweeps:
        reason = "none of its sweeps can be read: damaged" if broken else "no sweep holds reflectivity"
        raise InputError(f"{path}: {reason}")
    if broken:
        head = head.with_defect(f"{broken} of {broken + len(sweeps)} sweeps are damaged")
    return head, sweeps


def _datasets(file: h5py.File) -> list[h5py.Group]:
    names = [n for n in file if n.startswith("dataset") and n[7:].isdigit()]
    return [file[n] for n in sorted(names, key=lambda n: int(n[7:]))]


def _head(path: Path, file: h5py.File) -> VolumeHead:
    what = _attributes(file, "what")
    kind = _text(what.get("object", ""))
    if kind and kind not in ("PVOL", "SCAN", "ELEV"):
        known = {
            "COMP": "a composite map",
            "IMAGE": "an image",
            "CVOL": "a Cartesian volume",
            "VP": "a vertical profile",
        }
        raise InputError(
            f"{path} is {known.get(kind, f'an ODIM {kind}')}, not a polar volume (ODIM object PVOL or SCAN)"
        )
    groups = _datasets(file)
    time = _time(what, "date", "time")
    if time is None:
        starts = [t for g in groups if (t := _time(_attributes(g, "what"), "startdate", "starttime")) is not None]
        time = min(starts, default=None)
    if time is None:
        raise InputError(f"{path} has no date and time")
    elevations, empty = [], 0
    for group in groups:
        where = _attributes(group, "where")
        quantities = _quantities(group)
        if not quantities or "elangle" not in where:
            empty += 1
        elif find_field(quantities, REFLECTIVITY) is not None:
            elevations.append(float(where["elangle"]))
    how = _attributes(file, "how")
    return VolumeHead(
        path=path,
        format="odim",
        time=time,
        radar=_radar_name(_text(what.get("source", ""))),
        site=_site(_attributes(file, "where")),
        elevations_deg=tuple(elevations),
        scan=_text(how.get("task", "")) or _text(how.get("scan_name", "")),
        beam_width_deg=_beam_width(how),
        defect=f"{empty} of {len(groups)} sweeps are empty" if empty else "",
    )


def _beam_width(how: dict[str, Any]) -> float:
    for name in ("beamwidth", "beamwV", "beamwH"):
        width = float(how.get(name, 0.0))
        if 0.1 < width < 10.0:
            return width
    return DEFAULT_BEAM_WIDTH_DEG


def _site(where: dict[str, Any]) -> Site | None:
    try:
        lat, lon, alt = (float(where[name]) for name in ("lat", "lon", "height"))
    except (KeyError, ValueError):
        return None
    if not np.isfinite([lat, lon, alt]).all() or abs(lat) > 90 or abs(lon) > 360 or alt < -500 or (lat == 0 == lon):
        return None  # -999 is written for "unknown"
    return Site(lat, (lon + 180) % 360 - 180, alt)


def _radar_name(source: str) -> str:
    """The radar's code out of ``WMO:02588,RAD:SE47,NOD:sehem``; NOD is the most specific."""
    parts = dict(p.split(":", 1) for p in source.split(",") if ":" in p)
    for key in ("NOD", "RAD", "WIGOS", "WMO", "STN", "PLC"):
        value = parts.get(key, "").strip()
        if value and value != "00000":
            return value
    return source.strip()


def _refuse_malfunction(path: Path, file: h5py.File) -> None:
    flags = [_attributes(g, "how").get("malfunc") for g in (file, *_datasets(file))]
    if any(_text(f).lower() == "true" for f in flags if f is not None):
        raise InputError(f"{path}: the radar marks this volume as a malfunction (how/malfunc is True); not used")


def _refuse_wrong_clock(path: Path, head: VolumeHead, file: h5py.File) -> None:
    starts = [_time(_attributes(g, "what"), "startdate", "starttime") for g in _datasets(file)]
    apart = [abs(t - head.time) for t in starts if t is not None]
    if apart and min(apart) > MAX_CLOCK_ERROR:
        first = next(t for t in starts if t is not None)
        raise InputError(
            f"{path}: its nominal time {_iso(head.time)} and its sweeps' time {_iso(first)} contradict each other; "
            "an old volume sent again, or a wrong clock"
        )


def _sweep(group: h5py.Group) -> Sweep | None:
    where = _attributes(group, "where")
    quantities = _quantities(group)
    name = find_field(quantities, REFLECTIVITY)
    if name is None:
        return None
    data = quantities[name]
    fields = {REFLECTIVITY: _decode(group, data, NO_ECHO_DBZ)}
    for quantity in _WANTED:
        other = find_field(quantities, quantity)
        if other is not None and quantities[other]["data"].shape == data["data"].shape:
            fields[quantity] = _decode(group, quantities[other], np.float32(np.nan))
    rays = fields[REFLECTIVITY].shape[0]
    start_km, gate_m = float(where.get("rstart", 0.0)), float(where["rscale"])
    first = (start_km if start_km > 300 else 1000.0 * start_km) + 0.5 * gate_m  # some files give rstart in metres
    time = _time(_attributes(group, "what"), "startdate", "starttime")
    return ordered(float(where["elangle"]), _azimuths(group, rays), first, gate_m, fields, time)


def _quantities(group: h5py.Group) -> dict[str, h5py.Group]:
    """The data groups of a sweep that hold an array, by the name of their quantity."""
    found = {}
    for name in group:
        if name.startswith("data") and name[4:].isdigit() and "data" in group[name]:
            what = {**_attributes(group, "what"), **_attributes(group[name], "what")}
            found[_text(what.get("quantity", ""))] = group[name]
    return found


def _decode(group: h5py.Group, data: h5py.Group, no_echo: np.float32) -> Float32:
    """Physical values of a stored array: NaN for nodata, ``no_echo`` for undetect.

    Where both codes are the same number, as in files converted from Rapic, it means "no echo": such files leave
    out what was not scanned.
    """
    what = {**_attributes(group, "what"), **_attributes(data, "what")}
    raw = data["data"][...]
    gain, offset = np.float32(what.get("gain", 1.0)), np.float32(what.get("offset", 0.0))
    nodata, undetect = what.get("nodata"), what.get("undetect")
    if raw.dtype == np.uint8:
        table = np.arange(256, dtype=np.float32) * gain + offset
        _mark(table, np.arange(256), nodata, undetect, no_echo)
        return np.take(table, raw)
    values = raw.astype(np.float32) * gain + offset
    _mark(values, raw, nodata, undetect, no_echo)
    return values


def _mark(values: Float32, raw: Any, nodata: Any, undetect: Any, no_echo: np.float32) -> None:
    if nodata is not None:
        values[raw == nodata] = np.nan
    if undetect is not None:
        values[raw == undetect] = no_echo


def _azimuths(group: h5py.Group, rays: int) -> Float32:
    """Centre of each ray: as measured where told, else evenly spaced from ``astart``."""
    how = _attributes(group, "how")
    start, stop = how.get("startazA"), how.get("stopazA")
    if start is not None and stop is not None and np.size(start) == rays == np.size(stop):
        width = np.mod(np.asarray(stop, float) - np.asarray(start, float) + 180.0, 360.0) - 180.0
        return np.mod(np.asarray(start, float) + 0.5 * width, 360.0).astype(np.float32)
    step = 360.0 / rays
    first = float(how.get("astart", 0.0)) if np.size(how.get("astart", 0.0)) == 1 else 0.0
    return np.mod(first + (np.arange(rays) + 0.5) * step, 360.0).astype(np.float32)


def _attributes(group: Any, name: str) -> dict[str, Any]:
    return {str(k): v for k, v in group[name].attrs.items()} if name in group else {}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace").strip("\x00 ") if isinstance(value, bytes) else str(value).strip("\x00 ")


def _time(attributes: dict[str, Any], date: str, clock: str) -> np.datetime64 | None:
    day, hour = _text(attributes.get(date, "")), _text(attributes.get(clock, "")).split(".")[0].ljust(6, "0")
    if len(day) != 8 or not (day + hour).isdigit():
        return None
    try:
        iso = f"{day[:4]}-{day[4:6]}-{day[6:]}T{hour[:2]}:{hour[2:4]}:{hour[4:6]}"
        return np.datetime64(iso, "ns")
    except ValueError:
        return None


def _iso(time: np.datetime64) -> str:
    return f"{np.datetime_as_string(time, unit='s')}Z"
