"""Gaussian files: fitted windows as NetCDF-4, dims ``(sequence, time, gaussian, ...)``.

Parameters are stored as whole multiples of a step (CF packing, which every reader undoes) that costs a few hundredths
of a dB of PSNR up to 50 dB, and takes half the room of compressed floats. HDF5 adds some 45 kB to each file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.channels import CHANNELS, scales_of
from nowcast.errors import InputError
from nowcast.io import cf
from nowcast.types import REFLECTIVITY, FittedWindow, GaussianSequence, GridSpec, VolumeSequence

if TYPE_CHECKING:
    import xarray as xr
    from torch import Tensor

KIND = "gaussians"
_PARAMETERS = {
    "means": ("xyz", "m", "centres (x east, y north, z up)"),
    "log_scales": (
        "axis",
        "1",
        "natural logarithm of the standard deviations in metres along the rotated axes",
    ),
    "quats": ("wxyz", "1", "rotation quaternions (w, x, y, z)"),
    "velocities": ("xyz", "m s-1", "motion of the echo around each Gaussian"),
    "intensities": ("channel", "dBZ", "amplitudes in each channel's unit (channel_unit), from its value at rest"),
}
_CHECKED = {"zlib": True, "complevel": 2, "shuffle": True, "fletcher32": True}  # a flipped bit is told when read
_POSITION = 0.005  # of the smallest spacing of the grid
_LOG_SCALE = 0.005
_QUATERNION = 0.0025
_VELOCITY_MS = 0.01
_AMPLITUDE = 1.0 / 1400.0  # of a channel's scale: 0.05 dBZ


def steps_of(grid: GridSpec, channels: Sequence[str]) -> dict[str, float]:
    """The step of each parameter in a Gaussian file, in its unit."""
    return {
        "means": _POSITION * min(grid.spacing_m),
        "log_scales": _LOG_SCALE,
        "quats": _QUATERNION,
        "velocities": _VELOCITY_MS,
        "intensities": _AMPLITUDE * float(scales_of(channels).min()),
    }


def as_stored(gaussians: GaussianSequence) -> GaussianSequence:
    """The Gaussians as a Gaussian file holds them. What has an amplitude keeps one, of a step at least."""
    steps, codes = steps_of(gaussians.grid, gaussians.channels), _codes(gaussians)
    stored: dict[str, Any] = {name: (code.double() * steps[name]).float() for name, code in codes.items()}
    return replace(gaussians, **stored)


def _codes(gaussians: GaussianSequence) -> dict[str, Tensor]:
    """The parameters in steps, int32."""
    steps = steps_of(gaussians.grid, gaussians.channels)
    codes = {name: (getattr(gaussians, name).double() / step).round() for name, step in steps.items()}
    codes["intensities"] = codes["intensities"].where(codes["intensities"] != 0, gaussians.intensities.sign())
    return {name: code.int() for name, code in codes.items()}


def write_windows(
    windows: Sequence[FittedWindow],
    path: Path | str,
    *,
    exact: bool = False,
    facts: Mapping[str, Any] | None = None,
    history: str = "",
) -> None:
    """Write fitted windows of one grid, length and Gaussian count to one file, compressed and atomically.

    The Gaussians are stored as :func:`as_stored` has them or, ``exact``, to the bit. ``facts`` go into the attribute
    ``provenance``.

    Raises
    ------
    InputError
        There is no window, or they differ in grid, number of times or Gaussians, channels, or kept volumes.
    OutputError
        The file cannot be written.
    """
    import xarray as xr

    _check_alike(windows)
    first = windows[0].gaussians
    steps = steps_of(first.grid, first.channels)
    coded = [(w, {} if exact else _codes(w.gaussians)) for w in windows]
    variables: dict[str, Any] = {cf.GRID_MAPPING: cf.grid_mapping(first.grid)}
    encoding: dict[str, dict[str, Any]] = {"time": {"units": cf.TIME_UNITS, "dtype": "float64"}}
    for name, (width, unit, text) in _PARAMETERS.items():
        values = np.stack([getattr(w.gaussians, name) if exact else codes[name] for w, codes in coded])
        dims = ("sequence", "time_index", "gaussian", width)
        variables[name] = (dims, values, {"units": unit, "long_name": text})
        encoding[name] = {**_CHECKED, "chunksizes": (1, *values.shape[1:])}
        if not exact:
            variables[name][2]["scale_factor"] = steps[name]
    if len(first.channels) > 1:
        del variables["intensities"][2]["units"]  # the channels have different ones
    ids = np.stack([w.gaussians.ids.numpy() for w in windows])
    variables["ids"] = (("sequence", "gaussian"), ids, {"long_name": "identity, kept from cycle to cycle"})
    encoding["ids"] = dict(_CHECKED)
    variables["inputs"] = (
        "sequence",
        [w.inputs for w in windows],
        {"long_name": "times fitted together, causally"},
    )
    variables["event"] = (
        "sequence",
        np.array([w.event for w in windows], dtype=object),
        {"long_name": "event"},
    )
    if windows[0].volumes is not None:
        _add_volumes(windows, variables, encoding)
    times = np.stack([w.gaussians.times for w in windows])
    coordinates = {
        "time": (("sequence", "time_index"), times, {"standard_name": "time", "long_name": "valid time", **cf.SINCE}),
        "channel_name": _label(first.channels, "quantity of the channel"),
        "channel_unit": _label([CHANNELS[name].unit for name in first.channels], "unit of the channel"),
        **cf.grid_coordinates(first.grid),
    }
    attributes = cf.global_attributes(KIND, "Radar volumes as tracked 3D Gaussians", history)
    attributes |= cf.provenance_attribute(facts)
    cf.write_dataset(xr.Dataset(variables, coordinates, attributes), path, encoding)


def _label(names: Sequence[str], text: str) -> tuple[Any, ...]:
    return "channel", np.array(names, dtype=object), {"long_name": text}


def _check_alike(windows: Sequence[FittedWindow]) -> None:
    if not windows:
        raise InputError("there is no fitted window to write")

    def key(w: FittedWindow) -> tuple[Any, ...]:
        kept = w.volumes is not None and (w.volumes.channels, w.volumes.coverage is not None)
        return tuple(w.gaussians.means.shape), w.gaussians.channels, kept

    if any(key(w) != key(windows[0]) or not w.gaussians.grid.matches(windows[0].gaussians.grid) for w in windows):
        raise InputError("fitted windows of different grid, length, Gaussians or kept volumes need a file each")


def _add_volumes(windows: Sequence[FittedWindow], variables: dict[str, Any], encoding: dict[str, Any]) -> None:
    volumes = [w.volumes for w in windows if w.volumes is not None]
    dims = ("sequence", "time_index", "z", "y", "x")
    for c, name in enumerate(volumes[0].channels):
        values = cf.limited(name, np.stack([v.values[:, c] for v in volumes]))
        variables[name] = (dims, values, cf.channel_attributes(name))
        encoding[name] = {**cf.channel_encoding(name), "chunksizes": (1, 1, *values.shape[2:])}
    coverages = [v.coverage for v in volumes if v.coverage is not None]
    if coverages:
        note = {"long_name": "voxel held a value at least once", "grid_mapping": cf.GRID_MAPPING}
        variables["coverage"] = (("sequence", *dims[2:]), np.stack(coverages).astype(np.int8), note)
        encoding["coverage"] = {"zlib": True}


def read_windows(path: Path | str, *, last: int | None = None) -> list[FittedWindow]:
    """Read a file of :func:`write_windows`, or only its ``last`` windows; raises InputError when it is not one."""
    with cf.own_dataset(path, KIND, "a Gaussian file") as dataset:
        count = dataset.sizes["sequence"]
        return [_window(dataset, i) for i in range(max(count - last, 0) if last else 0, count)]


def _window(dataset: xr.Dataset, index: int) -> FittedWindow:
    import torch

    one = dataset.isel(sequence=index)
    grid = cf.grid_of(one)
    names = one["channel_name" if "channel_name" in one.coords else "channel"]  # as the first files called it
    times = one["time"].values.astype("datetime64[ns]")
    gaussians = GaussianSequence(
        **{name: torch.from_numpy(one[name].values.astype(np.float32)) for name in _PARAMETERS},
        ids=torch.from_numpy(one["ids"].values.astype(np.int64)),
        times=times,
        grid=grid,
        channels=tuple(str(c) for c in names.values),
    )
    volumes = None
    if REFLECTIVITY in one:
        channels = tuple(name for name in gaussians.channels if name in one)
        values = np.stack([one[name].values.astype(np.float32) for name in channels], axis=1)
        coverage = one["coverage"].values.astype(bool) if "coverage" in one else None
        volumes = VolumeSequence(values, np.isfinite(values[:, 0]), times, grid, channels, coverage=coverage)
    return FittedWindow(gaussians, int(one["inputs"]), str(one["event"].values), volumes)
