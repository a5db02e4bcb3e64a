"""Polar volumes of known fields, and files of them in the formats that radars write."""

from __future__ import annotations

import bz2
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nowcast.radar import NO_ECHO_DBZ, PolarVolume, Site, Sweep
from nowcast.radar.geometry import beam_height_m, ground_distance_m

SITE = Site(-27.608, 152.539, 372.0)
START = np.datetime64("2020-01-01T00:00", "ns")
ELEVATIONS = (0.5, 1.2, 1.9, 2.7, 3.5, 4.7, 6.0, 7.5, 9.2, 11.0, 13.0, 16.0, 20.0, 25.0, 32.0)

Field = Callable[[Any, Any, Any], Any]


def nothing(x: Any, y: Any, z: Any) -> Any:
    """No echo anywhere."""
    return np.full(np.broadcast(x, y, z).shape, NO_ECHO_DBZ)


def storm(x0: float = 40e3, y0: float = 20e3, peak: float = 55.0, radius: float = 8e3, top: float = 12e3) -> Field:
    """A round storm (metres from the radar, z above sea level): ``peak`` dBZ at its core, no echo below 5 dBZ."""

    def field(x: Any, y: Any, z: Any) -> Any:
        distance2 = ((x - x0) ** 2 + (y - y0) ** 2) / radius**2 + ((z - 0.3 * top) / (0.45 * top)) ** 2
        dbz = peak * np.exp(-0.5 * distance2)
        return np.where(dbz >= 5.0, dbz, NO_ECHO_DBZ)

    return field


def polar_volume(
    field: Field,
    *,
    elevations: Sequence[float] = ELEVATIONS,
    rays: int = 360,
    gates: int = 160,
    gate_m: float = 1000.0,
    first_edge_m: float = 0.0,
    site: Site = SITE,
    time: np.datetime64 = START,
    beam_width_deg: float = 1.9,
    radar: str = "TEST",
) -> PolarVolume:
    """Sample ``field(x, y, z)`` in dBZ (metres east and north of the radar, z above sea level) at the gates."""
    azimuth = ((np.arange(rays) + 0.5) * 360.0 / rays).astype(np.float32)
    range_m = first_edge_m + (np.arange(gates) + 0.5) * gate_m
    sweeps = []
    for elevation in elevations:
        ground, height = ground_distance_m(range_m, elevation), beam_height_m(range_m, elevation)
        x = ground * np.sin(np.deg2rad(azimuth))[:, None]
        y = ground * np.cos(np.deg2rad(azimuth))[:, None]
        z = np.broadcast_to(height + site.alt, x.shape)
        dbz = np.asarray(field(x, y, z), np.float32)
        sweeps.append(Sweep(float(elevation), azimuth, float(range_m[0]), gate_m, {"reflectivity": dbz}, time))
    return PolarVolume(site, time, tuple(sweeps), radar, beam_width_deg=beam_width_deg, source="made", format="odim")


def ground_clutter(volume: PolarVolume, seed: int = 5, reach_m: float = 60e3) -> PolarVolume:
    """The volume with strong, patchy echo near the radar that fades within a few degrees of elevation."""
    rng = np.random.default_rng(seed)
    shape = volume.sweeps[0].reflectivity.shape
    ground = np.where(rng.random(shape) < 0.2, rng.uniform(20.0, 55.0, shape), -np.inf)
    ground[:, volume.sweeps[0].range_m > reach_m] = -np.inf
    sweeps = []
    for sweep in volume.sweeps:
        # Two-way loss of a Gaussian beam that looks past the ground.
        loss = 24.0 * ((sweep.elevation_deg - 0.2) / volume.beam_width_deg) ** 2
        echo = np.where(ground - loss > 5.0, ground - loss, NO_ECHO_DBZ)
        dbz = np.where(np.isnan(sweep.reflectivity), np.nan, np.maximum(sweep.reflectivity, echo))
        sweeps.append(sweep.with_reflectivity(dbz.astype(np.float32)))
    return volume.with_sweeps(sweeps)


def write_odim(
    volume: PolarVolume,
    path: Path,
    *,
    source: str | None = None,
    root: bool = True,
    quantity: str = "DBZH",
    site: Site | str | None = "own",
    how: dict[str, Any] | None = None,
    sweep_time: np.datetime64 | None = None,
) -> Path:
    """Write a volume as ODIM_H5: 8 bits, 0.5 dB steps from -32, 0 undetect, 255 nodata."""
    place = volume.site if site == "own" else site
    with h5py.File(path, "w") as file:
        if root:
            file.attrs["Conventions"] = np.bytes_("ODIM_H5/V2_2")
        what = {"object": "PVOL", "version": "H5rad 2.2", "source": source or f"RAD:{volume.radar},PLC:Nowhere"}
        _attributes(file, "what", {**what, **_odim_time(volume.time, "date", "time")})
        if isinstance(place, Site):
            _attributes(file, "where", {"lat": place.lat, "lon": place.lon, "height": place.alt})
        elif place is None:
            _attributes(file, "where", {"lat": -999.0, "lon": -999.0, "height": -999.0})
        _attributes(file, "how", {"beamwidth": volume.beam_width_deg, **(how or {})})
        for number, sweep in enumerate(volume.sweeps, 1):
            _write_odim_sweep(file.create_group(f"dataset{number}"), sweep, quantity, sweep_time or volume.time)
    return path


def _write_odim_sweep(group: h5py.Group, sweep: Sweep, quantity: str, time: np.datetime64) -> None:
    rays, gates = sweep.reflectivity.shape
    where = {"elangle": sweep.elevation_deg, "nbins": gates, "nrays": rays, "rscale": sweep.gate_m, "a1gate": 0}
    where["rstart"] = (sweep.first_gate_m - 0.5 * sweep.gate_m) / 1000.0
    _attributes(group, "where", where)
    _attributes(group, "what", {"product": "SCAN", **_odim_time(time, "startdate", "starttime")})
    _attributes(
        group, "data1/what", {"quantity": quantity, "gain": 0.5, "offset": -32.0, "nodata": 255.0, "undetect": 0.0}
    )
    dbz = sweep.reflectivity
    codes = np.clip(np.rint((np.nan_to_num(dbz) + 32.0) / 0.5), 1, 254)
    codes = np.where(np.isnan(dbz), 255, np.where(dbz <= -32.0, 0, codes)).astype(np.uint8)
    group["data1"].create_dataset("data", data=codes, compression="gzip", compression_opts=1)


def _attributes(group: h5py.Group, name: str, values: dict[str, Any]) -> None:
    inner = group.require_group(name)
    for key, value in values.items():
        inner.attrs[key] = np.bytes_(value) if isinstance(value, str) else value


def _odim_time(time: np.datetime64, date: str, clock: str) -> dict[str, str]:
    text = str(np.datetime_as_string(time, unit="s"))
    return {date: text[:10].replace("-", ""), clock: text[11:].replace(":", "")}


def nexrad_header(icao: str, time: np.datetime64, version: int = 6) -> bytes:
    """The first 24 bytes of a Level II file."""
    return f"AR2V{version:04d}.001".encode() + struct.pack(">II4s", *_day_and_ms(time), icao.encode())


def nexrad_message_31(
    azimuth: float,
    elevation: float,
    number: int,
    status: int,
    moments: dict[str, tuple[np.ndarray, int, int, float, float]],
    time: np.datetime64,
    site: Site | None,
) -> bytes:
    """One radial; ``moments`` by name (``REF``): codes (uint8 or uint16), first gate m, gate m, scale, offset."""
    blocks = []
    if site is not None:
        block = struct.pack(
            ">4sHBBffhHfffffHH", b"RVOL", 44, 1, 0, site.lat, site.lon, int(site.alt), 0, 0, 0, 0, 0, 0, 212, 0
        )
        blocks.append(block)
    for name, (codes, first, gate, scale, offset) in moments.items():
        bits = 8 * codes.dtype.itemsize
        head = struct.pack(
            ">4sIHhhhhBBff", b"D" + name.encode(), 0, codes.size, first, gate, 0, 0, 0, bits, scale, offset
        )
        blocks.append(head + codes.astype(codes.dtype.newbyteorder(">")).tobytes())
    at = 32 + 4 * len(blocks)
    pointers = []
    for block in blocks:
        pointers.append(at)
        at += len(block)
    day, ms = _day_and_ms(time)
    body = struct.pack(
        ">4sIHHfBBHBBBBfBbH", b"TEST", ms, day, 1, azimuth, 0, 0, at, 1, status, number, 0, elevation, 0, 0, len(blocks)
    )
    body += struct.pack(f">{len(blocks)}I", *pointers) + b"".join(blocks)
    body += b"\0" * (len(body) % 2)
    return b"\0" * 12 + struct.pack(">HBBHHIHH", (16 + len(body)) // 2, 0, 31, 0, day, ms, 1, 1) + body


def nexrad_volume(volume: PolarVolume, *, sweeps: int | None = None) -> bytes:
    """A volume as a Level II file: reflectivity in steps of 0.5 dB from -32, or the first ``sweeps`` of it only."""
    messages = []
    for number, sweep in enumerate(volume.sweeps[:sweeps], 1):
        dbz, last = sweep.reflectivity, len(sweep.reflectivity) - 1
        codes = np.where(dbz > NO_ECHO_DBZ, np.clip(np.rint(2.0 * dbz + 66.0), 2, 255), 0)
        codes = np.where(np.isnan(dbz), 1, codes).astype(np.uint8)
        edge, gate = round(sweep.first_gate_m), round(sweep.gate_m)
        for ray, azimuth in enumerate(sweep.azimuth_deg):
            status = 0 if ray == 0 else 1 if ray < last else 4 if number == len(volume.sweeps) else 2
            moment = {"REF": (codes[ray], edge, gate, 2.0, 66.0)}
            messages.append(
                nexrad_message_31(azimuth, sweep.elevation_deg, number, status, moment, volume.time, volume.site)
            )
    return nexrad_header(volume.radar, volume.time) + pack_records(messages)


def nexrad_message_1(
    azimuth: float, elevation: float, number: int, status: int, dbz: np.ndarray | None, velocity: np.ndarray | None,
    time: np.datetime64,
) -> bytes:  # fmt: skip
    """One legacy radial: reflectivity codes on 1 km gates, velocity codes on 250 m gates (0.5 m/s)."""
    day, ms = _day_and_ms(time)
    reflectivity, doppler = (b"" if c is None else c.astype(np.uint8).tobytes() for c in (dbz, velocity))
    angle = 4096.0 * 8.0 / 180.0
    head = struct.pack(
        ">IHhHHHHHhhHHHHHfHHHHH", ms, day, 460, round(azimuth * angle), 1, status, round(elevation * angle), number,
        0, -375, 1000, 250, len(reflectivity), len(doppler), 0, 0.0, 100 if reflectivity else 0,
        (100 + len(reflectivity)) if doppler else 0, 0, 2, 11,
    )  # fmt: skip
    body = head.ljust(100, b"\0") + reflectivity + doppler
    message = b"\0" * 12 + struct.pack(">HBBHHIHH", 1208, 0, 1, 0, day, ms, 1, 1) + body
    return message.ljust(2432, b"\0")


def pack_records(messages: Sequence[bytes], per_record: int = 120) -> bytes:
    """Messages as the bzip2 records of a modern file."""
    packed = b""
    for start in range(0, len(messages), per_record):
        record = bz2.compress(b"".join(messages[start : start + per_record]))
        packed += struct.pack(">i", len(record)) + record
    return packed


def _day_and_ms(time: np.datetime64) -> tuple[int, int]:
    day = time.astype("datetime64[D]")
    return int(day.astype(int)) + 1, int((time - day) / np.timedelta64(1, "ms"))


def level2(sweeps: int = 1, seed: int = 0) -> bytes:
    """A volume of 700 kB of noise a sweep, which bzip2 cannot pack."""
    rng = np.random.default_rng(seed)
    messages = []
    for number in range(1, sweeps + 1):
        for ray in range(360):
            codes = rng.integers(2, 256, 1800).astype(np.uint8)
            status = 4 if (number, ray) == (sweeps, 359) else 0 if ray == 0 else 2 if ray == 359 else 1
            moment = {"REF": (codes, 2125, 250, 2.0, 66.0)}
            messages.append(nexrad_message_31(ray, 0.5 * number, number, status, moment, START, None))
    return nexrad_header("KTLX", START) + pack_records(messages)
