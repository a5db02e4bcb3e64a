"""Reading what a batch job has published; nothing is written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nowcast.errors import InputError
from nowcast.io.forecasts import read_forecast
from nowcast.io.volumes import read_volumes
from nowcast.operations.publish import OBSERVED
from nowcast.operations.records import MANIFEST, read_manifest
from nowcast.pipeline.view import forecast_contents
from nowcast.types import REFLECTIVITY
from nowcast.view import Contents


@dataclass(frozen=True)
class PublishedCycle:
    """A cycle's folder and its manifest."""

    folder: Path
    facts: Mapping[str, Any]

    @property
    def cycle(self) -> str:
        return str(self.facts["cycle"])

    @property
    def series(self) -> str:
        """What cycles follow one another of: the radar, and the job where it is named otherwise."""
        site, job = str(self.facts.get("site", "")), str(self.facts.get("job", ""))
        return site if site == job else f"{site} ({job})"

    @property
    def id(self) -> str:
        """Another one for every cycle, and for one that was made again."""
        return f"{self.series} {self.cycle} {self.facts.get('published', '')} {self.facts.get('run', '')}"


def is_cycle(folder: Path) -> bool:
    """Whether a folder is that of a published cycle."""
    return (folder / MANIFEST).is_file()


def read_cycle(folder: Path) -> PublishedCycle:
    """A cycle by its folder; raises InputError where the manifest is none."""
    return PublishedCycle(folder, read_manifest(folder / MANIFEST).facts)


def cycle_contents(folder: Path) -> Contents:
    """What a page of a cycle shows; raises InputError where its files cannot be read."""
    found = read_cycle(folder)
    names = [Path(str(file["path"])).name for file in found.facts["outputs"]]
    own = [name for name in names if name.endswith(".nc") and not name.endswith((OBSERVED, ".products.nc"))]
    if not own:
        raise InputError(f"{folder / MANIFEST} lists no forecast file")
    seen = next((name for name in names if name.endswith(OBSERVED)), None)
    observed = None if seen is None else read_volumes(folder / seen, (REFLECTIVITY,))
    return forecast_contents(read_forecast(folder / own[0]), observed, found.series)


class Tree:
    """The cycles published below a folder. Manifests that stay as they are are read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._read: dict[tuple[str, int, int], PublishedCycle | None] = {}

    def newest(self) -> dict[str, PublishedCycle]:
        """The newest cycle of each series, by name; a folder that is just being removed is none."""
        known = dict(self._manifests())
        newest: dict[str, PublishedCycle] = {}
        for one in known.values():
            if one is not None and (one.series not in newest or one.cycle > newest[one.series].cycle):
                newest[one.series] = one
        self._read = known
        return dict(sorted(newest.items()))

    def _manifests(self) -> Iterator[tuple[tuple[str, int, int], PublishedCycle | None]]:
        for folder, below, files in os.walk(self.root):
            # A job's own folders are hidden; links such as `latest` are not followed.
            below[:] = [name for name in below if not name.startswith(".")]
            if MANIFEST not in files:
                continue
            below.clear()
            path = Path(folder)
            try:
                stat = (path / MANIFEST).stat()
                key = folder, stat.st_mtime_ns, stat.st_size
                yield key, self._read[key] if key in self._read else read_cycle(path)
            except OSError:
                continue
            except InputError:
                yield key, None
