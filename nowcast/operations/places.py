"""Where a job reads and writes: nothing it writes is what it reads, and what it names is there."""

from __future__ import annotations

import fnmatch
import glob
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nowcast.errors import ConfigError
from nowcast.operations.templates import SOME_TIME, rendered

if TYPE_CHECKING:
    from nowcast.operations.job import Job


def check_files(job: Job, job_file: Path) -> None:
    """Raise ConfigError where what a run writes is what it reads, or is written twice."""
    root = job.output.root
    if job.input.nexrad is None and root.resolve().is_relative_to(job.input.folder.resolve()):
        raise ConfigError(f"output.root is {root}, within the input: forecasts would be taken for input")
    reads = {"the job file": job_file, "clutter": job.clutter, "model": Path(job.model)}
    taken = {file.resolve(): what for what, file in reads.items() if file is not None}
    link = _latest(job)
    for name, file in _written(job).items():
        place = file.resolve()
        if (same := taken.get(place)) is not None:
            raise ConfigError(f"{name} is {file}, which is {same}: give a file of its own")
        if _takes(job, place):
            raise ConfigError(f"{name} is {file}, within the input {job.input}: put it elsewhere")
        if place.is_relative_to(job.inside.resolve()):
            raise ConfigError(f"{name} is {file}, within the job's own folder {job.inside}: put it elsewhere")
        if link is not None and file.is_relative_to(link):
            raise ConfigError(f"{name} is {file}, and output.latest is a link of that name: put it elsewhere")
        taken[place] = name


def check_places(job: Job) -> None:
    """Raise ConfigError where a file that the job names is not there, or what a run writes cannot be made."""
    from nowcast.weights import checkpoint

    root, written = job.output.root, _written(job)
    for name, file in (("model", checkpoint(job.model)), ("clutter", job.clutter)):
        if file is not None and not file.is_file():
            raise ConfigError(f"{name} is {file}, which is {'no file' if file.exists() else 'not there'}")
    if root.exists() and not root.is_dir():
        raise ConfigError(f"output.root is {root}, which is a file")
    for name, file in written.items():
        if file.is_dir():
            raise ConfigError(f"{name} is {file}, which is a folder: name a file")
    for name, folder in {"output.root": root, **{name: file.parent for name, file in written.items()}}.items():
        there = next(path for path in (folder, *folder.parents) if path.exists())
        try:
            Path(tempfile.mkdtemp(dir=there)).rmdir()
        except OSError as error:
            raise ConfigError(f"{name} is below {there}, where nothing can be written: {error.strerror}") from error
    if job.input.nexrad is None and not job.input.folder.is_dir():
        raise ConfigError(f"input.path is {job.input.path}: {job.input.folder} is no folder")


def new_folders(job: Job) -> list[Path]:
    """Folders of files that the job writes beside its root which are not there yet, and will be made."""
    folders = dict.fromkeys(file.parent for file in _written(job).values())
    return [folder for folder in folders if not (folder.is_dir() or folder.is_relative_to(job.output.root))]


def _written(job: Job) -> dict[str, Path]:
    """The files beside the output tree that a run writes, by the names of their keys."""
    files = {"status": job.status_file, "metrics": job.metrics, "log.file": job.log.file}
    return {name: file for name, file in files.items() if file is not None}


def _latest(job: Job) -> Path | None:
    """The link to the newest cycle, as far as the job file names the radar; raises ConfigError above the cycles."""
    template, site = job.output.latest, job.site.name or "{site}"
    if not template:
        return None
    link, cycle = (rendered(t, site=site, job=job.name, time=SOME_TIME) for t in (template, job.output.folder))
    if cycle.is_relative_to(link):
        raise ConfigError(f"output latest {template!r} is a folder that cycles lie in: a link needs a name of its own")
    return job.output.root / link


def _takes(job: Job, place: Path) -> bool:
    """Whether a file would be taken for one of the input."""
    if job.input.nexrad is not None:
        return False
    folder, path = job.input.folder, job.input.path
    if not glob.has_magic(path):
        return place.is_relative_to(folder.resolve())
    return fnmatch.fnmatch(str(place), path.replace(str(folder), str(folder.resolve()), 1))
