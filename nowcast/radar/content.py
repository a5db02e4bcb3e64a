"""What a file is, by its content: names and extensions lie."""

from __future__ import annotations

import bz2
import gzip
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nowcast.errors import InputError
from nowcast.texts import looks_like_text

GZIP, BZIP2, HDF5 = b"\x1f\x8b", b"BZh", b"\x89HDF\r\n\x1a\n"
POLAR_FORMATS = ("odim", "nexrad", "cfradial", "cfradial2", "iris", "uf", "rainbow")
GRID_FORMATS = ("grid",)
_HEAD = 4096


def sniff(path: Path | str) -> str:
    """Name a file's format by its content.

    Returns
    -------
    One of ``odim``, ``nexrad``, ``cfradial``, ``cfradial2``, ``iris``, ``uf``, ``rainbow`` (polar volumes); ``grid`` (a
    gridded NetCDF); ``volumes``, ``gaussians``, ``forecast``, ``clutter`` and their like (files that nowcast wrote).

    Raises
    ------
    InputError
        The file is missing, empty, a text, a damaged archive, or of no kind that can be read.
    """
    path = Path(path)
    head = first_bytes(path)
    if not head:
        raise InputError(f"{path} is empty (0 bytes)")
    if head.startswith((HDF5, b"CDF")):
        with damage_told(path), plain_file(path) as plain:
            return _netcdf_kind(plain, head)
    if head.startswith((b"AR2V", b"ARCHIVE2")):
        return "nexrad"
    if b"<volume" in head[:512]:
        return "rainbow"
    if head[:2] == b"UF" or head[4:6] == b"UF" or head[2:4] == b"UF":
        return "uf"
    if len(head) >= 24 and head[0:2] == b"\x1b\x00" and head[12:14] in (b"\x1a\x00", b"\x1b\x00"):
        return "iris"
    raise InputError(f"{path} is {_looks_like(head)}, not a radar or gridded file")


def first_bytes(path: Path, size: int = _HEAD) -> bytes:
    """The first bytes of a file, of what is inside when it is compressed."""
    try:
        with path.open("rb") as file:
            head = file.read(size)
            if not head.startswith((GZIP, BZIP2)):
                return head
        opener = gzip.open if head.startswith(GZIP) else bz2.open
        with opener(path) as packed:
            return bytes(packed.read(size))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a directory, not a file") from error
    except (EOFError, zlib.error, OSError) as error:
        raise InputError(f"{path} cannot be read: {_damage(error)}") from error


def read_bytes(path: Path) -> bytes:
    """The whole file, unpacked when it is gzip or bzip2 inside or out; raises InputError when it is damaged."""
    try:
        data = path.read_bytes()
        if data.startswith(GZIP):
            return gzip.decompress(data)
        return bz2.decompress(data) if data.startswith(BZIP2) else data
    except (EOFError, zlib.error, OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {_damage(error)}") from error


@contextmanager
def plain_file(path: Path) -> Iterator[Path]:
    """The file itself, or when it is packed with gzip or bzip2 an unpacked copy that lives as long as the context.

    An InputError raised within names the file that the user knows.
    """
    with path.open("rb") as file:
        packed = file.read(3).startswith((GZIP, BZIP2))
    if not packed:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="nowcast-") as folder:
        plain = Path(folder) / path.name
        plain.write_bytes(read_bytes(path))
        try:
            yield plain
        except InputError as error:
            raise type(error)(str(error).replace(str(plain), str(path))) from error


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Raise InputError for whatever a library answers to a damaged file: they fail in every way there is."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(
            f"{path} is damaged or not fully written ({_damage(error) or type(error).__name__})"
        ) from error


def _damage(error: Exception) -> str:
    text = str(error)
    if isinstance(error, (EOFError, zlib.error)) or "CRC" in text or "end-of-stream" in text:
        return "the compressed file is truncated or damaged; get it again"
    return getattr(error, "strerror", None) or text


def _looks_like(head: bytes) -> str:
    return "a text file" if looks_like_text(head) else "of an unknown format"


def _netcdf_kind(path: Path, head: bytes) -> str:
    """Tell HDF5 and NetCDF files apart by their attributes."""
    import h5py

    if head.startswith(b"CDF"):
        return _netcdf3_kind(path)
    try:
        with h5py.File(path, "r") as file:
            return _hdf5_kind(path, file)
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path} is a damaged HDF5 file: truncated or not fully written") from error


def _hdf5_kind(path: Path, file: Any) -> str:
    import h5py

    attributes = {str(k): v for k, v in file.attrs.items()}
    names = set(file)
    kind = _own_kind(attributes)
    if kind:
        return kind
    conventions = _text(attributes.get("Conventions", attributes.get("conventions", "")))
    if conventions.startswith("ODIM") or ("dataset1" in names and "what" in names):
        return "odim"
    if any(n.startswith("sweep_") and isinstance(file[n], h5py.Group) for n in names):
        return "cfradial2"
    return _kind_by_names(path, names, conventions)


def _netcdf3_kind(path: Path) -> str:
    import netCDF4

    try:
        with netCDF4.Dataset(path) as file:
            attributes = {name: file.getncattr(name) for name in file.ncattrs()}
            names = set(file.variables) | set(file.dimensions)
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path} is a damaged NetCDF file") from error
    return _own_kind(attributes) or _kind_by_names(path, names, _text(attributes.get("Conventions", "")))


def _kind_by_names(path: Path, names: set[str], conventions: str) -> str:
    if "azimuth" in names and ("elevation" in names or "fixed_angle" in names) and "range" in names:
        return "cfradial"
    if {"z", "y", "x"} <= names or ({"x", "y"} <= names and names & {"height", "altitude", "level", "lev"}):
        return "grid"
    if {"x0", "y0", "z0"} <= names or {"point_x", "point_y", "point_z"} <= names:
        return "grid"
    told = f" (Conventions {conventions})" if conventions else ""
    raise InputError(f"{path}{told} is neither a polar radar volume nor a grid with z, y and x")


def _own_kind(attributes: dict[str, object]) -> str:
    return _text(attributes.get("nowcast_kind", ""))


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
