"""Time, radar and position of files that other packages read, from the few bytes that hold them.

An archive is listed by its headers: reading thousands of volumes to find the newest four would take too long. Where a
header is not understood the whole file is read instead.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nowcast.radar import cfradial
from nowcast.radar.content import first_bytes
from nowcast.radar.polar import Site, plausible_site
from nowcast.radar.volume_head import VolumeHead

_IRIS_INGEST = 6144
_BIN4_DEG = 360.0 / 2.0**32
_RAINBOW_START = re.compile(
    rb'<scan [^>]*?date="(\d{4}-\d\d-\d\d)"[^>]*?time="(\d\d:\d\d:\d\d)"|'
    rb'<scan [^>]*?time="(\d\d:\d\d:\d\d)"[^>]*?date="(\d{4}-\d\d-\d\d)"'
)


def quick_head(path: Path, kind: str) -> VolumeHead | None:
    """The header of a CfRadial, IRIS, UF or Rainbow file, or None where it takes reading all of it."""
    readers: dict[str, Callable[[Path], VolumeHead | None]] = {
        "cfradial": cfradial.read_head,
        "iris": _iris,
        "uf": _uf,
        "rainbow": _rainbow,
    }
    reader = readers.get(kind)
    try:
        return reader(path) if reader is not None else None
    except (struct.error, ValueError, KeyError, IndexError, OSError, RuntimeError):
        return None


def _iris(path: Path) -> VolumeHead | None:
    """The ingest configuration of an IRIS/Sigmet RAW product (IRIS Programmer's Manual, ingest_configuration)."""
    block = first_bytes(path, _IRIS_INGEST + 640)[_IRIS_INGEST + 12 :]
    seconds, milliseconds, year, month, day = struct.unpack_from("<iHhhh", block, 88)
    hardware, site = (block[at : at + 16].decode("latin-1").strip("\x00 ") for at in (132, 150))
    lat, lon = (_half_turn(v * _BIN4_DEG) for v in struct.unpack_from("<II", block, 168))
    ground, mast = struct.unpack_from("<hh", block, 176)
    time = np.datetime64(f"{year:04d}-{month:02d}-{day:02d}", "ms")
    time += np.timedelta64(1000 * seconds + (milliseconds & 0x3FF), "ms")
    place = plausible_site(lat, lon, float(ground + mast))
    (sweeps,) = struct.unpack_from("<h", block, 82)
    stamp = time.astype("datetime64[ns]")
    return VolumeHead(path, "iris", stamp, site or hardware, place, planned_sweeps=max(sweeps, 0))


def _half_turn(angle: float) -> float:
    return (angle + 180.0) % 360.0 - 180.0


def _uf(path: Path) -> VolumeHead | None:
    """The mandatory header of the first ray of a Universal Format file (Barnes 1980)."""
    data = first_bytes(path, 128)
    at = data.index(b"UF")
    words = struct.unpack_from(">31h", data, at)
    names = struct.unpack_from(">8s8s", data, at + 20)
    year = words[25] + (2000 if words[25] < 70 else 1900 if words[25] < 100 else 0)
    clock = f"{words[28]:02d}:{words[29]:02d}:{words[30]:02d}"
    time = np.datetime64(f"{year:04d}-{words[26]:02d}-{words[27]:02d}T{clock}", "ns")
    lat, lon = (d + m / 60.0 + s / 64.0 / 3600.0 for d, m, s in (words[18:21], words[21:24]))
    name = names[0].decode("ascii", "replace").strip("\x00 ")
    return VolumeHead(path, "uf", time, name, plausible_site(lat, lon, float(words[24])))


def _rainbow(path: Path) -> VolumeHead | None:
    """The XML header of a Rainbow 5 volume."""
    text = first_bytes(path, 65536)
    found = _RAINBOW_START.search(text)
    if found is None:
        return None
    day, clock = (found.group(1), found.group(2)) if found.group(1) else (found.group(4), found.group(3))
    time = np.datetime64(f"{day.decode()}T{clock.decode()}", "ns")
    sensor = re.search(rb'<sensorinfo[^>]*?\bid="([^"]*)"', text)
    numbers = [re.search(rb"<%s>\s*([-+.\d]+)" % tag, text) for tag in (b"lat", b"lon", b"alt")]
    place: Site | None = None
    if all(n is not None for n in numbers):
        place = plausible_site(*(float(n.group(1)) for n in numbers if n is not None))
    return VolumeHead(path, "rainbow", time, sensor.group(1).decode("latin-1") if sensor else "", place)
