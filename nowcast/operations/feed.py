"""The files of the input as a delivery leaves them: some are still being written, some are not meant to be read."""

from __future__ import annotations

import fnmatch
import glob
import stat as kinds
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nowcast.errors import InputError
from nowcast.operations.job import Input
from nowcast.texts import is_note

POLL_S = 0.25

Stamp = tuple[int, int]
"""Size in bytes and time of the last change in ns: as long as both stay, so does the file."""


@dataclass(frozen=True)
class Feed:
    """The files that are complete, by path, and those that are still being written."""

    files: dict[Path, Stamp]
    writing: list[Path]


def wait_for_files(settings: Input, until: float) -> Feed:
    """List the input; wait for files that are being written, no longer than ``until`` (monotonic clock).

    A file counts as complete when its marker stands beside it or, without markers, when it was last changed longer ago
    than ``settle`` or stays the same for so long: a change that lies in the future, for the clock was put back, says
    nothing.

    Raises
    ------
    InputError
        The folder is not there, or cannot be read.
    """
    since: dict[Path, tuple[Stamp, float]] = {}
    while True:
        found, now = dict(_listed(settings)), time.monotonic()
        since = {p: since[p] if p in since and since[p][0] == stamp else (stamp, now) for p, stamp in found.items()}

        def complete(path: Path, seen: dict[Path, tuple[Stamp, float]] = since, now: float = now) -> bool:
            stamp, first = seen[path]
            if settings.marker:
                return path.with_name(path.name + settings.marker).exists()
            age = time.time() - stamp[1] / 1e9
            return max(age, now - first) >= settings.settle

        writing = sorted(path for path in found if not complete(path))
        if not writing or settings.marker or now >= until:
            return Feed({p: stamp for p, stamp in found.items() if p not in writing}, writing)
        time.sleep(min(POLL_S, max(until - now, 0.0)))


def _listed(settings: Input) -> Iterator[tuple[Path, Stamp]]:
    for path in _paths(settings.path):
        name = path.name
        if name.startswith(".") or any(fnmatch.fnmatch(name, pattern) for pattern in settings.ignore):
            continue
        if settings.marker and name.endswith(settings.marker):
            continue
        try:
            stat = path.stat()
        except OSError:
            continue  # removed since it was listed
        if kinds.S_ISREG(stat.st_mode):
            yield path, (stat.st_size, stat.st_mtime_ns)


def _paths(path: str) -> list[Path]:
    if glob.has_magic(path):
        return [Path(p) for p in glob.glob(path)]  # noqa: PTH207 - an absolute pattern, which Path.glob does not take
    try:
        found = [p for p in Path(path).iterdir() if not p.name.startswith(".")]
        folders = [p for p in found if p.is_dir()]
        # Folders, and beside them at most notes, are those of radars.
        radars = folders and all(p.is_dir() or is_note(p) for p in found)
        return [p for folder in folders for p in folder.iterdir()] if radars else found
    except OSError as error:
        raise InputError(f"cannot read the input folder {path}: {error.strerror}") from error
