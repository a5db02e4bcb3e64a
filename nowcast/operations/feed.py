"""The files of the input as a delivery leaves them: some are still being written, some are not meant to be read."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import stat as kinds
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nowcast.errors import InputError
from nowcast.operations.job import Input
from nowcast.operations.own_radars import Radars, is_several
from nowcast.pipeline.layout import layout

POLL_S = 0.25
MOST_TOLD = 5

Stamp = tuple[int, int]
"""Size in bytes and time of the last change in ns: as long as both stay, so does the file."""


@dataclass(frozen=True)
class Feed:
    """The files that are complete, by path, and those that are still being written; the rest as in a listing."""

    files: dict[Path, Stamp]
    writing: list[Path]
    folders: tuple[str, ...] = ()
    unlooked: str = ""

    def unfinished(self, marker: str) -> list[str]:
        """What to say of the files that are still being written; of many one sentence."""
        names = [path.name for path in self.writing]
        if len(names) > MOST_TOLD:
            why = f"have no {marker} beside them" if marker else "are still being written"
            return [f"{len(names)} files {why} and are left out, the last {names[-1]}"]
        whys = [f"has no {name}{marker} beside it" if marker else "is still being written" for name in names]
        return [f"{name} {why} and is left out" for name, why in zip(names, whys, strict=True)]

    @cached_property
    def listing(self) -> str:
        """A digest of the complete files: while it stays, nothing new has come."""
        listed = sorted((str(path), stamp) for path, stamp in self.files.items())
        return hashlib.sha256(repr(listed).encode()).hexdigest()


def wait_for_files(settings: Input, until: float, radars: Radars) -> Feed:
    """List the input; wait for files that are being written, no longer than ``until`` (monotonic clock).

    ``radars`` are those that the job is known to forecast from: an input with folders of radars remains one.

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
        listing = list_input(settings, radars)
        found, now = dict(_stamped(listing.paths)), time.monotonic()
        since = {p: since[p] if p in since and since[p][0] == stamp else (stamp, now) for p, stamp in found.items()}

        def complete(path: Path, seen: dict[Path, tuple[Stamp, float]] = since, now: float = now) -> bool:
            stamp, first = seen[path]
            if settings.marker:
                return path.with_name(path.name + settings.marker).exists()
            age = time.time() - stamp[1] / 1e9
            return max(age, now - first) >= settings.settle

        files = {path: stamp for path, stamp in found.items() if complete(path)}
        writing = sorted(found.keys() - files.keys())
        if not writing or settings.marker or now >= until:
            return Feed(files, writing, listing.folders, listing.unlooked)
        time.sleep(min(POLL_S, max(until - now, 0.0)))


@dataclass(frozen=True)
class Listing:
    """The paths of an input that are meant to be read; ``folders`` of radars, if any, and what is not looked at.

    ``only_folders`` of a pattern that nothing else matches.
    """

    paths: list[Path]
    folders: tuple[str, ...] = ()
    unlooked: str = ""
    only_folders: bool = False


def list_input(settings: Input, radars: Radars) -> Listing:
    """What there is; raises InputError where the folder cannot be read."""
    path = settings.path
    try:
        if glob.has_magic(path):
            found = _meant(map(Path, glob.glob(path)), settings)  # noqa: PTH207 - Path.glob takes no absolute pattern
            only_folders = bool(found) and all(p.is_dir() for p in found)
            return Listing(found, (), "only folders: name the one above them" if only_folders else "", only_folders)
        found = _meant(Path(path).iterdir(), settings)
        laid = layout(found, is_several(radars) if radars else None)
        if not laid.several:
            return Listing(found, unlooked=laid.unlooked)
        paths: list[Path] = []
        unlooked = [laid.unlooked] if laid.unlooked else []
        for folder in laid.folders:
            try:
                paths += folder.iterdir()
            except OSError as error:  # one radar that is missing is no reason to forecast from none
                unlooked.append(f"{folder.name}, which cannot be read: {error.strerror}")
        return Listing(_meant(paths, settings), tuple(folder.name for folder in laid.folders), "; ".join(unlooked))
    except OSError as error:
        raise InputError(f"cannot read the input folder {path}: {error.strerror}") from error


def _meant(paths: Iterable[Path], settings: Input) -> list[Path]:
    return [path for path in paths if not _is_ignored(path.name, settings)]


def _is_ignored(name: str, settings: Input) -> bool:
    is_marker = bool(settings.marker) and name.endswith(settings.marker)
    return name.startswith(".") or is_marker or any(fnmatch.fnmatch(name, pattern) for pattern in settings.ignore)


def _stamped(paths: list[Path]) -> Iterator[tuple[Path, Stamp]]:
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            continue  # removed since it was listed
        if kinds.S_ISREG(stat.st_mode):
            yield path, (stat.st_size, stat.st_mtime_ns)
