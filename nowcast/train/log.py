"""The training log: one JSON record a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from nowcast.errors import InputError
from nowcast.io.atomic import atomic_write_text


def write_log(records: Sequence[dict[str, float]], path: Path) -> None:
    """Write one record a line; epoch 0 is the untrained model. Raises OutputError."""
    atomic_write_text(path, "".join(json.dumps(record) + "\n" for record in records))


def read_log(path: Path) -> list[dict[str, float]]:
    """The records of :func:`write_log`; raises InputError when the file is none."""
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no training log ({error}): give log.jsonl from a training folder") from error
