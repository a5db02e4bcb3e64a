"""What a job has published: a record of each cycle in the job's own folder, a copy of the manifest beside its files."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nowcast.errors import InputError
from nowcast.io.atomic import atomic_write_text
from nowcast.operations.job import Job
from nowcast.operations.status import epoch_seconds
from nowcast.operations.templates import cycle_of, cycle_stem, is_stem

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Published:
    """A published cycle, as its record tells: ``facts`` is the manifest, ``folder`` relative to the root."""

    cycle: str
    folder: str
    facts: Mapping[str, Any]

    @property
    def size(self) -> int:
        return sum(int(file["size"]) for file in self.facts["outputs"])

    def paths(self, root: Path) -> list[dict[str, Any]]:
        """Its files as the manifest has them, with whole paths."""
        return [file | {"path": str(root / self.folder / file["path"])} for file in self.facts["outputs"]]


_TOLD = {"cycle", "site", "folder", "run", "state", "reason", "method", "published", "input_files", "outputs"}


def read_manifest(path: Path) -> Published:
    """A cycle by its manifest, or by its record, which is a copy of one.

    Raises InputError where the file tells less than those that :func:`publish` writes.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        one = Published(facts["cycle"], facts["folder"], facts)
        _ = one.size, [str(file["sha256"]) for file in one.paths(Path())], epoch_seconds(one.cycle)
        lacking = _TOLD - facts.keys()
    except (OSError, ValueError, OverflowError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no manifest of a published cycle: {error}") from error
    if lacking:
        raise InputError(f"{path} is no manifest of a published cycle: {min(lacking)} is missing")
    return one


class Records:
    """What the job has published, a file a cycle in the job's own folder; nothing else is ever removed.

    In years they become many: what can be told by their names alone is told without reading them.
    """

    def __init__(self, job: Job) -> None:
        self.root, self.folder = job.output.root, job.inside / "cycles"

    def cycles(self) -> list[str]:
        """The cycles that there are records of, by time; of some the folder may be gone."""
        return sorted(cycle_of(path.stem) for path in self.folder.glob("*.json") if is_stem(path.stem))

    def read(self, cycle: str) -> Published | None:
        """The record of a cycle, None where there is none or none that can be read."""
        path = self._path(cycle)
        try:
            return read_manifest(path)
        except InputError as error:
            if path.exists():
                logger.warning("%s: it is left out; remove it", error)
            return None

    def all(self, since: str = "") -> list[Published]:
        """By cycle, from one on."""
        found = (self.read(cycle) for cycle in self.cycles() if cycle >= since)
        return [one for one in found if one is not None]

    def complete(self, since: str = "") -> list[Published]:
        """Those whose manifest is in its place."""
        return [one for one in self.all(since) if self.is_complete(one)]

    def newest(self) -> Published | None:
        """The newest of these."""
        found = (self.read(cycle) for cycle in reversed(self.cycles()))
        return next((one for one in found if one is not None and self.is_complete(one)), None)

    def holds(self, cycle: str) -> bool:
        """Whether a cycle is one of these."""
        one = self.read(cycle)
        return one is not None and self.is_complete(one)

    def is_complete(self, one: Published) -> bool:
        return (self.root / one.folder / MANIFEST).is_file()

    def wrote(self, folder: Path) -> bool:
        """Whether a folder is that of a cycle."""
        try:
            one = self.read(read_manifest(folder / MANIFEST).cycle)
        except InputError:
            one = None
        if one is not None and self.root / one.folder == folder:
            return True
        return any(self.root / other.folder == folder for other in self.all())

    def write(self, facts: Mapping[str, Any]) -> None:
        atomic_write_text(self._path(facts["cycle"]), json.dumps(facts, indent=1))

    def remove(self, cycle: str) -> None:
        self._path(cycle).unlink(missing_ok=True)

    def forget(self, replaced: Path, target: Path) -> None:
        """Remove the record of a cycle that is not in its place, for that of another took it or it never came."""
        with suppress(InputError):
            other = read_manifest(replaced / MANIFEST).cycle
            if not target.exists() or read_manifest(target / MANIFEST).cycle != other:
                self.remove(other)

    def _path(self, cycle: str) -> Path:
        return self.folder / f"{cycle_stem(cycle)}.json"
