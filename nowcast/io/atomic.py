"""Writing a file so that a reader sees the old one or the whole new one, never a part."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nowcast.errors import OutputError

OLD = ".old"
LITTLE_BYTES = 1_000_000
"""With less room than this a disk counts as full."""


def check_writable(target: Path | str) -> None:
    """Make the folder that a file will be written to, before long work.

    Raises OutputError when the file could not be written: a folder in its place, no permission.
    """
    target = Path(target)
    if target.is_dir():
        raise OutputError(f"{target} is a folder: give the name of a file to write")
    with told_as_output_error(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(target.parent, os.W_OK):
        raise OutputError(f"cannot write {target}: permission denied; choose a folder you may write to")


@contextmanager
def atomic_path(target: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; on success it is flushed to disk and renamed to ``target``.

    On any failure, Ctrl-C included, the temporary file is removed and ``target`` stays as it was. Missing parent
    folders are made.

    Raises
    ------
    OutputError
        The file cannot be written: no permission, no space, a folder in its place.
    """
    target = Path(target)
    check_writable(target)
    # The suffix stays last, because writers such as matplotlib choose the format by it.
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        with told_as_output_error(target):
            yield temporary
            publish(temporary, target)
    finally:
        if temporary.exists():
            temporary.unlink()


@contextmanager
def atomic_folder(target: Path | str, mark: str) -> Iterator[Path]:
    """Yield a temporary folder beside ``target``; on success its files are flushed to disk and it gets that name.

    A folder of that name is replaced if it holds the file ``mark``, which tells what kind it is. On any failure the
    temporary folder is removed and ``target`` stays as it was.

    Raises
    ------
    OutputError
        The folder cannot be written: no permission, no space, a file or another kind of folder in its place.
    """
    target = Path(target)
    if target.exists() and not (target / mark).is_file():
        what = "a folder without" if target.is_dir() else "a file, not a folder with"
        raise OutputError(f"cannot write {target}: there is {what} {mark}; move it away or give another name")
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        with told_as_output_error(target):
            temporary.mkdir(parents=True)
            yield temporary
            for path in (*temporary.rglob("*"), temporary):
                flush(path)
            exchange(temporary, target)
            flush(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def exchange(new: Path, target: Path) -> None:
    """Give a folder its name, and the one that had the name the other's: at once, where the system can.

    Where it cannot, the old one is for a moment beside ``new`` with ``OLD`` behind its name.
    """
    if not target.exists():
        new.rename(target)
        return
    libc, here, swap = ctypes.CDLL(None), -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
    if hasattr(libc, "renameat2") and libc.renameat2(here, os.fsencode(new), here, os.fsencode(target), swap) == 0:
        return
    old = new.with_name(f"{new.name}{OLD}")
    target.rename(old)
    try:
        new.rename(target)
    finally:
        old.rename(new if target.exists() else target)


def publish(temporary: Path, target: Path) -> None:
    """Flush a finished file to disk and give it its name in the same folder; raises OSError."""
    flush(temporary)
    temporary.replace(target)
    flush(target.parent)


def atomic_write_text(target: Path | str, text: str) -> None:
    """Write UTF-8 text to ``target`` through :func:`atomic_path`."""
    with atomic_path(target) as path:
        path.write_text(text, encoding="utf-8")


@contextmanager
def told_as_output_error(target: Path) -> Iterator[None]:
    """Tell what goes wrong within, while ``target`` is written, as an OutputError."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {target}: {_reason(error, target)}") from error
    except RuntimeError as error:
        # The HDF5 library reports a full disk or a lost file as RuntimeError("NetCDF: HDF error").
        if "HDF error" not in str(error):
            raise
        raise OutputError(f"cannot write {target}: {error}; is the disk full?") from error


def _reason(error: OSError, target: Path) -> str:
    # The NetCDF library tells of a full disk as of one that may not be written.
    if error.errno == errno.ENOSPC or (error.errno == errno.EACCES and _full(target.parent)):
        return "no space left on the device; free some or write elsewhere"
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return f"{error.filename or 'a part of the path'} is a file, not a folder"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{error.strerror}; choose a folder you may write to"
    return error.strerror or str(error)


def _full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < LITTLE_BYTES
    except OSError:
        return False


def file_digest(path: Path) -> str | None:
    """SHA-256 of a file's content, None where there is no file."""
    if not path.is_file():
        return None
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Wait until a file, or what a folder lists, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
