"""The radars that a job forecasts from: when it has published from one, no other takes that one's place."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass

from nowcast.io.json_files import note_json, read_json
from nowcast.operations.job import Job

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OwnRadar:
    """A radar as its files tell of it: name, position (degrees, degrees, m) where known, whether they are gridded."""

    name: str
    gridded: bool = False
    site: tuple[float, float, float] | None = None


Radars = dict[str, OwnRadar]
"""By the folder of each in the input; the one radar of an input without such folders by an empty name."""


def is_several(radars: Mapping[str, OwnRadar]) -> bool:
    """Whether these are of an input with a folder for each radar."""
    return any(radars)


class OwnRadars:
    """The radars that forecasts were published from, in a file of the job's own folder.

    Another ``input.path`` or ``site.name`` in the job file starts anew, and so does who removes the file.
    """

    def __init__(self, job: Job) -> None:
        self.path = job.inside / "radars.json"
        self.of = {"input": job.input.path, "site": job.site.name}

    def read(self) -> Radars:
        """What is known; nothing where the file is not there, is damaged, or is of other settings."""
        held = read_json(self.path)
        if not held and self.path.exists():
            logger.warning("%s is damaged: the job's radars are those that the input has now", self.path)
        try:
            found = held["radars"].items() if held.get("of") == self.of else ()
            return {name: OwnRadar(str(r["name"]), bool(r["gridded"]), _place(r["site"])) for name, r in found}
        except (AttributeError, LookupError, TypeError, ValueError):
            return {}

    def add(self, radars: Radars, replaced: Collection[str] = ()) -> None:
        """Remember these too, and those that they have ``replaced`` no more."""
        known = self.read()
        now = {name: radar for name, radar in sorted((known | radars).items()) if name not in replaced}
        if now == known:
            return
        told = {name: asdict(radar) for name, radar in now.items()}
        otherwise = "the next run will not know which radar the forecast is from"
        note_json(self.path, {"of": self.of, "radars": told}, otherwise)


def _place(site: list[float] | None) -> tuple[float, float, float] | None:
    if site is None:
        return None
    lat, lon, alt = (float(part) for part in site)
    return lat, lon, alt
