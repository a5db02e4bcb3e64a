"""Checksums of the files that a result was made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from nowcast.io.atomic import file_digest


def input_digests(source: Path, names: Sequence[str]) -> dict[str, str]:
    """SHA-256 of each input file by its name, with the folder of its radar where there are several.

    ``names`` are the ``sources`` of the volumes that were read from ``source``: names of files in this folder, or
    ``RADAR: FILE; RADAR: FILE`` of a folder with a folder for each radar. Where ``source`` is a file, it alone counts.
    A file that is gone is left out.
    """
    if source.is_file():
        return digests([source])
    parts = [part.rpartition(": ") for name in names for part in name.split("; ")]
    return digests((source / radar / file for radar, _, file in parts), below=source)


def digests(paths: Iterable[Path], *, below: Path | None = None) -> dict[str, str]:
    """SHA-256 of each file that is there, by its name or by its path ``below`` a folder."""
    there = [path for path in dict.fromkeys(paths) if path.is_file()]
    names = [path.name if below is None else str(path.relative_to(below)) for path in there]
    found = [_digest(path, path.stat().st_size, path.stat().st_mtime_ns) for path in there]
    return dict(zip(names, found, strict=True))


@lru_cache(maxsize=10_000)
def _digest(path: Path, size: int, modified_ns: int) -> str:
    """Of a file of this size and age: an evaluation asks for each as often as there are forecasts from it."""
    digest = file_digest(path)
    return digest or ""
