"""Polar volumes through Py-ART, and through xradar where Py-ART cannot read a file."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.errors import InputError
from nowcast.fields import ALIASES, find_field
from nowcast.radar.polar import DEFAULT_BEAM_WIDTH_DEG, NO_ECHO_DBZ, Site, Sweep, ordered, plausible_site
from nowcast.radar.volume_head import VolumeHead
from nowcast.types import REFLECTIVITY, Float32

logger = logging.getLogger(__name__)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what third-party readers say about files that are merely unusual."""
    os.environ.setdefault("PYART_QUIET", "1")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def read_with_pyart(path: Path, kind: str) -> tuple[VolumeHead, list[Sweep]]:
    """Read a volume with Py-ART; with xradar where that fails.

    Raises
    ------
    InputError
        Neither can read the file, or it holds vertical sections (RHI) only.
    """
    with _quiet():
        import pyart

        readers = {
            "cfradial": pyart.io.read_cfradial,
            "iris": pyart.io.read_sigmet,
            "uf": pyart.io.read_uf,
            "nexrad": pyart.io.read_nexrad_archive,
        }
        reader = readers.get(kind)
        if reader is None:
            return _read_with_xradar(path, kind, "Py-ART has no reader for it")
        try:
            radar = reader(str(path))
        except Exception as error:  # noqa: BLE001 - a third party's parser on a user's file may raise anything
            return _read_with_xradar(path, kind, str(error) or type(error).__name__)
        return _from_pyart(path, kind, radar)


def _read_with_xradar(path: Path, kind: str, reason: str) -> tuple[VolumeHead, list[Sweep]]:
    import xradar

    names = {
        "cfradial": "open_cfradial1_datatree",
        "cfradial2": "open_cfradial2_datatree",
        "iris": "open_iris_datatree",
        "rainbow": "open_rainbow_datatree",
        "nexrad": "open_nexradlevel2_datatree",
        "uf": "open_uf_datatree",
    }
    reader = getattr(xradar.io, names.get(kind, ""), None)
    if reader is None:
        raise InputError(f"{path} cannot be read as {kind}: {reason}")
    try:
        return _from_xradar(path, kind, reader(str(path)))
    except InputError:
        raise
    except Exception as error:  # as above
        raise InputError(f"{path} cannot be read as {kind}: {reason}; xradar: {error}") from error


def _from_pyart(path: Path, kind: str, radar: Any) -> tuple[VolumeHead, list[Sweep]]:
    if radar.scan_type == "rhi":
        raise _rhi_only(path)
    names = {q: n for q in ALIASES if (n := find_field(radar.fields, q)) is not None}
    if REFLECTIVITY not in names:
        raise InputError(f"{path} has no reflectivity among its fields {', '.join(sorted(radar.fields))}")
    first, gate = _gates(radar.range["data"])
    start = _start(radar.time)
    rays_s = np.ma.filled(radar.time["data"], np.nan).astype(float)
    sweeps = []
    for k in range(radar.nsweeps):
        rays = slice(*radar.get_start_end(k))
        rays = slice(rays.start, rays.stop + 1)
        elevation = float(np.median(radar.elevation["data"][rays]))
        fields = {q: _filled(radar.fields[n]["data"][rays], q) for q, n in names.items()}
        if not _turns(radar.azimuth["data"][rays]):
            continue
        when = start + np.timedelta64(round(1e3 * float(np.nanmin(rays_s[rays]))), "ms")
        folds = _nyquist(radar, rays.start)
        sweeps.append(ordered(elevation, radar.azimuth["data"][rays], first, gate, fields, when, folds))
    if not sweeps:
        raise InputError(f"{path}: no sweep holds reflectivity")
    head = VolumeHead(
        path=path,
        format=kind,
        time=(start + np.timedelta64(round(1e3 * float(np.nanmin(rays_s))), "ms")).astype("datetime64[ns]"),
        radar=_name(radar.metadata),
        site=_pyart_site(radar),
        elevations_deg=tuple(s.elevation_deg for s in sweeps),
        beam_width_deg=_pyart_beam(radar),
        scan=_scan_name(radar.metadata),
    )
    return head, sweeps


def _nyquist(radar: Any, ray: int) -> float | None:
    told = (radar.instrument_parameters or {}).get("nyquist_velocity")
    value = 0.0 if told is None else float(np.ma.filled(np.ma.asarray(told["data"], float), 0.0).ravel()[ray])
    return value if value > 0 else None


def _rhi_only(path: Path) -> InputError:
    return InputError(f"{path} holds vertical sections (RHI) only; a volume of azimuth sweeps (PPI) is needed")


def _turns(azimuth: Any) -> bool:
    """Whether a sweep covers more than a sliver of azimuth (a vertical pointing or aborted one does not)."""
    return len(np.unique(np.round(np.ma.filled(azimuth, np.nan)))) >= 5


def _filled(data: Any, quantity: str) -> Float32:
    """A masked array as float32; these formats mask a gate where the signal is below the noise: no echo."""
    fill = NO_ECHO_DBZ if quantity == REFLECTIVITY else np.float32(np.nan)
    values = np.ma.filled(np.ma.asarray(data).astype(np.float32), fill)
    return np.where(np.isfinite(values), values, fill).astype(np.float32, copy=False)


def _gates(range_m: Any) -> tuple[float, float]:
    values = np.ma.filled(range_m, np.nan).astype(float)
    if values.size < 2 or not np.isfinite(values).all():
        raise InputError(f"the range axis has {values.size} gates: at least two are needed")
    return float(values[0]), float((values[-1] - values[0]) / (values.size - 1))


def _start(time: dict[str, Any]) -> np.datetime64:
    """The instant that the ray times count from: ``seconds since 2016-06-01T15:00:25Z``."""
    stamp = str(time["units"]).split("since", 1)[1].strip().replace(" ", "T").rstrip("Zz")
    try:
        return np.datetime64(stamp.split(".")[0].split("+")[0], "ns")
    except ValueError as error:
        raise InputError(f"the ray times have unknown units {time['units']!r}") from error


def _name(metadata: dict[str, Any]) -> str:
    names = (_plain(metadata.get(key)) for key in ("instrument_name", "site_name", "source"))
    return next((n for n in names if n), "")


def _plain(value: Any) -> str:
    """A text from whatever a file holds in its place."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return "" if text == "None" else text.strip("\x00 ")


def _scan_name(metadata: dict[str, Any]) -> str:
    vcp = metadata.get("vcp_pattern")
    if vcp:
        return f"VCP {vcp}"
    return _plain(metadata.get("scan_name") or metadata.get("sigmet_task_name") or "")


def _pyart_site(radar: Any) -> Site | None:
    numbers = [float(np.ma.median(c["data"])) for c in (radar.latitude, radar.longitude, radar.altitude)]
    return plausible_site(*numbers)


def _pyart_beam(radar: Any) -> float:
    parameters = radar.instrument_parameters or {}
    for name in ("radar_beam_width_v", "radar_beam_width_h"):
        if name in parameters:
            width = float(np.ma.filled(np.ma.asarray(parameters[name]["data"], float), 0.0).ravel()[0])
            if 0.1 < width < 10.0:
                return width
    return DEFAULT_BEAM_WIDTH_DEG


def _from_xradar(path: Path, kind: str, tree: Any) -> tuple[VolumeHead, list[Sweep]]:
    sweeps, times = [], []
    rhi = False
    groups = sorted((n for n in tree.children if n.startswith("sweep_")), key=lambda n: int(n[6:]))
    for name in groups:
        dataset = tree[name].to_dataset()
        rhi |= "rhi" in str(dataset.get("sweep_mode", "")).lower()
        names = {q: n for q in ALIASES if (n := find_field([str(v) for v in dataset.data_vars], q)) is not None}
        if REFLECTIVITY not in names or not _turns(dataset["azimuth"].values):
            continue
        fields = {q: _filled(np.ma.masked_invalid(dataset[n].values), q) for q, n in names.items()}
        first, gate = _gates(dataset["range"].values)
        when = np.min(dataset["time"].values).astype("datetime64[ns]")
        times.append(when)
        elevation = float(np.median(dataset["elevation"].values))
        sweeps.append(ordered(elevation, dataset["azimuth"].values, first, gate, fields, when))
    if not sweeps:
        raise _rhi_only(path) if rhi else InputError(f"{path}: no sweep holds reflectivity")
    root = tree.to_dataset()
    place = [float(np.ravel(root[n].values)[0]) if n in root else np.nan for n in ("latitude", "longitude", "altitude")]
    head = VolumeHead(
        path=path,
        format=kind,
        time=min(times),
        radar=_plain(tree.attrs.get("instrument_name")),
        site=plausible_site(*place),
        elevations_deg=tuple(s.elevation_deg for s in sweeps),
        scan=_plain(tree.attrs.get("scan_name")),
    )
    return head, sweeps
