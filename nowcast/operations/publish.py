"""Publishing a cycle: its folder appears whole, with a manifest of checksums, by one rename."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

from nowcast.errors import InputError, OutputError
from nowcast.io.atomic import OLD, atomic_write_text, exchange, file_digest, flush
from nowcast.operations.job import Job
from nowcast.operations.records import MANIFEST, Published, Records, read_manifest
from nowcast.operations.templates import below, cycle_stem, rendered

logger = logging.getLogger(__name__)

OBSERVED = ".observed.nc"
"""How the file of the observed volumes beside a forecast ends."""
STAGING = "publish"


def publish(job: Job, work: Path, cycle: str, site: str, files: list[Path], facts: Mapping[str, Any]) -> Published:
    """Publish files, named ``forecast`` and a suffix or two, as a cycle; one of the same cycle is replaced.

    Everything is on the disk before the rename; the record is written before it too, so that no published file is ever
    unknown to retention.

    Raises
    ------
    OutputError
        The disk is full, the folder leads out of the root, or something else stands in its place.
    """
    target = free_folder(job, cycle, site)
    name = str(rendered(job.output.name, site=site, job=job.name, time=_utc(cycle)))
    staging = work / STAGING
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        outputs = [_placed(file, staging / f"{name}{''.join(file.suffixes)}") for file in files]
        folder = str(target.relative_to(job.output.root))
        manifest = {"cycle": cycle, "job": job.name, "site": site, "folder": folder, **facts, "outputs": outputs}
        atomic_write_text(
            staging / MANIFEST, json.dumps(manifest, indent=1)
        )  # after it the whole folder is on the disk
        records = Records(job)
        records.write(manifest)
        exchange(staging, target)
        records.forget(staging, target)
        for parent in takewhile(lambda folder: folder != job.output.root.parent, target.parents):
            flush(parent)
        _keep_strangers(staging, target)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"cannot publish into {target}: {error.strerror or error}") from error
    return Published(cycle, folder, manifest)


def free_folder(job: Job, cycle: str, site: str) -> Path:
    """The folder of a cycle, not there yet or with what the job itself has published.

    Raises OutputError where it leads out of the root, or something else stands in its place.
    """
    target = below(job.output.root, rendered(job.output.folder, site=site, job=job.name, time=_utc(cycle)))
    if target.is_symlink() or (target.exists() and not Records(job).wrote(target)):
        change = "move it away, or change output.folder (with {job} in it where jobs share a root)"
        raise OutputError(f"{target} exists and this job did not write it: {change}")
    return target


def link_latest(job: Job, work: Path, published: Published) -> None:
    """Point the ``latest`` link at the cycle, atomically, unless it points at a newer one already."""
    if not job.output.latest:
        return
    site = str(published.facts["site"])
    link = below(job.output.root, rendered(job.output.latest, site=site, job=job.name, time=_utc(published.cycle)))
    newer = [one for one in Records(job).complete(since=published.cycle) if one.facts["site"] == site]
    published = newer[-1] if newer else published
    if link.exists() and not link.is_symlink():
        raise OutputError(f"{link} is no symbolic link: it is left as it is; remove it or choose another latest")
    temporary = work / "latest"
    try:
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(os.path.relpath(job.output.root / published.folder, link.parent))
        temporary.replace(link)
        flush(link.parent)
    except OSError as error:
        raise OutputError(f"cannot link {link}: {error.strerror}") from error


def keep_baseline(job: Job, cycle: str, extrapolation: Path) -> None:
    """Keep the extrapolation beside what is published, which is later compared with it. Raises OSError."""
    kept = job.inside / "baselines" / f"{cycle_stem(cycle)}.nc"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.unlink(missing_ok=True)
    try:
        os.link(extrapolation, kept)
    except OSError:  # a file system that knows no such links
        shutil.copyfile(extrapolation, kept)


def recover(job: Job) -> list[str]:
    """Clear up after a run that was killed: put back what it was about to replace, remove its work. Says what."""
    told: list[str] = []
    records = Records(job)
    for left in sorted((job.inside / "work").glob("*")):
        try:
            for old in (left / f"{STAGING}{OLD}", left / STAGING):
                if (old / MANIFEST).is_file():
                    told += _put_back(job, old, records)
        except OSError as error:
            told.append(f"{left} stays until what lies in it can be put back: {error}")
            continue
        shutil.rmtree(left, ignore_errors=True)
        told.append(f"removed the work of run {left.name}, which did not end")
    for file in _half_written(job):
        file.unlink(missing_ok=True)
    return told


def _put_back(job: Job, old: Path, records: Records) -> list[str]:
    """Put the folder of a cycle that a run was just replacing in its place, where nothing is; says what it did."""
    told: list[str] = []
    try:
        target = below(job.output.root, read_manifest(old / MANIFEST).folder)
    except (InputError, OutputError) as error:
        return [f"not put back: {error}"]
    if old.suffix == OLD and not target.exists():
        old.rename(target)
        told.append(f"put back {target}")
    elif target.exists():
        _keep_strangers(old, target)
    # The record was written for what was to come; what is there was published before.
    with suppress(InputError):
        records.write(read_manifest(target / MANIFEST).facts)
    records.forget(old, target)
    return told


def _half_written(job: Job) -> Iterator[Path]:
    """Temporary files that a killed run left beside what it was writing."""
    # Those of transfers from the open archive are gone on with.
    yield from (p for p in job.inside.rglob(".*.part*") if not p.is_relative_to(job.archive))
    for file in (job.status_file, job.metrics):
        if file is not None and file.parent.is_dir():
            start, end = f".{file.stem}.", f".part{file.suffix}"
            yield from (p for p in file.parent.iterdir() if p.name.startswith(start) and p.name.endswith(end))


def _placed(file: Path, target: Path) -> dict[str, Any]:
    """Move a file into the staging folder; its line in the manifest."""
    file.replace(target)
    flush(target)
    return {"path": target.name, "size": target.stat().st_size, "sha256": file_digest(target)}


def _utc(cycle: str) -> datetime:
    return datetime.fromisoformat(cycle).astimezone(UTC).replace(tzinfo=None)


def _keep_strangers(old: Path, target: Path) -> None:
    """Move what others put into a folder that was replaced, or changed there, to the one in its place."""
    try:
        outputs = read_manifest(old / MANIFEST).facts["outputs"]
    except InputError:
        return
    own = {str(file["path"]): str(file["sha256"]) for file in outputs}
    for path in old.iterdir():
        if path.name == MANIFEST or (path.is_file() and file_digest(path) == own.get(path.name)):
            continue
        kept, number = target / path.name, 0
        while kept.exists() or kept.is_symlink():
            number += 1
            kept = target / f"{path.name}.{number}"
        if number:
            logger.warning("%s was made or changed by somebody else: it is kept as %s", target / path.name, kept.name)
        path.rename(kept)
