"""Datasets as Zarr stores: version 3, with consolidated metadata."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nowcast.errors import OutputError
from nowcast.io.atomic import atomic_folder
from nowcast.io.cf import PACKING

if TYPE_CHECKING:
    import xarray as xr

MARK = "zarr.json"
"""The file that makes a folder a Zarr store of version 3."""


def is_zarr(path: Path) -> bool:
    """Whether a path is a Zarr store."""
    return (path / MARK).is_file()


def write_zarr(dataset: xr.Dataset, path: Path) -> None:
    """Write a dataset as a Zarr store, packed and chunked as its NetCDF file; an older store is replaced whole.

    Raises OutputError where zarr is not installed, or the store cannot be written.
    """
    try:
        import zarr  # noqa: F401
    except ImportError as error:
        raise OutputError(f"{path.name}: Zarr needs zarr: pip install 'gaussian-nowcast[formats]'") from error
    encoding = {name: _encoding(variable) for name, variable in dataset.variables.items()}
    texts = {name: v.astype(object) for name, v in dataset.variables.items() if v.dtype.kind == "U"}
    with atomic_folder(path, MARK) as folder, warnings.catch_warnings():
        # That consolidated metadata and texts are extensions of the format, and that packed numbers need no fill value.
        warnings.simplefilter("ignore")
        bare = dataset.assign(texts).drop_encoding()
        bare.to_zarr(folder, mode="w", zarr_format=3, consolidated=True, encoding=encoding)


def _encoding(variable: xr.Variable) -> dict[str, Any]:
    kept = {key: value for key, value in variable.encoding.items() if key in PACKING}
    if variable.dtype.kind in "OU":
        kept.pop("dtype", None)
    chunks = variable.encoding.get("chunksizes") or variable.encoding.get("chunks")
    if chunks is None and variable.ndim > 2:
        chunks = (*(1,) * (variable.ndim - 2), *variable.shape[-2:])
    return {**kept, "chunks": chunks} if chunks and len(chunks) == variable.ndim else kept
