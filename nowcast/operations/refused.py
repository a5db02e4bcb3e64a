"""Files that a worker was lost over: they are not given to the next one."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from nowcast.errors import OutputError
from nowcast.io.atomic import atomic_write_text
from nowcast.operations.feed import Stamp

logger = logging.getLogger(__name__)

MOST = 200
STRIKES = 2
"""A worker may be lost for other reasons too: a file is refused for good only when it happened so often."""


class Refused:
    """The files, by path, size and date: one that is delivered anew gets another chance."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.in_this_run: set[tuple[Path, Stamp]] = set()
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            self.files = {str(name): (int(a), int(b), int(strikes)) for name, (a, b, strikes) in found.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            self.files = {}

    def holds(self, file: Path, stamp: Stamp) -> bool:
        """Whether the file is not to be read."""
        size, modified, strikes = self.files.get(str(file), (0, 0, 0))
        return (file, stamp) in self.in_this_run or ((size, modified) == stamp and strikes >= STRIKES)

    def add(self, file: Path, stamp: Stamp, *, strike: bool) -> None:
        """Refuse a file in this run and, when it is not the first ``strike``, for good."""
        self.in_this_run.add((file, stamp))
        if not strike:
            return
        size, modified, strikes = self.files.pop(str(file), (0, 0, 0))
        self.files[str(file)] = (*stamp, 1 + (strikes if (size, modified) == stamp else 0))
        self.files = dict(list(self.files.items())[-MOST:])
        try:
            atomic_write_text(self.path, json.dumps(self.files, indent=1))
        except OutputError as error:
            logger.warning("it is not remembered that %s must not be read: %s", file, error)
