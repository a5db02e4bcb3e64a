"""Files that a worker was lost over: they are not given to the next one, of this run nor, in time, of any."""

from __future__ import annotations

from pathlib import Path

from nowcast.io.json_files import note_json, read_json
from nowcast.operations.feed import Stamp

MOST = 200
STRIKES = 2
"""A worker may be lost for other reasons too: a file is refused for good only when it happened so often."""


class Refused:
    """The files, by path, size and date: one that is delivered anew gets another chance, and so do all with another
    limit of the memory."""

    def __init__(self, path: Path, memory: int | None) -> None:
        self.path, self.memory = path, memory
        self.in_this_run: set[tuple[Path, Stamp]] = set()
        try:
            held = read_json(path)
            found = held["files"].items() if held.get("memory") == memory else ()
            self.files = {name: (int(a), int(b), int(strikes)) for name, (a, b, strikes) in found}
        except (AttributeError, LookupError, ValueError, TypeError):
            self.files = {}

    def holds(self, file: Path, stamp: Stamp) -> bool:
        """Whether the file is not to be read."""
        size, modified, strikes = self.files.get(str(file), (0, 0, 0))
        return (file, stamp) in self.in_this_run or ((size, modified) == stamp and strikes >= STRIKES)

    def without(self, files: dict[Path, Stamp]) -> dict[Path, Stamp]:
        """The files that may be read."""
        return {path: stamp for path, stamp in files.items() if not self.holds(path, stamp)}

    def add(self, file: Path, stamp: Stamp, *, strike: bool) -> None:
        """Refuse a file in this run and, when it is not the first ``strike``, for good."""
        self.in_this_run.add((file, stamp))
        if not strike:
            return
        size, modified, strikes = self.files.pop(str(file), (0, 0, 0))
        self.files[str(file)] = (*stamp, 1 + (strikes if (size, modified) == stamp else 0))
        self.files = dict(list(self.files.items())[-MOST:])
        otherwise = f"it is not remembered that {file} must not be read"
        note_json(self.path, {"memory": self.memory, "files": self.files}, otherwise)
