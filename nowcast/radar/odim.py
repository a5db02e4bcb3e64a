"""ODIM_H5 polar volumes, read with h5py.

Each sweep keeps its own range axis. The conventions are those of the OPERA data information model for HDF5,
versions 2.0 to 2.4 (https://www.eumetnet.eu/opera).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from nowcast.errors import InputError
from nowcast.fields import find_field
from nowcast.radar.polar import (
    ALWAYS_READ,
    DEFAULT_BEAM_WIDTH_DEG,
    NO_ECHO_DBZ,
    Site,
    Sweep,
    ordered,
    plausible_site,
)
from nowcast.radar.volume_head import VolumeHead
from nowcast.types import REFLECTIVITY, Float32
from nowcast.units import iso_utc

MAX_CLOCK_ERROR = np.timedelta64(60, "m")
_OBJECTS = {
    "COMP": "a composite map",
    "IMAGE": "an image",
    "CVOL": "a Cartesian volume",
    "VP": "a vertical profile",
}


class _Data(NamedTuple):
    """One quantity of a sweep: the stored array, and how it becomes physical values."""

    array: h5py.Dataset
    what: dict[str, Any]


class _Scan(NamedTuple):
    """One ``dataset`` group, its attributes read once."""

    where: dict[str, Any]
    what: dict[str, Any]
    how: dict[str, Any]
    data: dict[str, _Data]

    @property
    def reflectivity(self) -> str | None:
        return find_field(self.data, REFLECTIVITY)

    @property
    def start(self) -> np.datetime64 | None:
        return _time(self.what, "startdate", "starttime")


def read_head(path: Path) -> VolumeHead:
    """Time, radar and position of an ODIM volume; its sweeps are not looked at."""
    with _opened(path) as file:
        return _head(path, file)


def read_elevations(path: Path) -> tuple[float, ...]:
    """Elevations of the sweeps with reflectivity, in the file's order, without reading their data."""
    with _opened(path) as file:
        scans = [_scan(group) for group in _datasets(file)]
    return tuple(float(s.where["elangle"]) for s in scans if _usable(s))


def read_odim(path: Path, also: Collection[str] = ()) -> tuple[VolumeHead, list[Sweep]]:
    """Read the sweeps that hold reflectivity, unsorted, with what the file says of itself.

    A sweep whose data are damaged is left out and told in the head's ``defect``.

    Raises
    ------
    InputError
        The radar flags the volume as a malfunction, the sweeps' clock contradicts the nominal time, or no sweep
        can be read.
    """
    with _opened(path) as file:
        head = _head(path, file)
        scans = [_scan(group) for group in _datasets(file)]
        _refuse_malfunction(path, [_attributes(file, "how"), *(s.how for s in scans)])
        _refuse_wrong_clock(path, head.time, [s.start for s in scans])
        folds = _attributes(file, "how").get("NI")
        sweeps: list[Sweep] = []
        broken = 0
        for scan in filter(_usable, scans):
            try:
                sweeps.append(_sweep(scan, folds, also))
            except (OSError, KeyError, ValueError, RuntimeError):  # h5py's answers to damaged data
                broken += 1
    if not sweeps:
        reason = "none of its sweeps can be read: damaged" if broken else "no sweep holds reflectivity"
        raise InputError(f"{path}: {reason}")
    empty = sum(not s.data or "elangle" not in s.where for s in scans)
    if empty:
        head = head.with_defect(f"{empty} of {len(scans)} sweeps are empty")
    if broken:
        head = head.with_defect(f"{broken} of {broken + len(sweeps)} sweeps are damaged")
    return replace(head, elevations_deg=tuple(s.elevation_deg for s in sweeps)), sweeps


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path} is a damaged HDF5 file: truncated or not fully written") from error


def _datasets(file: h5py.File) -> list[h5py.Group]:
    names = [n for n in file if n.startswith("dataset") and n[7:].isdigit()]
    return [file[n] for n in sorted(names, key=lambda n: int(n[7:]))]


def _scan(group: h5py.Group) -> _Scan:
    names = set(group)
    where, what, how = (_attributes(group, n) if n in names else {} for n in ("where", "what", "how"))
    data: dict[str, _Data] = {}
    for name in sorted(n for n in names if n.startswith("data") and n[4:].isdigit()):
        inner = group[name]
        if "data" in inner:
            merged = {**what, **_attributes(inner, "what")}
            data.setdefault(_text(merged.get("quantity", "")), _Data(inner["data"], merged))
    return _Scan(where, what, how, data)


def _usable(scan: _Scan) -> bool:
    return scan.reflectivity is not None and "elangle" in scan.where and "rscale" in scan.where


def _head(path: Path, file: h5py.File) -> VolumeHead:
    what = _attributes(file, "what")
    kind = _text(what.get("object", ""))
    if kind and kind not in ("PVOL", "SCAN"):
        told = _OBJECTS.get(kind, f"an ODIM {kind}")
        raise InputError(f"{path} is {told}, not a polar volume (ODIM object PVOL or SCAN)")
    time = _time(what, "date", "time")
    if time is None:
        starts = [_time(_attributes(g, "what"), "startdate", "starttime") for g in _datasets(file)]
        time = min((t for t in starts if t is not None), default=None)
    if time is None:
        raise InputError(f"{path} has no date and time")
    how = _attributes(file, "how")
    return VolumeHead(
        path=path,
        format="odim",
        time=time,
        radar=_radar_name(_text(what.get("source", ""))),
        site=_site(_attributes(file, "where")),
        scan=_text(how.get("task", "")) or _text(how.get("scan_name", "")),
        beam_width_deg=_beam_width(how),
    )


def _beam_width(how: dict[str, Any]) -> float:
    for name in ("beamwV", "beamwidth", "beamwH"):
        width = float(how.get(name, 0.0))
        if 0.1 < width < 10.0:
            return width
    return DEFAULT_BEAM_WIDTH_DEG


def _site(where: dict[str, Any]) -> Site | None:
    try:
        return plausible_site(*(float(where[name]) for name in ("lat", "lon", "height")))
    except (KeyError, ValueError):
        return None


def _radar_name(source: str) -> str:
    """The radar's code out of ``WMO:02588,RAD:SE47,NOD:sehem``; NOD is the most specific."""
    parts = dict(p.split(":", 1) for p in source.split(",") if ":" in p)
    for key in ("NOD", "RAD", "WIGOS", "WMO", "STN", "PLC"):
        value = parts.get(key, "").strip()
        if value and value != "00000":
            return value
    return source.strip()


def _refuse_malfunction(path: Path, hows: list[dict[str, Any]]) -> None:
    if any(_text(how.get("malfunc", "")).lower() == "true" for how in hows):
        raise InputError(f"{path}: the radar marks this volume as a malfunction (how/malfunc is True)")


def _refuse_wrong_clock(path: Path, nominal: np.datetime64, starts: list[np.datetime64 | None]) -> None:
    known = [t for t in starts if t is not None]
    if known and min(abs(t - nominal) for t in known) > MAX_CLOCK_ERROR:
        raise InputError(
            f"{path}: its nominal time {iso_utc(nominal)} and its sweeps' time {iso_utc(known[0])} contradict each "
            "other; an old volume sent again, or a wrong clock"
        )


def _sweep(scan: _Scan, folds: Any, also: Collection[str]) -> Sweep:
    name = scan.reflectivity
    assert name is not None
    fields = {REFLECTIVITY: _decode(scan.data[name], NO_ECHO_DBZ)}
    rays, _ = fields[REFLECTIVITY].shape
    for quantity in {*ALWAYS_READ, *also} - {REFLECTIVITY}:
        other = find_field(scan.data, quantity)
        if other is not None and scan.data[other].array.shape == fields[REFLECTIVITY].shape:
            fields[quantity] = _decode(scan.data[other], np.float32(np.nan))
    start_km, gate_m = float(scan.where.get("rstart", 0.0)), float(scan.where["rscale"])
    # The standard says kilometres; some files give metres.
    first = (start_km if start_km > 300 else 1000.0 * start_km) + 0.5 * gate_m
    nyquist = float(np.ravel(scan.how.get("NI", folds or 0.0))[0])
    azimuth = _azimuths(scan.how, rays)
    return ordered(float(scan.where["elangle"]), azimuth, first, gate_m, fields, scan.start, nyquist or None)


def _decode(data: _Data, no_echo: np.float32) -> Float32:
    """Physical values of a stored array: NaN for nodata, ``no_echo`` for undetect.

    Where both codes are the same number, as in files converted from Rapic, it means "no echo": such files leave
    out what was not scanned.
    """
    raw, what = data.array[...], data.what
    gain, offset = np.float32(what.get("gain", 1.0)), np.float32(what.get("offset", 0.0))
    codes = np.arange(256) if raw.dtype == np.uint8 else raw
    values = codes.astype(np.float32) * gain + offset
    for code, meaning in (("nodata", np.float32(np.nan)), ("undetect", no_echo)):
        if code in what:
            values[codes == what[code]] = meaning
    return np.take(values, raw) if raw.dtype == np.uint8 else values


def _azimuths(how: dict[str, Any], rays: int) -> Float32:
    """Centre of each ray: as measured where told, else evenly spaced from ``astart``."""
    start, stop = how.get("startazA"), how.get("stopazA")
    if start is not None and stop is not None and np.size(start) == rays == np.size(stop):
        begin = np.asarray(start, float)
        width = np.mod(np.asarray(stop, float) - begin + 180.0, 360.0) - 180.0
        return np.mod(begin + 0.5 * width, 360.0).astype(np.float32)
    step = 360.0 / rays
    first = float(how.get("astart", 0.0)) if np.size(how.get("astart", 0.0)) == 1 else 0.0
    return np.mod(first + (np.arange(rays) + 0.5) * step, 360.0).astype(np.float32)


def _attributes(group: Any, name: str) -> dict[str, Any]:
    return dict(group[name].attrs.items()) if name in group else {}


def _text(value: Any) -> str:
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip("\x00 ")


def _time(attributes: dict[str, Any], date: str, clock: str) -> np.datetime64 | None:
    day, hour = _text(attributes.get(date, "")), _text(attributes.get(clock, "")).split(".")[0].ljust(6, "0")
    if len(day) != 8 or not (day + hour).isdigit():
        return None
    try:
        return np.datetime64(f"{day[:4]}-{day[4:6]}-{day[6:]}T{hour[:2]}:{hour[2:4]}:{hour[4:6]}", "ns")
    except ValueError:
        return None
