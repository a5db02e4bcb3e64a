"""Where a command may write what it makes of volumes."""

from __future__ import annotations

from pathlib import Path

from nowcast.errors import InputError, UsageError
from nowcast.io.cf import check_netcdf
from nowcast.pipeline.archive import read_entries
from nowcast.pipeline.radars import radar_folders


def check_output(output: Path, source: Path) -> None:
    """Make the folder of a NetCDF file made of the volumes of ``source``, before long work.

    Raises
    ------
    UsageError
        The name is of another format, or of what is read: it would be lost.
    OutputError
        It cannot be written.
    """
    check_netcdf(output)
    if output.exists() and _is_input(output, source):
        raise UsageError(f"-o {output} would replace volumes that it is made from: give another name")


def _is_input(file: Path, source: Path) -> bool:
    if not source.is_dir():
        return source.exists() and file.samefile(source)
    if not any(file.parent.samefile(folder) for folder in (source, *radar_folders(source).values())):
        return False
    try:
        return bool(read_entries(file))
    except InputError:
        return False
