"""Which of the complete files a cycle looks at: links to them in a folder of its own."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nowcast.errors import InputError
from nowcast.operations.feed import Stamp
from nowcast.operations.own_radars import OwnRadar, Radars, is_several
from nowcast.pipeline.archive import FIRST_VOLUMES, NAME_ERROR, Entry, read_entries, time_in_name
from nowcast.pipeline.place import home_of
from nowcast.radar.polar import SAME_PLACE_M, Site

logger = logging.getLogger(__name__)

MOST_NAMED, MOST_NAMELESS = 60, 300
"""More files than these cannot matter for the newest volumes."""
MOST_STRETCHES = 5
"""So often are older files looked at where none of the newest is of the job's radar."""
FAR_M = 100_000.0
"""So far from where it stands no file of a radar places it, unless by mistake."""
EPOCH = np.datetime64(0, "ns")
Files = dict[Path, Stamp]


class Kind(NamedTuple):
    """What volumes of one radar agree in: whether they are gridded, and what the radar is called."""

    gridded: bool
    radar: str


@dataclass(frozen=True)
class Snapshot:
    """The newest volumes of one ``radar``, by time, and why other files are none; all are links in a folder.

    ``others`` are the names of radars of which there were files too: these have no links any more.
    """

    entries: list[Entry]
    damaged: dict[Path, str]
    radar: OwnRadar | None = None
    others: tuple[str, ...] = ()

    def newly_damaged(self, files: Files, newest: np.datetime64) -> list[str]:
        """Why files that follow the radar's newest volume are none, the newest last; not those far from ``newest``."""
        last = self.entries[-1] if self.entries else None

        def is_new(link: Path) -> bool:
            named = time_in_name(link.name)
            if named is None:
                return last is None or _changed(link, files) > _changed(last.path, files)
            return bool((last is None or named > last.time) and abs(named - newest) <= NAME_ERROR)

        late = sorted(filter(is_new, self.damaged), key=lambda link: (time_in_name(link.name) or EPOCH, link.name))
        return [self.damaged[link] for link in late]


def by_radar(files: Files, folders: Iterable[str], known: Radars) -> dict[str, Files]:
    """The files by the folder of their radar; also for those that hold none, or are known and gone.

    Of an input without such folders all are by an empty name.
    """
    if not is_several(known) and not folders:
        return {"": files}
    found: dict[str, Files] = {name: {} for name in sorted({*folders, *known})}
    for path, stamp in files.items():
        found[path.parent.name][path] = stamp
    return found


def take(
    newest_first: Iterable[list[Path]],
    folder: Path,
    wanted: OwnRadar,
    known: OwnRadar | None,
    reading: Callable[[Path], None],
) -> Snapshot:
    """Link the newest files of one radar into a new folder, and read what they tell of themselves.

    The radar is the one called as the ``wanted`` one, else the ``known`` one: ``newest_first`` holds stretches of
    files, looked at until it is found. Where it is not known yet and none is called so, it is the one that most of the
    newest are of, unless that one stands far from where the wanted one does.
    ``reading`` is called with each file before it is read, so that it is known which one killed the worker.
    """
    folder.mkdir(parents=True)
    entries: list[Entry] = []
    damaged: dict[Path, str] = {}
    usual: Kind | None = None
    own: Kind | None = None
    for paths in newest_first:
        found, why = _read(_linked(paths, folder), reading)
        entries, damaged = entries + found, damaged | why
        usual = usual or next((kind for kind, _ in Counter(map(_kind, found)).most_common(1)), None)
        own = _own(entries, wanted.name, known, reading)
        if own is not None or not (wanted.name or known):
            break
    if own is None and known is None and usual is not None and not _is_elsewhere(usual, entries, wanted, reading):
        own = usual
        if wanted.name and own.radar:
            logger.warning("no file is of radar %r: those of %r are taken, under that name", wanted.name, own.radar)
    others: dict[str, list[Entry]] = {}
    for entry in entries:
        if _kind(entry) != own:
            others.setdefault(entry.radar or "without a name", []).append(entry)
            entry.path.unlink(missing_ok=True)
    for radar, theirs in others.items():
        _tell_of_other(radar, theirs)
    entries = sorted((e for e in entries if _kind(e) == own), key=lambda e: (e.time, e.path.name))
    return Snapshot(entries, damaged, _as_told(entries, reading), tuple(others))


def same_radar(radar: OwnRadar | None, known: Radars) -> str | None:
    """The folder of the known radar that stands where this one does, if any."""
    if radar is None or radar.site is None:
        return None
    site = Site(*radar.site)
    near = (name for name, one in known.items() if one.site and site.distance_m(Site(*one.site)) <= SAME_PLACE_M)
    return next(near, None)


def stretches(
    files: Files, at: np.datetime64 | None, ahead_s: float, back_s: float | None = None
) -> Iterator[list[Path]]:
    """The files that may hold the newest volumes at or before a time, then those before them, and so on.

    Where names tell times they are believed to within a day, for some use local time; a name far in the future of both
    the clock and the file's own date is not. ``back_s`` asks for the volumes of so long a time before.
    """
    named = {path: t for path in files if (t := time_in_name(path.name)) is not None}
    believed = [t for path, t in named.items() if not is_ahead(path, files[path], ahead_s)]
    end = at if at is not None else max(believed, default=None)
    nameless = sorted(files.keys() - named, key=lambda path: files[path][1])[-MOST_NAMELESS:]
    if end is None:
        yield nameless
        return
    start = end - NAME_ERROR - np.timedelta64(round(back_s or 0), "s")
    rising = sorted((t, path) for path, t in named.items() if t <= end + NAME_ERROR)
    near = [path for t, path in rising if t >= start]
    near = near if back_s is not None or at is not None else near[-MOST_NAMED:]
    yield [*near, *nameless]
    before = [path for _, path in rising[: len(rising) - len(near)]]
    for _ in range(MOST_STRETCHES - 1):
        before, older = before[:-MOST_NAMED], before[-MOST_NAMED:]
        if older:
            yield older


def is_ahead(path: Path, stamp: Stamp, ahead_s: float) -> bool:
    """Whether the time in a file's name is later than can be believed."""
    named = time_in_name(path.name)
    return named is not None and bool(named > latest_believed(stamp, ahead_s) + NAME_ERROR)


def latest_believed(stamp: Stamp, ahead_s: float) -> np.datetime64:
    """No volume of this file can be later: neither the clock nor the file's date, if the clock was put back, is."""
    newest = max(time.time(), stamp[1] / 1e9) + ahead_s
    return np.datetime64(round(newest * 1e9), "ns")


def _linked(paths: list[Path], folder: Path) -> list[Path]:
    """Links to files in the folder; those of one name get numbers."""
    links = []
    for path in paths:
        link, number = folder / path.name, 1
        while link.is_symlink():
            number += 1
            link = folder / f"{number}_{path.name}"
        link.symlink_to(path)
        links.append(link)
    return links


def _read(links: list[Path], reading: Callable[[Path], None]) -> tuple[list[Entry], dict[Path, str]]:
    """The volumes in files, and why other files are none."""
    entries: list[Entry] = []
    damaged: dict[Path, str] = {}
    for link in sorted(links):
        reading(link)
        try:
            found = read_entries(link)
            # These are read when first asked for, and remembered: here it is known which file they come from.
            _ = [entry.elevations for entry in found]
            entries += found
        except InputError as error:
            damaged[link] = str(error)
    return entries, damaged


def _kind(entry: Entry) -> Kind:
    return Kind(entry.head is None, entry.radar)


def _as_told(entries: list[Entry], reading: Callable[[Path], None]) -> OwnRadar | None:
    """The radar as its files, which rise in time, tell of it."""
    if not entries:
        return None
    for entry in entries[:FIRST_VOLUMES]:
        _site(entry, reading)
    home = home_of(entries)
    return OwnRadar(entries[-1].radar, entries[-1].head is None, None if home is None else astuple(home))


def _own(entries: list[Entry], name: str, known: OwnRadar | None, reading: Callable[[Path], None]) -> Kind | None:
    """The radar of that name, else the known one by its name or, where it was given another, by its place."""
    kinds = {_kind(e): e for e in sorted(entries, key=lambda e: e.time)}
    for kind in kinds:
        if name and kind.radar.casefold() == name.casefold():
            return kind
    if known is None:
        return None
    if (same := Kind(known.gridded, known.name)) in kinds:
        return same
    near = {kind: e.time for kind, e in kinds.items() if kind.gridded == known.gridded and _is_at(e, known, reading)}
    return max(near, key=lambda kind: near[kind], default=None)


def _is_elsewhere(kind: Kind, entries: list[Entry], wanted: OwnRadar, reading: Callable[[Path], None]) -> bool:
    """Whether a radar of another name than the wanted one stands at another place too."""
    if not wanted.name or wanted.site is None:
        return False
    some = [entry for entry in entries if _kind(entry) == kind][-FIRST_VOLUMES:]
    sites = [site for entry in some if (site := _site(entry, reading)) is not None]
    return bool(sites) and all(site.distance_m(Site(*wanted.site)) > FAR_M for site in sites)


def _is_at(entry: Entry, radar: OwnRadar, reading: Callable[[Path], None]) -> bool:
    if radar.site is None:
        return False
    site = _site(entry, reading)
    return site is not None and site.distance_m(Site(*radar.site)) <= SAME_PLACE_M


def _site(entry: Entry, reading: Callable[[Path], None]) -> Site | None:
    reading(entry.path)
    return entry.site


def _tell_of_other(radar: str, entries: list[Entry]) -> None:
    newest = max(entries, key=lambda e: e.time).path.name
    if len(entries) == 1:
        logger.warning("%s is left out: it is of radar %r", newest, radar)
    else:
        logger.warning("%d files are left out: they are of radar %r, the newest is %s", len(entries), radar, newest)


def _changed(link: Path, files: Files) -> int:
    return files[link.readlink()][1]
