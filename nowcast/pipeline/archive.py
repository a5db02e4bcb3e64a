"""What an archive of radar files holds: the time of each file, without reading the volumes."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from nowcast.errors import InputError
from nowcast.io.gridded import gridded_times
from nowcast.radar.content import GRID_FORMATS, POLAR_FORMATS, damage_told, plain_file, sniff
from nowcast.radar.polar import SAME_ELEVATION_DEG, Site
from nowcast.radar.reader import read_elevations, read_site, read_volume_head
from nowcast.radar.volume_head import VolumeHead

logger = logging.getLogger(__name__)


VOLUMES = "volumes"
"""What :func:`nowcast.radar.sniff` calls the volume-sequence files of nowcast."""
NAME_ERROR = np.timedelta64(1, "D")
NEIGHBOURS = 6
FIRST_VOLUMES = 3
COMPLETE_SHARE = 0.8
_STAMP = re.compile(r"(?<!\d)((?:19|20)\d{6})[_\-T.]?(\d{4}(?:\d{2})?)?(?!\d)")


@dataclass(frozen=True)
class Entry:
    """One valid time of one file: ``kind`` as :func:`nowcast.radar.sniff` names it, a header when it is polar."""

    path: Path
    time: np.datetime64
    kind: str
    head: VolumeHead | None = None

    @cached_property
    def elevations(self) -> tuple[float, ...]:
        """Elevations of a polar volume, degrees; empty where they are not known without reading it."""
        try:
            return (read_elevations(self.head) or ()) if self.head is not None else ()
        except InputError:
            return ()

    @cached_property
    def site(self) -> Site | None:
        """Where the radar stands, as a polar volume tells it without being read whole."""
        return read_site(self.head) if self.head is not None else None

    @property
    def scan(self) -> str:
        """The name of the scan strategy, where it is known."""
        return self.head.scan if self.head is not None else ""

    @property
    def radar(self) -> str:
        """What tells this radar from another: its name, else its position."""
        if self.head is None:
            return ""
        return self.head.radar or (str(self.head.site) if self.head.site else "")


@dataclass(frozen=True)
class Unread:
    """A file that cannot be used, why, and the time that its name tells, if any."""

    path: Path
    reason: str
    time: np.datetime64 | None


@dataclass(frozen=True)
class Listing:
    """What a folder holds up to a time.

    ``past`` are the volumes, rising in time, ``first`` the same with the first of the folder before them, where the
    listing does not reach back so far; ``unread`` the files that are none. ``earliest`` is the time of the first volume
    of those that were looked at, later ones too.
    """

    past: list[Entry]
    first: list[Entry]
    unread: list[Unread]
    earliest: np.datetime64 | None


def list_archive(folder: Path, near: np.datetime64 | None = None) -> tuple[list[Entry], list[Unread], bool]:
    """The volumes of a folder by time, then by name; the files that are none; and whether these are all files.

    With ``near``, files whose names tell a time more than a day from it are left out: reading the headers of years
    would take too long. Names may be wrong by hours, for some use local time.

    Raises
    ------
    InputError
        The folder is empty.
    """
    all_files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    if not all_files:
        raise InputError(f"{folder} holds no files: expected radar volumes or gridded files")
    files = all_files if near is None else _around(all_files, near)
    entries: list[Entry] = []
    unread: list[Unread] = []
    for path in files:
        try:
            entries += read_entries(path)
        except InputError as error:
            unread.append(Unread(path, str(error), time_in_name(path.name)))
    return sorted(entries, key=lambda e: (e.time, e.path.name)), unread, len(files) == len(all_files)


ListFolder = Callable[[Path, np.datetime64 | None], tuple[list[Entry], list[Unread], bool]]


def list_newest(
    folders: Mapping[str, Path],
    at: np.datetime64 | None,
    frames: int | None,
    count: Callable[[list[np.datetime64]], int],
    read: ListFolder = list_archive,
) -> dict[str, Listing]:
    """The volumes of each folder at or before a time: those of about a day where they are enough, else all.

    ``count`` tells how many cycles volumes of such times make; ``frames`` of them are wanted, None for all.
    """
    near = at
    if frames is None:
        near = None
    elif at is None:
        near = max((t for folder in folders.values() if (t := newest_name(folder)) is not None), default=None)
    found = {name: read(folder, near) for name, folder in folders.items()}
    times = [e.time for entries, _, _ in found.values() for e in entries if at is None or e.time <= at]
    whole = near is None or all(complete for *_, complete in found.values())
    if not whole and count(times) < (frames or 0) + NEIGHBOURS:
        # A gap: what is wanted may lie more than a day back.
        near, found = None, {name: read(folder, None) for name, folder in folders.items()}
    listings = {}
    for name, (entries, unread, complete) in found.items():
        past = [e for e in entries if at is None or e.time <= at]
        before = [] if complete or near is None else first_entries(folders[name], near)
        listings[name] = Listing(past, [*before, *past], unread, entries[0].time if entries else None)
    return listings


def _around(files: list[Path], near: np.datetime64) -> list[Path]:
    times = [(p, time_in_name(p.name)) for p in files]
    return [p for p, t in times if t is None or abs(t - near) <= NAME_ERROR]


def first_entries(folder: Path, near: np.datetime64) -> list[Entry]:
    """The first volumes of a folder, among the files whose names tell a time more than a day before ``near``."""
    named = ((time_in_name(path.name), path) for path in folder.iterdir() if not path.name.startswith("."))
    early = sorted((time, path) for time, path in named if time is not None and time < near - NAME_ERROR)
    found: list[Entry] = []
    for _, path in early:
        try:
            found += read_entries(path)
        except InputError:
            continue
        if len(found) >= FIRST_VOLUMES:
            break
    return found


def newest_name(folder: Path) -> np.datetime64 | None:
    """The latest time that a file name in the folder tells, or None."""
    times = (time_in_name(p.name) for p in folder.iterdir() if not p.name.startswith("."))
    return max((t for t in times if t is not None), default=None)


def read_entries(path: Path) -> list[Entry]:
    """The valid times of one file; raises InputError when it is neither a polar volume nor gridded."""
    try:
        stat = path.stat()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    return list(_entries_of(path, stat.st_size, stat.st_mtime_ns))


@lru_cache(maxsize=10_000)
def _entries_of(path: Path, size: int, modified_ns: int) -> tuple[Entry, ...]:
    """The entries of a file of this size and age: many sequences of one archive ask for them."""
    kind = sniff(path)
    if kind in POLAR_FORMATS:
        head = read_volume_head(path)
        return (Entry(path, head.time, kind, head),)
    if kind in (*GRID_FORMATS, VOLUMES):
        with damage_told(path), plain_file(path) as plain:
            return tuple(Entry(path, time, kind) for time in gridded_times(plain))
    raise InputError(f"{path} is a {kind} file, not a radar volume")


def time_in_name(name: str) -> np.datetime64 | None:
    """The time that a file name such as ``KHTX20080411_181144.gz`` tells, or None."""
    match = _STAMP.search(name)
    if match is None:
        return None
    day, clock = match.group(1), (match.group(2) or "").ljust(6, "0")
    try:
        return np.datetime64(f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}", "ns")
    except ValueError:
        return None


def incomplete(entries: list[Entry], index: int) -> str:
    """Why a polar volume counts as partial, or an empty text.

    ``entries`` rise in time. A volume is partial when one of the few volumes before it has the same scan with more
    sweeps: all of this one's elevations and others. A reduced scan that comes twice alike is a new scan strategy,
    not a defect. Only earlier volumes are looked at, so that the verdict on a volume never changes when later
    ones arrive. (What the file says of itself is known only when it is read.)
    """
    own = entries[index].elevations
    earlier = [e for e in entries[max(index - NEIGHBOURS, 0) : index] if e.time < entries[index].time]
    known = [(e, e.elevations) for e in earlier if e.elevations]
    if not own or not known or _alike(own, known[-1][1]):
        return ""
    full, angles = max(known, key=lambda item: len(_distinct(item[1])))
    few = len(_distinct(own)) < COMPLETE_SHARE * len(_distinct(angles))
    if few and full.scan == entries[index].scan and _within(own, angles):
        return f"{len(_distinct(own))} of {len(_distinct(angles))} elevations"
    return ""


def _distinct(angles: tuple[float, ...]) -> list[float]:
    found: list[float] = []
    for angle in sorted(angles):
        if not found or angle - found[-1] > SAME_ELEVATION_DEG:
            found.append(angle)
    return found


def _within(some: tuple[float, ...], all_: tuple[float, ...]) -> bool:
    return all(min(abs(a - b) for b in all_) <= SAME_ELEVATION_DEG for a in some)


def _alike(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return bool(a) and bool(b) and len(a) == len(b) and _within(a, b) and _within(b, a)
