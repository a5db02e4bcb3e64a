"""An input from NOAA's open archive: its newest volumes, in a folder of the job's own.

This runs in a worker: the library that fetches has threads, and the run that forks the workers must not.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np

from nowcast.io.bucket import BucketConfig, StoredObject
from nowcast.io.json_files import note_json, read_json
from nowcast.operations.job import DAY, HOUR, MINUTE, Input, Job
from nowcast.pipeline.fetch import FetchRequest, fetch_volumes
from nowcast.radar.nexrad_archive import volume_time

logger = logging.getLogger(__name__)

SPARE_VOLUMES = 4
"""More than a forecast starts from, for some may be partial or broken."""
LONGEST_STEP_S = 15 * MINUTE
"""Between two volumes of a radar that looks at clear air, and more."""
LATEST_S = HOUR
"""A volume may come into the archive so much later than newer ones."""
MOST_BACK_S = DAY
"""Where a job takes a volume of any age, the archive is not searched for one farther back."""
REFUSED = ".refused.json"
MOST_REFUSED = 200


def fetch_newest(job: Job, back_s: float | None = None) -> list[str]:
    """Fetch the volumes that the next forecast starts from and are not here; remove those that none starts from again.

    Parameters
    ----------
    job
        Its input names the radar, the archive, and the folder.
    back_s
        Fetch all volumes of the last so many seconds, for the cycles that were missed.

    Returns
    -------
    What did not come, a sentence for each.

    Raises
    ------
    InputError
        The archive does not answer, or holds no such volume.
    OutputError
        A file cannot be written.
    """
    nexrad, folder = job.input.nexrad, Path(job.input.path)
    assert nexrad is not None
    reach_s = _reach_s(job.input, back_s)
    newest = clean(job.archive, reach_s)
    # A clock that was put back is told by what has been fetched.
    now = max(np.datetime64("now", "ns"), newest.get(nexrad.site, np.datetime64(0, "ns")))
    request = FetchRequest(
        nexrad.site,
        now - _seconds(reach_s),
        now + _seconds(job.input.ahead),
        folder,
        bucket=_patient(nexrad.where, job.limits.shares.wait * job.limits.deadline),
        newest=None if back_s is not None else job.input.frames + SPARE_VOLUMES,
        refused=frozenset(_refused(folder)),
    )
    report = fetch_volumes(request)
    if report.refused != request.refused:
        _refuse(folder, report.refused)
    for volume in report.fetched:
        logger.info("fetched %s", volume.path.name)
    return [failure["reason"] for failure in report.failures]


def clean(archive: Path, keep_s: float) -> dict[str, np.datetime64]:
    """Remove volumes, and what has come of some, that began so long before the newest that is here.

    Nothing else is touched in the folders of the radars, and none that is a link. Returns the newest volume of each.
    """
    held = {
        path: time
        for folder in archive.iterdir()
        if folder.is_dir() and not folder.is_symlink()
        for path in folder.iterdir()
        if path.is_file() and not path.is_symlink() and (time := _time(path)) is not None
    }
    whole = {path: time for path, time in held.items() if not path.name.startswith(".")}
    if not whole:
        return {}
    oldest = max(whole.values()) - _seconds(keep_s)
    for path, time in held.items():
        if time < oldest:
            path.unlink(missing_ok=True)
    return {path.parent.name: time for path, time in sorted(whole.items(), key=lambda one: one[1])}


def _time(path: Path) -> np.datetime64 | None:
    """When a volume of the radar that the folder is named after began, whole or in part; None for another file."""
    partial = re.fullmatch(r"\.(.+)\.\w*\.part", path.name)
    return volume_time(partial.group(1) if partial else path.name, path.parent.name)


def _reach_s(settings: Input, back_s: float | None) -> float:
    """How far back a volume may lie that matters."""
    span = max(min(settings.max_age, MOST_BACK_S), back_s or 0.0)
    return span + settings.frames * LONGEST_STEP_S + LATEST_S


def _patient(bucket: BucketConfig, limit_s: float) -> BucketConfig:
    """Not more so than there is time: who gives up says why, who is stopped does not."""
    return replace(
        bucket,
        retries=3,
        longest_pause_s=min(bucket.longest_pause_s, limit_s / 8),
        first_pause_s=min(bucket.first_pause_s, limit_s / 16),
        patience_s=min(bucket.patience_s, limit_s / 2),
        stall_s=min(bucket.stall_s, limit_s / 4),
    )


def _refused(folder: Path) -> Iterable[StoredObject]:
    for key, told in read_json(folder / REFUSED).items():
        match told:
            case [int(size), str(etag)]:
                yield StoredObject(key, size, etag)


def _refuse(folder: Path, objects: Iterable[StoredObject]) -> None:
    kept = sorted(map(astuple, objects))[-MOST_REFUSED:]
    facts = {key: (size, etag) for key, size, etag in kept}
    note_json(folder / REFUSED, facts, "what is no volume will be asked for again")


def _seconds(seconds: float) -> np.timedelta64:
    return np.timedelta64(round(seconds), "s")
