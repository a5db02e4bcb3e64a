"""What is looked at before an archive is fitted: settings that would fail every window, files that are no volumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nowcast.errors import UsageError
from nowcast.gaussians.device import WORTH_IT, compute_on
from nowcast.io.atomic import check_writable
from nowcast.pipeline.archive import Unread, time_in_name
from nowcast.pipeline.dask_client import LOCAL, check_cluster
from nowcast.pipeline.fit_job import FitJob
from nowcast.pipeline.inputs import check_files, refuse_polar_options
from nowcast.pipeline.outputs import check_output
from nowcast.pipeline.radars import radar_folders
from nowcast.pipeline.skips import skip
from nowcast.radar.clutter import read_clutter_map
from nowcast.types import Times


def check_settings(job: FitJob, out: Path, dask: str | None) -> None:
    """Refuse what would fail every window.

    Raises
    ------
    UsageError, ConfigError
        ``dask`` is no address; there is no such device here, where the fit is to be; an option is not for them;
        ``out`` is what is fitted, or the folder of the pictures.
    InputError
        A clutter map cannot be read.
    OutputError
        ``out`` or a picture cannot be written.
    """
    check_output(out, job.source)
    if job.whole is not None:
        refuse_polar_options(job.source, {"--site": job.site, "--clutter": job.clutter})
    check_cluster(dask)
    if dask in (None, LOCAL):
        compute_on(job.config.device, WORTH_IT)
    for clutter in (job.clutter, *job.mosaic.clutter.values()):
        if clutter is not None:
            read_clutter_map(clutter)
    if job.pictures is not None:
        if job.pictures.resolve() == out.resolve():
            raise UsageError(f"--pictures and -o both name {out}: give a folder for the pictures")
        check_writable(job.pictures / "window.png")


def lost_times(source: Path, files: dict[np.datetime64, list[Path]]) -> Times:
    """Tell which files are no volumes; returns the times of volumes that these would be, as far as names tell them.

    Raises InputError for files of several kinds or radars in one folder.
    """
    unread = check_files(source)
    for file in unread:
        skip(str(file.path), file.reason)
    if radar_folders(source):
        return np.array([], "datetime64[ns]")  # the other radars make mosaics without them
    return _as_in_headers(unread, files)


def _as_in_headers(unread: list[Unread], files: dict[np.datetime64, list[Path]]) -> Times:
    """The times of files by their names, corrected by what the others' names are off: they may be in local time."""
    named = [(time, time_in_name(path.name)) for time, paths in files.items() for path in paths]
    off = np.array([time - name for time, name in named if name is not None], "timedelta64[ns]")
    lost = np.array([file.time for file in unread if file.time is not None], "datetime64[ns]")
    return np.asarray(lost + np.median(off)) if len(off) else lost[:0]
