"""Checksums of the files that a result was made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from nowcast.io.atomic import file_digest


def input_digests(source: Path, names: Sequence[str]) -> dict[str, str]:
    """SHA-256 of each input file by its name.

    ``names`` are the ``sources`` of the volumes that were read from ``source``: names of files in this folder, or
    ``RADAR: FILE; RADAR: FILE`` of a folder with a folder for each radar. Where ``source`` is a file, it alone counts.
    A file that is gone is left out.
    """
    if source.is_file():
        return digests([source])
    parts = [part.rpartition(": ") for name in names for part in name.split("; ")]
    return digests(source / radar / file for radar, _, file in parts)


def digests(paths: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of each file that is there, by its name."""
    found = {path.name: file_digest(path) for path in dict.fromkeys(paths)}
    return {name: digest for name, digest in found.items() if digest is not None}
