"""NEXRAD Level II archive files, legacy (message 1) and super-resolution (message 31).

Read here rather than with Py-ART for speed and because each sweep keeps its own gates, and because a file that ends
early or has a damaged record still gives what it holds, with a note. Formats: ICD for Archive II/User 2620010, ICD for
RDA/RPG 2620002.
"""

from __future__ import annotations

import bz2
import struct
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nowcast.errors import InputError
from nowcast.radar.content import first_bytes, read_bytes
from nowcast.radar.nexrad_sites import icao_in_name, nexrad_site
from nowcast.radar.polar import ALWAYS_READ, NO_ECHO_DBZ, Site, Sweep, ordered
from nowcast.radar.volume_head import VolumeHead
from nowcast.types import REFLECTIVITY, Float32
from nowcast_kernels.parallel import run_parallel

BEAM_WIDTH_DEG = 0.95
MIN_RAYS = 20
SPLIT_CUT_DEG = 0.3
END_OF_VOLUME = 4

_HEADER_BYTES = 24
_FIRST_RADIALS_BYTES = 500_000  # the messages before them take up to 325,888
_FRAME_BYTES = 2432
_CTM_BYTES = 12
_MESSAGE_HEADER = struct.Struct(">HBBHHIHH")
_MESSAGE_1 = struct.Struct(">IHhHHHHHhhHHHHHfHHHHH14xh")
_MESSAGE_31 = struct.Struct(">4sIHHfBBHBBBBfBbH")
_MOMENT = struct.Struct(">4sIHhhhhBBff")
_MOMENTS = {
    b"DREF": REFLECTIVITY,
    b"DVEL": "velocity",
    b"DRHO": "rhohv",
    b"DZDR": "zdr",
    b"DSW ": "spectrum_width",
    b"DPHI": "phidp",
}
_DOPPLER = ("velocity", "spectrum_width")
_ANGLE = 180.0 / (4096.0 * 8.0)


class _Moment(NamedTuple):
    """The gates of one ray: raw codes, and how they become values: ``(code - offset) / scale``."""

    raw: NDArray[Any]
    first_m: float
    gate_m: float
    scale: float
    offset: float


class _Ray(NamedTuple):
    azimuth: float
    elevation: float
    time_ms: int
    moments: dict[str, _Moment]
    nyquist_ms: float = 0.0


@dataclass
class _Contents:
    """What the messages of a file hold, by elevation number."""

    wanted: Collection[str] = ALWAYS_READ
    cuts: dict[int, list[_Ray]] = field(default_factory=dict)
    site: Site | None = None
    vcp: int = 0
    planned_cuts: int = 0
    last_status: int = -1
    damaged: int = 0


def read_head(path: Path) -> VolumeHead:
    """Time and radar of a NEXRAD file from its first bytes.

    Its elevations are not known before all is read, nor its position: see :func:`read_site`.
    """
    return replace(_head(path, first_bytes(path)), site=None)


def read_site(path: Path) -> Site | None:
    """Position of the radar: the one that the first radials tell, else that of its name in the table."""
    data = first_bytes(path, _FIRST_RADIALS_BYTES)
    contents = _Contents()
    for record in _records(data, contents):
        _read_messages(record, contents)
        if contents.site is not None or contents.cuts:
            break
    return contents.site or _head(path, data).site


def read_end(path: Path) -> str:
    """What the end of a file tells to be missing from its volume, empty where it is whole, without unpacking all of it.

    Raises InputError when the file is no NEXRAD volume, is damaged as a whole, or holds no radials.
    """
    data = read_bytes(path)
    _head(path, data)
    if not data.startswith((b"AR2V", b"ARCHIVE2")):
        raise InputError(f"{path} is no NEXRAD Level II volume: it begins with {data[:8]!r}")
    contents, start = _Contents(wanted=()), _Contents(wanted=())
    packed = _packed_records(data) if _is_packed(data) else []
    for record in reversed(packed):
        with suppress(OSError, ValueError, EOFError):
            _read_messages(bz2.decompress(record), contents)
        if contents.cuts:
            break
    with suppress(OSError, ValueError, EOFError):
        _read_messages(bz2.decompress(packed[0]) if packed else data[_HEADER_BYTES:], start)
    contents = contents if packed else start
    if not contents.cuts:
        raise InputError(f"{path} holds no radials: the volume was cut off before its first sweep")
    contents.planned_cuts = start.planned_cuts
    return _early_end(contents)


def read_nexrad(path: Path, also: Collection[str] = ()) -> tuple[VolumeHead, list[Sweep]]:
    """Read a NEXRAD Level II file, plain or gzipped.

    Of a split cut (the same elevation once for reflectivity at long range, once for velocity) one sweep is made. A
    file that ends before the end of its volume, or has damaged records, tells so in ``defect``.

    Raises
    ------
    InputError
        The file is damaged at its start, or holds no radials.
    """
    data = read_bytes(path)
    head = _head(path, data)
    contents = _Contents({*ALWAYS_READ, *also})
    for record in _records(data, contents):
        _read_messages(record, contents)
    if not contents.cuts:
        raise InputError(f"{path} holds no radials: the volume was cut off before its first sweep")
    sweeps = _merge_split_cuts([s for n in sorted(contents.cuts) if (s := _sweep(contents.cuts[n])) is not None])
    if not sweeps:
        rays = sum(len(rays) for rays in contents.cuts.values())
        raise InputError(f"{path} holds {rays} radials, none with reflectivity: not a usable volume")
    head = VolumeHead(
        path=path,
        format="nexrad",
        time=head.time,
        radar=head.radar,
        site=contents.site or head.site,
        elevations_deg=tuple(s.elevation_deg for s in sweeps),
        scan=f"VCP {contents.vcp}" if contents.vcp else "",
        beam_width_deg=BEAM_WIDTH_DEG,
    )
    return head.with_defect(_defect(contents)), sweeps


def _head(path: Path, data: bytes) -> VolumeHead:
    if len(data) < _HEADER_BYTES:
        raise InputError(f"{path} is cut off within its header: {len(data)} bytes")
    days, milliseconds, icao = struct.unpack(">II4s", data[12:_HEADER_BYTES])
    name = icao.decode("ascii", "replace").strip("\x00 ")
    name = name if len(name) == 4 and name.isalnum() else icao_in_name(path.name)
    time = _time(days, milliseconds)
    return VolumeHead(path, "nexrad", time, name, nexrad_site(name) if name else None)


def _time(days: int, milliseconds: int) -> np.datetime64:
    return np.datetime64(_milliseconds(days, milliseconds), "ms").astype("datetime64[ns]")


def _milliseconds(days: int, milliseconds: int) -> int:
    """Milliseconds since 1970 of a modified Julian date (day 1 is 1970-01-01) and milliseconds of the day."""
    return (days - 1) * 86_400_000 + milliseconds


def _early_end(contents: _Contents) -> str:
    if contents.last_status == END_OF_VOLUME:
        return ""
    of = f" of {contents.planned_cuts}" if contents.planned_cuts else ""
    return f"the file ends within sweep {max(contents.cuts)}{of}"


def _defect(contents: _Contents) -> str:
    early = _early_end(contents)
    told = [f"{early}, after {len(contents.cuts[max(contents.cuts)])} rays"] if early else []
    numbers = sorted(contents.cuts)
    missing = sorted(set(range(1, numbers[-1] + 1)) - set(numbers))
    if missing:
        told.append(f"sweep {', '.join(map(str, missing))} is missing")
    if contents.damaged:
        told.append(f"{contents.damaged} records are damaged")
    return "; ".join(told)


def _is_packed(data: bytes) -> bool:
    return data[_HEADER_BYTES + 4 : _HEADER_BYTES + 6] == b"BZ"


def _packed_records(data: bytes) -> list[bytes]:
    packed = []
    position = _HEADER_BYTES
    while position + 4 <= len(data):
        size = abs(int(struct.unpack_from(">i", data, position)[0]))
        if size == 0:
            break
        packed.append(data[position + 4 : position + 4 + size])
        position += 4 + size
    return packed


def _records(data: bytes, contents: _Contents) -> Iterator[bytes]:
    """The unpacked parts of a file: bzip2 records, or all of it when it is not packed inside."""
    if not _is_packed(data):
        yield data[_HEADER_BYTES:]
        return
    packed = _packed_records(data)
    unpacked: list[bytes | None] = [None] * len(packed)

    def unpack(index: int) -> None:
        with suppress(OSError, ValueError, EOFError):
            unpacked[index] = bz2.decompress(packed[index])

    run_parallel(unpack, len(packed))
    contents.damaged += unpacked.count(None)
    yield from (record for record in unpacked if record is not None)


def _read_messages(record: bytes, contents: _Contents) -> None:
    position = 0
    while position + _CTM_BYTES + _MESSAGE_HEADER.size <= len(record):
        start = position + _CTM_BYTES
        size, _, kind, *_ = _MESSAGE_HEADER.unpack_from(record, start)
        body = start + _MESSAGE_HEADER.size
        position += _CTM_BYTES + 2 * size if kind == 31 and size else _FRAME_BYTES
        if kind == 31 and start + 2 * size <= len(record):
            _read_message_31(record, body, contents)
        elif kind == 1 and body + _MESSAGE_1.size <= len(record):
            _read_message_1(record, body, contents)
        elif kind == 5 and body + 8 <= len(record):
            contents.planned_cuts = struct.unpack_from(">H", record, body + 6)[0]


def _read_message_31(record: bytes, body: int, contents: _Contents) -> None:
    fields = _MESSAGE_31.unpack_from(record, body)
    _, milliseconds, days, _, azimuth, _, _, _, _, status, number, _, elevation, _, _, blocks = fields
    moments, nyquist = {}, 0.0
    for (pointer,) in struct.iter_unpack(">I", record[body + 32 : body + 32 + 4 * min(blocks, 10)]):
        at = body + pointer
        kind = record[at : at + 4]
        if _MOMENTS.get(kind) in contents.wanted:
            _, _, gates, first, gate, _, _, _, bits, scale, offset = _MOMENT.unpack_from(record, at)
            dtype = np.dtype(np.uint8 if bits == 8 else ">u2")
            if at + 28 + gates * dtype.itemsize <= len(record) and scale != 0.0:
                raw = np.frombuffer(record, dtype, gates, at + 28)
                moments[_MOMENTS[kind]] = _Moment(raw, float(first), float(gate), scale, offset)
        elif kind == b"RRAD" and at + 18 <= len(record):
            nyquist = 0.01 * struct.unpack_from(">h", record, at + 16)[0]
        elif kind == b"RVOL" and contents.site is None:
            contents.site, contents.vcp = _volume_block(record, at)
    ray = _Ray(azimuth, elevation, _milliseconds(days, milliseconds), moments, nyquist)
    contents.cuts.setdefault(number, []).append(ray)
    contents.last_status = status & 0x7F


def _volume_block(record: bytes, at: int) -> tuple[Site | None, int]:
    lat, lon, ground, feedhorn = struct.unpack_from(">ffhH", record, at + 8)
    vcp = struct.unpack_from(">H", record, at + 40)[0]
    known = abs(lat) <= 90 and abs(lon) <= 180 and (lat, lon) != (0.0, 0.0)
    return (Site(lat, lon, float(ground + feedhorn)) if known else None), vcp


def _read_message_1(record: bytes, body: int, contents: _Contents) -> None:
    (
        milliseconds, days, _, azimuth, _, status, elevation, number, first, doppler_first, gate, doppler_gate,
        gates, doppler_gates, _, _, at, doppler_at, width_at, resolution, vcp, nyquist,
    ) = _MESSAGE_1.unpack_from(record, body)  # fmt: skip
    moments = {}
    if at and gates and body + at + gates <= len(record):
        raw = np.frombuffer(record, np.uint8, gates, body + at)
        moments[REFLECTIVITY] = _Moment(raw, float(first), float(gate), 2.0, 66.0)
    if doppler_at and doppler_gates and body + doppler_at + doppler_gates <= len(record):
        raw = np.frombuffer(record, np.uint8, doppler_gates, body + doppler_at)
        scale = 2.0 if resolution == 2 else 1.0
        moments["velocity"] = _Moment(raw, float(doppler_first), float(doppler_gate), scale, 129.0)
    wide = "spectrum_width" in contents.wanted and bool(width_at and doppler_gates)
    if wide and body + width_at + doppler_gates <= len(record):
        raw = np.frombuffer(record, np.uint8, doppler_gates, body + width_at)
        moments["spectrum_width"] = _Moment(raw, float(doppler_first), float(doppler_gate), 2.0, 129.0)
    time = _milliseconds(days, milliseconds)
    ray = _Ray(azimuth * _ANGLE, elevation * _ANGLE, time, moments, 0.01 * nyquist)
    contents.cuts.setdefault(number, []).append(ray)
    contents.last_status, contents.vcp = status & 0x7F, vcp


def _sweep(rays: list[_Ray]) -> Sweep | None:
    """One cut as a sweep on the gates of its reflectivity; a cut with velocity only carries it as unobserved echo."""
    if len(rays) < MIN_RAYS:
        return None
    sampled = [r.moments.get(REFLECTIVITY) or r.moments.get("velocity") for r in rays]
    first = next((m for m in sampled if m is not None), None)
    if first is None:
        return None
    gates = max(m.raw.size for m in sampled if m is not None)
    range_m = first.first_m + first.gate_m * np.arange(gates)
    names = {name for ray in rays for name in ray.moments} | {REFLECTIVITY}
    fields = {name: _field(rays, name, range_m) for name in sorted(names)}
    azimuth = np.array([r.azimuth for r in rays])
    elevation = float(np.median([r.elevation for r in rays]))
    start = np.datetime64(min(r.time_ms for r in rays), "ms").astype("datetime64[ns]")
    nyquist = float(np.median([r.nyquist_ms for r in rays]))
    return ordered(elevation, azimuth, first.first_m, first.gate_m, fields, start, nyquist or None)


def _field(rays: list[_Ray], name: str, range_m: NDArray[np.floating]) -> Float32:
    """``[R, G]`` values of a moment, taken at the nearest gate where its gates differ from ``range_m``.

    Code 0 is "below threshold": no echo. Code 1 is "range folded": not observed.
    """
    values = np.full((len(rays), range_m.size), np.nan, np.float32)
    for row, ray in zip(values, rays, strict=True):
        moment = ray.moments.get(name)
        if moment is None:
            continue
        raw = moment.raw
        if moment.gate_m == range_m[1] - range_m[0] and moment.first_m == range_m[0]:
            row[: raw.size] = raw
        else:
            gate = np.rint((range_m - moment.first_m) / moment.gate_m).astype(int)
            inside = (gate >= 0) & (gate < raw.size)
            row[inside] = raw[gate[inside]]
    sample = next((r.moments[name] for r in rays if name in r.moments), None)
    if sample is not None:
        below, folded = values == 0, values == 1
        values -= np.float32(sample.offset)
        values /= np.float32(sample.scale)
        values[below] = NO_ECHO_DBZ if name == REFLECTIVITY else np.nan
        values[folded] = np.nan
    return values


def _merge_split_cuts(sweeps: list[Sweep]) -> list[Sweep]:
    """Give what a Doppler cut measured to the long-range cut before it, and drop the Doppler cut."""
    merged: list[Sweep] = []
    for sweep in sweeps:
        before = merged[-1] if merged else None
        if (
            before is not None
            and "velocity" in sweep.fields
            and "velocity" not in before.fields
            and abs(sweep.elevation_deg - before.elevation_deg) < SPLIT_CUT_DEG
        ):
            merged[-1] = _with_velocity(before, sweep)
        else:
            merged.append(sweep)
    return [s for s in merged if np.isfinite(s.reflectivity).any()]


def _with_velocity(sweep: Sweep, doppler: Sweep) -> Sweep:
    apart = np.abs((sweep.azimuth_deg[:, None] - doppler.azimuth_deg[None, :] + 180.0) % 360.0 - 180.0)
    ray = apart.argmin(axis=1)
    gate = np.rint((sweep.range_m - doppler.first_gate_m) / doppler.gate_m).astype(int)
    inside = (gate >= 0) & (gate < doppler.reflectivity.shape[1])
    fields = dict(sweep.fields)
    for name in doppler.fields.keys() & _DOPPLER:
        values = np.full(sweep.reflectivity.shape, np.nan, np.float32)
        values[:, inside] = doppler.fields[name][ray][:, gate[inside]]
        values[apart.min(axis=1) > 1.5] = np.nan
        fields[name] = values
    return replace(sweep, fields=fields, nyquist_ms=doppler.nyquist_ms)
