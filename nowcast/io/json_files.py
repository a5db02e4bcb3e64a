"""Small JSON files; without numpy, so that a run that finds nothing to do is over soon."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nowcast.errors import OutputError
from nowcast.io.atomic import atomic_write_text

logger = logging.getLogger(__name__)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, empty where there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def note_json(path: Path, facts: Mapping[str, Any], otherwise: str) -> None:
    """Write what a later run may want to know; where it cannot be written, warn of what happens ``otherwise``."""
    try:
        atomic_write_text(path, json.dumps(facts, indent=1))
    except OutputError as error:
        logger.warning("%s: %s", otherwise, error)
