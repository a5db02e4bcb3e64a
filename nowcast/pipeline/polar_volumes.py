"""Which polar volumes of an archive can be used, and what is done to them before they are gridded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from nowcast import units
from nowcast.errors import InputError
from nowcast.pipeline.archive import Entry, incomplete
from nowcast.pipeline.cache import ReadVolume
from nowcast.pipeline.place import misplaced
from nowcast.pipeline.skips import skip
from nowcast.radar.clutter import read_clutter_map
from nowcast.radar.polar import PolarVolume, Site
from nowcast.radar.quality import QualityConfig, clean
from nowcast.radar.reader import PositionUnknown

Volume = TypeVar("Volume", PolarVolume, ReadVolume)
logger = logging.getLogger(__name__)


class NoneUsable(InputError):
    """None of the volumes can be used."""


@dataclass(frozen=True)
class Places:
    """Where the radar stands: ``given`` in place of what the files tell, ``home`` for the centre of the grid."""

    given: Site | None
    home: Site | None


def refuse_mixture(source: Path, entries: list[Entry]) -> None:
    """Raise InputError for files of several kinds or radars in one folder."""
    kinds = {e.head is None for e in entries}
    if len(kinds) > 1:
        raise InputError(f"{source} mixes polar and gridded files: put them in folders of their own")
    radars = sorted({e.radar for e in entries})
    if len(radars) > 1:
        raise InputError(
            f"{source} mixes volumes of {len(radars)} radars ({', '.join(r or 'unnamed' for r in radars[:6])}"
            f"{', ...' if len(radars) > 6 else ''}): "
            "put each radar in a folder of its own; a folder of such folders is brought together"
        )


def skip_entry(skipped: list[str], entry: Entry, reason: str) -> None:
    """Say that a volume is left out, and keep the reason."""
    skip(str(entry.path), reason)
    skipped.append(reason)


def good_volumes(
    entries: list[Entry],
    places: Places,
    skipped: list[str],
    read: Callable[..., Volume],
    partial_volumes: bool = False,
    since: np.datetime64 | None = None,
) -> Iterator[tuple[Entry, Volume]]:
    """Read the usable volumes, newest first, one a time, none that began before ``since``; tell what is skipped."""
    taken: Entry | None = None
    for entry in _usable(entries, places.given is None, skipped, partial_volumes):
        if since is not None and entry.time < since:
            return
        if taken is not None and entry.time == taken.time:
            skip_entry(skipped, entry, f"{entry.path.name} has the same time as {taken.path.name}")
            continue
        try:
            volume = read(entry.path, site=places.given, fallback=places.home)
        except PositionUnknown:
            raise
        except InputError as error:
            skip_entry(skipped, entry, str(error))
            continue
        if volume.defect and not partial_volumes:
            skip_entry(skipped, entry, f"{entry.path.name} is a partial volume ({volume.defect})")
            continue
        taken = entry
        yield entry, volume


def _usable(
    entries: list[Entry], judge_place: bool, skipped: list[str], partial_volumes: bool = False
) -> Iterator[Entry]:
    """The volumes worth reading, newest first; of the others it is said why not."""
    for index in reversed(range(len(entries))):
        entry = entries[index]
        lacking = "" if partial_volumes else incomplete(entries, index)
        elsewhere = misplaced(entries, index) if judge_place else ""
        if lacking:
            skip_entry(skipped, entry, f"{entry.path.name} is a partial volume ({lacking})")
        elif elsewhere:
            skip_entry(skipped, entry, f"{entry.path.name} {elsewhere}")
        else:
            yield entry


def preparation(clutter: Path | None, quality: QualityConfig | None) -> Callable[[PolarVolume], PolarVolume]:
    """What is done to a polar volume before it is gridded."""
    if quality is None:
        return lambda volume: volume
    known = None if clutter is None else read_clutter_map(clutter)
    told = False

    def prepare(volume: PolarVolume) -> PolarVolume:
        nonlocal told
        usable = known is not None and volume.time >= known.times[-1]
        if known is not None and not usable and not told:
            last = units.iso_utc(known.times[-1])
            logger.warning("%s is not used for volumes before %s, the last it was learnt from", clutter, last)
            told = True
        return clean(volume, known if usable else None, quality)

    return prepare
