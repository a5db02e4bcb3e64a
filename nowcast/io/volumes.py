"""Volume-sequence files: gridded radar volumes as CF NetCDF-4."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.channels import CHANNELS
from nowcast.io import cf
from nowcast.types import REFLECTIVITY, VolumeSequence

if TYPE_CHECKING:
    import xarray as xr

KIND = "volumes"


def write_volumes(
    sequence: VolumeSequence, path: Path | str, *, facts: Mapping[str, Any] | None = None, history: str = ""
) -> None:
    """Write a volume sequence as ``reflectivity(time, z, y, x)`` and its like, compressed, atomically.

    Voxels that were not observed hold the fill value. ``facts`` go into the attribute ``provenance``.
    Raises OutputError when the file cannot be written.
    """
    import xarray as xr

    dims = ("time", "z", "y", "x")
    variables: dict[str, object] = {cf.GRID_MAPPING: cf.grid_mapping(sequence.grid)}
    encoding: dict[str, dict[str, Any]] = {**cf.OBSERVED_TIME_ENCODING}
    for c, name in enumerate(sequence.channels):
        variables[name] = dims, cf.limited(name, sequence.values[:, c]), cf.channel_attributes(name)
        encoding[name] = {**cf.channel_encoding(name), "chunksizes": (1, *sequence.grid.shape)}
    if sequence.sources:
        variables["source_file"] = (
            "time",
            np.array(sequence.sources, dtype=object),
            {"long_name": "input file"},
        )
    if sequence.missing:
        names = np.array([", ".join(names) for names in sequence.missing], dtype=object)
        variables["missing_radars"] = ("time", names, {"long_name": "radars without a volume for this time"})
    if sequence.coverage is not None:
        note = {
            "long_name": "voxel held a value at least once in the archive",
            "grid_mapping": cf.GRID_MAPPING,
        }
        variables["coverage"] = (dims[1:], sequence.coverage.astype(np.int8), note)
        encoding["coverage"] = {"zlib": True}
    coordinates = {**cf.observed_times(sequence.times), **cf.grid_coordinates(sequence.grid)}
    attributes = cf.global_attributes(KIND, "Gridded radar volumes", history)
    attributes |= cf.radar_attributes(sequence.radars, sequence.missing) | cf.provenance_attribute(facts)
    dataset = xr.Dataset(variables, coordinates, attributes)
    cf.write_dataset(dataset, path, encoding)


def read_volumes(path: Path | str, channels: Sequence[str] | None = None) -> VolumeSequence:
    """Read a file of :func:`write_volumes`: the named channels, NaN where the file has no such, or all it has.

    Raises InputError when it is not such a file.
    """
    drop = () if channels is None else CHANNELS.keys() - channels
    with cf.own_dataset(path, KIND, "a volume-sequence file", drop) as dataset:
        names = [str(n) for n, v in dataset.data_vars.items() if v.dims == ("time", "z", "y", "x")]
        held = (REFLECTIVITY, *(n for n in names if n != REFLECTIVITY))
        values = np.stack([dataset[n].values.astype(np.float32) for n in held], axis=1)
        mask = np.isfinite(values[:, 0])
        if len(held) > 1:
            values[~np.broadcast_to(mask[:, None], values.shape)] = np.nan
        volumes = VolumeSequence(
            values,
            mask,
            times=dataset.variables["time"].values.astype("datetime64[ns]"),
            grid=cf.grid_of(dataset),
            channels=held,
            sources=tuple(str(s) for s in _of_times(dataset, "source_file")),
            coverage=dataset["coverage"].values.astype(bool) if "coverage" in dataset else None,
            radars=cf.radars_of(dataset.attrs),
            missing=tuple(cf.listed(names) for names in _of_times(dataset, "missing_radars")),
        )
        return volumes if channels is None else volumes.with_channels(channels)


def _of_times(dataset: xr.Dataset, name: str) -> Iterable[object]:
    return dataset[name].values if name in dataset else ()


def is_volume_file(path: Path | str) -> bool:
    """Whether the path is a file of :func:`write_volumes`."""
    return cf.kind_of(path) == KIND
