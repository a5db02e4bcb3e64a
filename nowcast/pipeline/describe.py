"""What a radar or product file holds, for ``nowcast info``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nowcast import units
from nowcast.io import cf
from nowcast.io.forecasts import read_forecast
from nowcast.io.gaussians import read_windows
from nowcast.io.gridded import read_gridded
from nowcast.io.volumes import read_volumes
from nowcast.radar.clutter import read_clutter_map
from nowcast.radar.content import POLAR_FORMATS, first_bytes, plain_file, sniff
from nowcast.radar.polar import NO_ECHO_DBZ, Sweep
from nowcast.radar.reader import read_sweeps
from nowcast.types import GridSpec, VolumeSequence

Facts = dict[str, Any]


def describe(path: Path | str) -> Facts:
    """Facts about a file, ready for JSON; ``format`` says which kind it is.

    Raises
    ------
    InputError
        The file cannot be read, or is of no known kind.
    """
    path = Path(path)
    if is_checkpoint(path):
        return {"file": str(path), "format": "model", "bytes": path.stat().st_size, **_model(path)}
    kind = sniff(path)
    facts: Facts = {"file": str(path), "format": kind, "bytes": path.stat().st_size}
    if kind in POLAR_FORMATS:
        return facts | _polar(path)
    if kind == "grid":
        with plain_file(path) as plain:
            return facts | _volumes(read_gridded(plain, bottom_m=-1e9, top_m=1e9))
    describers = {
        "volumes": _volume_file,
        "gaussians": _gaussians,
        "forecast": _forecast,
        "clutter": _clutter,
        "products": _maps,
        "reprojected": _maps,
    }
    return facts | (describers[kind](path) if kind in describers else {})


def is_checkpoint(path: Path) -> bool:
    """Whether a file looks like safetensors: the length of a header, then the header as JSON."""
    return first_bytes(path, 10)[8:] == b'{"'


def _polar(path: Path) -> Facts:
    head, sweeps = read_sweeps(path)
    place = None if head.site is None else {"lat": head.site.lat, "lon": head.site.lon, "alt_m": head.site.alt}
    return {
        "radar": head.radar,
        "site": place,
        "time": head.time,
        "scan": head.scan,
        "beam_width_deg": head.beam_width_deg,
        "fields": sorted({name for s in sweeps for name in s.fields}),
        "dbz_range": _range([_echo(s) for s in sweeps]),
        "defect": head.defect,
        "sweeps": [_sweep(s) for s in sweeps],
    }


def _sweep(sweep: Sweep) -> Facts:
    dbz = sweep.reflectivity
    return {
        "elevation_deg": round(sweep.elevation_deg, 2),
        "rays": len(sweep.azimuth_deg),
        "gates": dbz.shape[1],
        "gate_m": round(sweep.gate_m, 1),
        "range_km": round(sweep.last_gate_m / 1000.0, 1),
        "dbz_range": _range([_echo(sweep)]),
        "echo_share": round(float((dbz > NO_ECHO_DBZ).mean()), 4),
        "unobserved_share": round(float(np.isnan(dbz).mean()), 4),
    }


def _echo(sweep: Sweep) -> Any:
    return sweep.reflectivity[sweep.reflectivity > NO_ECHO_DBZ]


def _range(arrays: list[Any]) -> list[float] | None:
    """Smallest and largest finite value, or None where there is none."""
    found = [a[np.isfinite(a)] for a in arrays]
    found = [a for a in found if a.size]
    if not found:
        return None
    return [round(float(min(a.min() for a in found)), 1), round(float(max(a.max() for a in found)), 1)]


def _grid(grid: GridSpec) -> Facts:
    nz, ny, nx = grid.shape
    return {
        "origin": {"lat": grid.origin_lat, "lon": grid.origin_lon, "alt_m": grid.origin_alt},
        "shape": [nz, ny, nx],
        "spacing_m": list(grid.spacing_m),
        "height_m": [float(grid.z[0]), float(grid.z[-1])],
        "half_width_m": [float(grid.y[-1]), float(grid.x[-1])],
    }


def _volumes(volumes: VolumeSequence) -> Facts:
    return {
        "times": list(volumes.times),
        "channels": list(volumes.channels),
        "dbz_range": _range([volumes.reflectivity]),
        "observed_share": round(float(volumes.mask.mean()), 4),
        "mask_told": volumes.coverage is None,
        "grid": _grid(volumes.grid),
        **({"radars": list(volumes.radars)} if volumes.radars else {}),
    }


def _volume_file(path: Path) -> Facts:
    volumes = read_volumes(path)
    return {**_volumes(volumes), "sources": list(volumes.sources)}


def _gaussians(path: Path) -> Facts:
    windows = read_windows(path)
    sequences = [
        {
            "event": w.event,
            "times": list(w.gaussians.times),
            "inputs": w.inputs,
            "gaussians": int(w.gaussians.means.shape[1]),
            "channels": list(w.gaussians.channels),
            "active": int(w.gaussians.at(-1).active.sum()),
            "volumes_kept": w.volumes is not None,
        }
        for w in windows
    ]
    return {"sequences": sequences, "grid": _grid(windows[0].gaussians.grid) if windows else None}


def _forecast(path: Path) -> Facts:
    forecast = read_forecast(path)
    return {
        "init_time": forecast.init_time,
        "lead_minutes": units.minutes(forecast.lead_times).tolist(),
        "method": forecast.method,
        "members": forecast.values.shape[0],
        "dbz_range": _range([forecast.values]),
        "observed_share": round(float(forecast.mask.mean()), 4),
        "grid": _grid(forecast.grid),
        "provenance": dict(forecast.provenance),
    }


def _maps(path: Path) -> Facts:
    with cf.own_dataset(path, cf.kind_of(path) or "", "a file of maps") as dataset:
        mapping = dataset[cf.GRID_MAPPING].attrs
        init = dataset.coords.get("forecast_reference_time")
        return {
            **({"init_time": init.values} if init is not None else {}),
            "times": list(dataset["time" if init is None else "valid_time"].values),
            "members": dataset.sizes.get("member", 1),
            "variables": [str(name) for name in dataset.data_vars if name != cf.GRID_MAPPING],
            **{key: mapping[key] for key in ("projected_crs_name", "geographic_crs_name") if key in mapping},
            "provenance": json.loads(dataset.attrs["provenance"]),
        }


def _model(path: Path) -> Facts:
    from nowcast.models import load_checkpoint

    model = load_checkpoint(path)
    weights = sum(parameter.numel() for parameter in model.parameters())
    return {"weights": weights, "settings": asdict(model.config), "provenance": dict(model.provenance)}


def _clutter(path: Path) -> Facts:
    clutter = read_clutter_map(path)
    return {
        "radar": clutter.radar,
        "site": {"lat": clutter.site.lat, "lon": clutter.site.lon, "alt_m": clutter.site.alt},
        "times": list(clutter.times),
        "sweeps": [
            {
                "elevation_deg": round(s.elevation_deg, 2),
                "gates": list(s.frequency.shape),
                "clutter_gates": int((s.frequency >= clutter.min_frequency).sum()),
            }
            for s in clutter.sweeps
        ],
    }
