"""Old cycles are removed, and nothing else: only files that a record of the job names, with the checksum it tells."""

from __future__ import annotations

import logging
import math
import shutil
import time
from datetime import datetime
from pathlib import Path

from nowcast.errors import OutputError
from nowcast.io.atomic import file_digest
from nowcast.io.json_files import read_json
from nowcast.operations.job import Job
from nowcast.operations.records import MANIFEST, Published, Records
from nowcast.operations.templates import is_below

logger = logging.getLogger(__name__)


def clean(job: Job, until: float = math.inf) -> list[str]:
    """Remove what is older than the job keeps, or more; returns the cycles removed. The newest one always stays,
    and so does, with a warning, what cannot be removed.

    Age is counted from the newest cycle, not from the clock: a clock that jumps ahead must not empty the archive. What
    is not removed ``until`` then, on the monotonic clock, is left to the next run.
    """
    records = Records(job)
    newest, age, size = records.newest(), job.retention.age, job.retention.size
    if newest is None:
        return []
    total = 0 if size is None else sum(one.size for one in records.complete())
    removed = []
    for cycle in records.cycles():
        one = records.read(cycle)
        if one is None:
            continue
        old = age is not None and (_time(newest) - _time(one)).total_seconds() > age
        large = size is not None and total > size
        if not (old or large) or one.cycle >= newest.cycle or time.monotonic() >= until:
            break
        is_whole = records.is_complete(one)
        try:
            gone = _remove(job.output.root, one)
            records.remove(one.cycle)
        except OSError as error:
            logger.warning("%s cannot be removed and stays: %s: %s", one.cycle, error.filename, error.strerror)
            continue
        total -= one.size if is_whole else 0
        if gone:
            logger.info("removed cycle %s", one.cycle)
            removed.append(one.cycle)
    return removed


def require_room(job: Job, until: float) -> None:
    """Notice a full disk before work starts. Raises OutputError.

    Gridded volumes, which can be made again, go first, and then what is not to be kept.
    """
    root = job.output.root
    try:
        root.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(root).free < job.output.keep_free:
            shutil.rmtree(job.gridded, ignore_errors=True)
        if shutil.disk_usage(root).free < job.output.keep_free:
            clean(job, until)
        free = shutil.disk_usage(root).free
    except OSError as error:
        raise OutputError(f"cannot use the output root {root}: {error.strerror}") from error
    if free < job.output.keep_free:
        raise OutputError(
            f"{root} has {free / 1e6:.0f} MB free, less than output.keep_free, {job.output.keep_free / 1e6:.0f} MB: "
            "free some, or keep less by retention"
        )


def _remove(root: Path, one: Published) -> bool:
    """Remove the files of a cycle; whether they were in their place."""
    folder = root / one.folder
    if folder.is_symlink() or not is_below(root, folder):
        logger.warning("%s is a link now: nothing is removed there, and the cycle is forgotten", folder)
        return False
    ours = []
    for file in one.facts["outputs"]:
        path = folder / Path(str(file["path"])).name
        if path.is_symlink() or not path.is_file():
            continue
        if file_digest(path) == file["sha256"]:
            ours.append(path)
        else:
            logger.warning("%s was changed by somebody else: it stays", path)
    manifest = folder / MANIFEST
    if not manifest.is_symlink() and read_json(manifest).get("cycle") == one.cycle:
        manifest.unlink()
    for path in ours:
        path.unlink()
    for parent in (folder, *folder.parents):
        if parent == root or not _removed(parent):
            break
    return True


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _time(one: Published) -> datetime:
    return datetime.fromisoformat(one.cycle)
