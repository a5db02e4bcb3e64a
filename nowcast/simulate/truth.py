"""The answer kept beside a simulated event: every cell's track and life cycle, and the flow that carried it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import nowcast
from nowcast.errors import InputError
from nowcast.io.atomic import atomic_path
from nowcast.simulate.scene import Scene

if TYPE_CHECKING:
    import xarray as xr

LEVELS_M = np.arange(0.0, 16001.0, 1000.0)
TRACK_VARIABLES: dict[str, tuple[str, str]] = {
    "x_m": ("m", "distance of the cell's foot east of the radar"),
    "y_m": ("m", "distance of the cell's foot north of the radar"),
    "u_ms": ("m s-1", "eastward velocity of the cell"),
    "v_ms": ("m s-1", "northward velocity of the cell"),
    "peak_dbz": ("dBZ", "reflectivity in the cell's core, before roughness and beam"),
    "core_m": ("m", "height of the core above mean sea level"),
    "top_m": ("m", "height of 10 dBZ on the cell's axis above mean sea level"),
    "base_m": ("m", "height of the lowest echo above mean sea level"),
    "radius_m": ("m", "distance from the axis at which reflectivity has fallen by 20 dB"),
    "age_s": ("s", "time since first echo"),
}
"""By name the unit and the meaning of what the truth tells of each cell at each time; NaN while it does not exist."""


@dataclass(frozen=True)
class Truth:
    """What :func:`read_truth` gives: ``tracks[name] [T, C]`` as in ``TRACK_VARIABLES``, ``wind_ms [T, K, 2]`` at
    ``height_m [K]``, ``storm [C]``, ``start_s, end_s [C]`` in seconds from the event's start, ``times [T]``."""

    kind: str
    seed: int
    event: int
    times: NDArray[np.datetime64]
    tracks: dict[str, NDArray[np.float64]]
    storm: NDArray[np.int64]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    height_m: NDArray[np.float64]
    wind_ms: NDArray[np.float64]
    parameters: dict[str, Any]


def truth_dataset(
    scene: Scene, start: np.datetime64, times_s: NDArray[np.float64], *, seed: int, event: int
) -> xr.Dataset:
    """The truth at ``times_s`` (seconds from ``start``), with the cells that exist at any time between."""
    import xarray as xr

    wanted = (scene.cells.end_s > times_s[0]) & (scene.cells.start_s < times_s[-1])
    ids = np.flatnonzero(wanted)
    states = [scene.cell_state(float(t)) for t in times_s]
    alive = np.stack([s.alive[ids] for s in states])
    data: dict[str, Any] = {}
    for name, (units, meaning) in TRACK_VARIABLES.items():
        track = np.where(alive, np.stack([getattr(s, name)[ids] for s in states]), np.nan)
        data[name] = (("time", "cell"), track, {"units": units, "long_name": meaning})
    wind = np.stack([scene.flow.wind(LEVELS_M, float(t)) for t in times_s])
    for axis, name in enumerate(("eastward_wind", "northward_wind")):
        data[name] = (("time", "height"), wind[..., axis], {"units": "m s-1", "standard_name": name})
    cells = scene.cells.select(ids)
    data["storm"] = ("cell", cells.storm, {"long_name": "number of the storm that the cell belongs to"})
    for name, value in (("start_s", cells.start_s), ("end_s", cells.end_s)):
        data[name] = (
            "cell",
            value,
            {"units": "s", "long_name": f"{name[:-2]} of the cell's life, from the event's start"},
        )
    stamps = start + (times_s * 1e3).round().astype("timedelta64[ms]")
    coordinates = {
        "time": ("time", stamps.astype("datetime64[ns]"), {"standard_name": "time"}),
        "cell": ("cell", ids, {"long_name": "identity of the cell in this event"}),
        "height": ("height", LEVELS_M, {"units": "m", "standard_name": "altitude", "positive": "up"}),
    }
    attributes = {
        "title": "truth of a simulated event: no radar volume",
        "nowcast_version": nowcast.__version__,
        "kind": scene.kind,
        "seed": seed,
        "event": event,
        "event_start": np.datetime_as_string(start, unit="s"),
        "melting_level_m": scene.melting_m,
        "parameters": json.dumps(scene.parameters, sort_keys=True),
    }
    return xr.Dataset(data, coordinates, attributes)


def write_truth(dataset: xr.Dataset, path: Path | str) -> None:
    """Write what :func:`truth_dataset` made; raises OutputError where that is impossible."""
    encoding = {name: {"zlib": True, "complevel": 2} for name in TRACK_VARIABLES}
    with atomic_path(path) as temporary:
        dataset.to_netcdf(temporary, engine="netcdf4", encoding=encoding)


def read_truth(path: Path | str) -> Truth:
    """Read a truth file.

    Raises
    ------
    InputError
        The file is not there or is no truth file.
    """
    import xarray as xr

    try:
        with xr.open_dataset(path, engine="netcdf4", decode_timedelta=False) as file:
            dataset = file.load()
            return _truth(dataset)
    except (OSError, KeyError) as error:
        raise InputError(f"{path} is not the truth of a simulated event: {error}") from error


def _truth(dataset: xr.Dataset) -> Truth:
    return Truth(
        kind=str(dataset.attrs["kind"]),
        seed=int(dataset.attrs["seed"]),
        event=int(dataset.attrs["event"]),
        times=dataset["time"].values.astype("datetime64[ns]"),
        tracks={name: dataset[name].values for name in TRACK_VARIABLES},
        storm=dataset["storm"].values,
        start_s=dataset["start_s"].values,
        end_s=dataset["end_s"].values,
        height_m=dataset["height"].values,
        wind_ms=np.stack([dataset["eastward_wind"].values, dataset["northward_wind"].values], -1),
        parameters=json.loads(dataset.attrs["parameters"]),
    )
