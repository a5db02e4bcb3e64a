"""Fitted Gaussians as files for splat viewers."""

from __future__ import annotations

from pathlib import Path

import nowcast
from nowcast.errors import InputError, UsageError
from nowcast.io.atomic import check_writable
from nowcast.io.gaussians import read_windows
from nowcast.pipeline.digests import digests
from nowcast.plot.splats import check_exporter, write_splats
from nowcast.types import FittedWindow
from nowcast.units import compact_utc, iso_utc

SUFFIX = ".ply"


def check_export(target: Path) -> None:
    """Raise, before long work, what :func:`export_fit` would raise for want of gsplat or a place to write."""
    if not _is_file(target) and target.suffix and not target.is_dir():
        raise UsageError(f"cannot export to {target.name!r}: give a name that ends in {SUFFIX}, or a folder")
    check_exporter(target)
    check_writable(target if _is_file(target) else target / f"storm{SUFFIX}")


def export_fit(fits: Path | str, target: Path | str) -> list[Path]:
    """Write the Gaussians of a file of ``nowcast fit`` for splat viewers; returns the files written.

    Parameters
    ----------
    fits
        Gaussian file.
    target
        A name that ends in ``.ply``: the newest input time of the newest sequence. A folder: every input time, one file
        each, named by it, except where there is no echo; where sequences overlap, the newer one counts.

    Raises
    ------
    UsageError
        ``target`` has another suffix.
    InputError
        ``fits`` is no Gaussian file, or there is no echo to write.
    OutputError
        gsplat is not installed, or a file cannot be written.
    """
    target = Path(target)
    check_export(target)
    if _is_file(target):
        [newest] = read_windows(fits, last=1)
        chosen = {target: (newest, newest.inputs - 1)}
    else:
        chosen = {
            target / f"{compact_utc(w.gaussians.times[t])}{SUFFIX}": (w, t)
            for w in read_windows(fits)
            for t in range(w.inputs)
        }
    inputs = [f"{name} sha256 {digest}" for name, digest in digests([Path(fits)]).items()]
    made_by = [f"nowcast {nowcast.__version__}", *inputs]
    written = [
        path
        for path, (window, t) in sorted(chosen.items())
        if write_splats(window.gaussians.at(t), window.gaussians.grid, path, [*made_by, _place(window, t)])
    ]
    if not written:
        raise InputError(f"there is no echo in {fits} to write to {target}")
    return written


def _place(window: FittedWindow, t: int) -> str:
    grid = window.gaussians.grid
    return f"valid {iso_utc(window.gaussians.times[t])}, origin {grid.origin_lat:g} north {grid.origin_lon:g} east"


def _is_file(target: Path) -> bool:
    return target.suffix.lower() == SUFFIX
