"""Gridded volumes kept on disk: a cycle needs those of the last one again, and so does a worker after one that died."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.errors import InputError, OutputError
from nowcast.io.atomic import atomic_path
from nowcast.pipeline.cache import Channels, Gridded, ReadVolume, VolumeCache
from nowcast.radar import PolarVolume, Site, read_volume
from nowcast.types import GridSpec

logger = logging.getLogger(__name__)


@dataclass
class StoredVolume(ReadVolume):
    """A volume whose gridded values come from ``file`` where it holds them, and go there otherwise."""

    file: Path = field(default_factory=Path)

    def on(self, grid: GridSpec, prepare: Callable[[PolarVolume], PolarVolume], channels: Channels) -> Gridded:
        facts = {"site": asdict(self.site), "defect": self.defect, "grid": asdict(grid), "channels": channels}
        found = _load(self.file, facts)
        if found is None:
            found = super().on(grid, prepare, channels)
            _save(self.file, facts, found)
        return found


ROOM_BYTES = 100_000_000
"""Where less is free nothing is kept: what the disk has left is for the forecast."""


class VolumeStore(VolumeCache):
    """Gridded volumes in a folder, by file, and by ``stamp`` of what else they depend on.

    ``tell`` is called with each file before it is read, so that it is known which one killed the worker.
    """

    def __init__(self, folder: Path, stamp: str, tell: Callable[[Path], None]) -> None:
        super().__init__()
        self.folder, self.stamp, self.tell = folder, stamp, tell

    def reading(self, path: Path) -> None:
        self.tell(path)

    def read(
        self, path: Path, *, site: Site | None, fallback: Site | None, also: frozenset[str] = frozenset()
    ) -> ReadVolume:
        def again() -> PolarVolume:
            self.reading(path)
            return read_volume(path, site=site, fallback=fallback, also=also)

        try:
            stat = path.stat()
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        key = path.name, stat.st_size, stat.st_mtime_ns, str(site), str(fallback), sorted(also), self.stamp
        file = self.folder / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]}.npz"
        known = _facts(file)
        if known is not None:
            return StoredVolume(Site(**known["site"]), known["defect"], again, None, file=file)
        volume = again()
        return StoredVolume(volume.site, volume.defect, again, volume, file=file)

    def clean(self, keep: int) -> None:
        """Remove all but the ``keep`` volumes used last; all where the disk is nearly full."""
        if not _has_room(self.folder):
            keep = 0
        used = sorted(self.folder.glob("*.npz"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
        for file in used[keep:]:
            file.unlink(missing_ok=True)


_DAMAGED = (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged file may end with: of a changed bit zipfile says that it knows no such compression."""


def _facts(file: Path) -> dict[str, Any] | None:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
            return dict(json.loads(str(held["facts"])))
    except _DAMAGED:
        return None


def _load(file: Path, facts: dict[str, Any]) -> Gridded | None:
    """Values and mask, None where the file does not hold them whole, or others."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
            if str(held["facts"]) != json.dumps(facts):
                return None
            values, mask = held["values"], held["mask"]
        os.utime(file)
    except _DAMAGED:
        return None
    return values, mask


def _has_room(folder: Path) -> bool:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free >= ROOM_BYTES


def _save(file: Path, facts: dict[str, Any], gridded: Gridded) -> None:
    if not _has_room(file.parent):
        return
    try:
        with atomic_path(file) as path:
            np.savez(path, facts=np.array(json.dumps(facts)), values=gridded[0], mask=gridded[1])
    except OutputError as error:
        logger.warning("a gridded volume is not kept: %s", error)
