"""Volume-sequence files: gridded radar volumes as CF NetCDF-4."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nowcast.io import cf
from nowcast.types import REFLECTIVITY, VolumeSequence

KIND = "volumes"


def write_volumes(sequence: VolumeSequence, path: Path | str, *, history: str = "") -> None:
    """Write a volume sequence as ``reflectivity(time, z, y, x)`` and its like, compressed, atomically.

    Voxels that were not observed hold the fill value. Raises OutputError when the file cannot be written.
    """
    import xarray as xr

    dims = ("time", "z", "y", "x")
    attributes = {REFLECTIVITY: cf.reflectivity_attributes()}
    variables: dict[str, object] = {cf.GRID_MAPPING: cf.grid_mapping(sequence.grid)}
    encoding: dict[str, dict[str, object]] = {"time": {"units": cf.TIME_UNITS, "dtype": "float64"}}
    for c, name in enumerate(sequence.channels):
        variables[name] = (
            dims,
            sequence.values[:, c],
            attributes.get(name, {"grid_mapping": cf.GRID_MAPPING}),
        )
        chunks = (1, *sequence.grid.shape)
        packed = cf.PACKED_DBZ if name == REFLECTIVITY else {"zlib": True, "complevel": 2}
        encoding[name] = {**packed, "chunksizes": chunks}
    if sequence.sources:
        variables["source_file"] = (
            "time",
            np.array(sequence.sources, dtype=object),
            {"long_name": "input file"},
        )
    if sequence.coverage is not None:
        note = {
            "long_name": "voxel held a value at least once in the archive",
            "grid_mapping": cf.GRID_MAPPING,
        }
        variables["coverage"] = (dims[1:], sequence.coverage.astype(np.int8), note)
        encoding["coverage"] = {"zlib": True}
    time = ("time", sequence.times, {"standard_name": "time", "long_name": "valid time", "axis": "T"})
    coordinates = {"time": time, **cf.grid_coordinates(sequence.grid)}
    dataset = xr.Dataset(variables, coordinates, cf.global_attributes(KIND, "Gridded radar volumes", history))
    cf.write_dataset(dataset, path, encoding)


def read_volumes(path: Path | str) -> VolumeSequence:
    """Read a file of :func:`write_volumes`; raises InputError when it is not one."""
    with cf.own_dataset(path, KIND, "a volume-sequence file") as dataset:
        names = [str(n) for n, v in dataset.data_vars.items() if v.dims == ("time", "z", "y", "x")]
        channels = (REFLECTIVITY, *(n for n in names if n != REFLECTIVITY))
        values = np.stack([dataset[n].values.astype(np.float32) for n in channels], axis=1)
        mask = np.isfinite(values[:, 0])
        values[~np.broadcast_to(mask[:, None], values.shape)] = np.nan
        return VolumeSequence(
            values,
            mask,
            times=dataset.variables["time"].values.astype("datetime64[ns]"),
            grid=cf.grid_of(dataset),
            channels=channels,
            sources=tuple(str(s) for s in dataset["source_file"].values) if "source_file" in dataset else (),
            coverage=dataset["coverage"].values.astype(bool) if "coverage" in dataset else None,
        )


def is_volume_file(path: Path | str) -> bool:
    """Whether the path is a file of :func:`write_volumes`."""
    return cf.kind_of(path) == KIND
