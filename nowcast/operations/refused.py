"""Files that killed a worker: they are not given to the next one."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from nowcast.errors import OutputError
from nowcast.io.atomic import atomic_write_text
from nowcast.operations.feed import Stamp

logger = logging.getLogger(__name__)

MOST = 200


class Refused:
    """The files, by path, size and date: one that is delivered anew gets another chance."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            self.files = {str(name): list(stamp) for name, stamp in found.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            self.files = {}

    def holds(self, file: Path, stamp: Stamp) -> bool:
        return self.files.get(str(file), [])[:2] == list(stamp)

    def add(self, file: Path, stamp: Stamp, reason: str) -> None:
        """Remember a file and why."""
        self.files[str(file)] = [*stamp, reason]
        self.files = dict(list(self.files.items())[-MOST:])
        try:
            atomic_write_text(self.path, json.dumps(self.files, indent=1))
        except OutputError as error:
            logger.warning("it is not remembered that %s must not be read: %s", file, error)
