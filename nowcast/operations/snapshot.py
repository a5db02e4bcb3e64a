"""Which of the complete files a cycle looks at: links to them in a folder of its own."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from nowcast.errors import InputError
from nowcast.operations.feed import Stamp
from nowcast.pipeline.archive import NAME_ERROR, Entry, read_entries, time_in_name

logger = logging.getLogger(__name__)

MOST_NAMED, MOST_NAMELESS = 60, 300
"""More files than these cannot matter for the newest volumes."""


def link_files(paths: Iterable[Path], folder: Path, source: Path) -> list[Path]:
    """Symbolic links to the files in a new folder; returns the folders with links, one or one for each radar.

    Files in folders of ``source`` are linked in folders of the same names; two of one name get numbers.
    """
    folder.mkdir(parents=True)
    paths = list(paths)
    if any(path.parent.parent == source for path in paths):
        for radar in source.iterdir():  # also one without files, which is then known to be missing
            if radar.is_dir() and not radar.name.startswith("."):
                (folder / radar.name).mkdir(exist_ok=True)
    for path in paths:
        home = folder / path.parent.name if path.parent.parent == source else folder
        link, number = home / path.name, 1
        while link.is_symlink():
            number += 1
            link = home / f"{number}_{path.name}"
        link.symlink_to(path)
    return sorted(path for path in folder.iterdir() if path.is_dir()) or [folder]


def files_near(
    files: dict[Path, Stamp], at: np.datetime64 | None, ahead_s: float, back_s: float | None = None
) -> list[Path]:
    """The files of each folder that may hold the newest volumes at or before a time.

    Where names tell times they are believed to within a day, for some use local time; a name far in the future of both
    the clock and the file's own date is not. ``back_s`` asks for the volumes of so long a time before.
    """
    folders: dict[Path, dict[Path, Stamp]] = {}
    for path, stamp in files.items():
        folders.setdefault(path.parent, {})[path] = stamp
    return [path for one in folders.values() for path in _near(one, at, ahead_s, back_s)]


def _near(files: dict[Path, Stamp], at: np.datetime64 | None, ahead_s: float, back_s: float | None) -> list[Path]:
    named = {path: t for path in files if (t := time_in_name(path.name)) is not None}
    believed = [t for path, t in named.items() if not is_ahead(path, files[path], ahead_s)]
    end = at if at is not None else max(believed, default=None)
    nameless = sorted(files.keys() - named, key=lambda path: files[path][1])[-MOST_NAMELESS:]
    if end is None:
        return nameless
    start = end - NAME_ERROR - np.timedelta64(round(back_s or 0), "s")
    near = sorted((t, path) for path, t in named.items() if start <= t <= end + NAME_ERROR)
    return [path for _, path in (near if back_s is not None or at is not None else near[-MOST_NAMED:])] + nameless


def is_ahead(path: Path, stamp: Stamp, ahead_s: float) -> bool:
    """Whether the time in a file's name is later than can be believed."""
    named = time_in_name(path.name)
    return named is not None and bool(named > latest_believed(stamp, ahead_s) + NAME_ERROR)


def latest_believed(stamp: Stamp, ahead_s: float) -> np.datetime64:
    """No volume of this file can be later: neither the clock nor the file's date, if the clock was put back, is."""
    newest = max(time.time(), stamp[1] / 1e9) + ahead_s
    return np.datetime64(round(newest * 1e9), "ns")


def entries_of(folder: Path, radar: str, reading: Callable[[Path], None]) -> tuple[list[Entry], dict[Path, str]]:
    """The volumes in the folder by time, and why other files are none.

    Files of another radar, or of another kind, than most are unlinked: of the radar that is named, where there are any.
    """
    entries: list[Entry] = []
    reasons: dict[Path, str] = {}
    for path in sorted(folder.iterdir()):
        reading(path)
        try:
            found = read_entries(path)
            # These are read when first asked for, and remembered: here it is known which file they come from.
            _ = [entry.elevations for entry in found]
            entries += found
        except InputError as error:
            reasons[path] = str(error)
    kinds = Counter((entry.head is None, entry.radar) for entry in entries)
    if len(kinds) > 1:
        own = [kind for kind in kinds if radar and kind[1].lower() == radar.lower()]
        kept = own[0] if own else kinds.most_common(1)[0][0]
        for entry in entries:
            if (entry.head is None, entry.radar) != kept:
                logger.warning("%s is left out: it is of radar %r", entry.path.name, entry.radar or "without a name")
                entry.path.unlink(missing_ok=True)
        entries = [entry for entry in entries if (entry.head is None, entry.radar) == kept]
    return sorted(entries, key=lambda entry: (entry.time, entry.path.name)), reasons
