"""Where the radar of an archive stands, decided so that what is said of a volume never depends on later ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from nowcast.pipeline.archive import FIRST_VOLUMES, NEIGHBOURS, Entry
from nowcast.radar.polar import SAME_PLACE_M, Site


def home_of(entries: Iterable[Entry]) -> Site | None:
    """The position that most of the three first volumes tell, the earliest's where they disagree; None: none tells.

    The grids of an archive are centred on it. Its first volumes are the same at every time, so that a hindcast and
    a load of the whole archive have the same grid even where the position that the files tell changes.
    """
    first = sorted(entries, key=lambda e: (e.time, e.path.name))[:FIRST_VOLUMES]
    sites = [e.site for e in first if e.site is not None]
    return Counter(sites).most_common(1)[0][0] if sites else None


def misplaced(entries: list[Entry], index: int) -> str:
    """Why the position that a volume tells is not believed, or an empty text.

    It must be that of the volume before it, or the one that most of the few volumes before it tell; ``entries`` rise
    in time. So a position that comes twice in a row is believed: the radar was moved.
    """
    own = _told(entries[index])
    before = entries[max(index - NEIGHBOURS, 0) : index]
    known = [site for e in before if e.time < entries[index].time and (site := _told(e)) is not None]
    if own is None or not known:
        return ""
    usual = Counter(reversed(known)).most_common(1)[0][0]
    if min(own.distance_m(usual), own.distance_m(known[-1])) <= SAME_PLACE_M:
        return ""
    return f"places the radar at {own} instead of {usual}"


def _told(entry: Entry) -> Site | None:
    return entry.head.site if entry.head is not None else None
