"""Which cycles were missed, for ``nowcast batch --catch-up``."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from nowcast.errors import InputError
from nowcast.operations import status
from nowcast.operations.feed import wait_for_files
from nowcast.operations.job import Job
from nowcast.operations.publish import Records
from nowcast.operations.tree import cycle_name
from nowcast.operations.watch import Clock, WorkerLost, fetching, worker
from nowcast.operations.worker import SURVEY, Plan

logger = logging.getLogger(__name__)


def missed(job: Job, plan: Plan) -> list[str]:
    """Times of the volumes after the newest published cycle, oldest first, no farther back than the job allows."""
    done = Records(job).complete()
    if not done:
        return []
    times: list[str] = []
    try:
        _fetch_missed(job, plan, done[-1].cycle)
        feed = wait_for_files(job.input, 0.0)
        with worker(replace(plan, kind=SURVEY, files=feed.files)) as running:
            for kind, *facts in running.messages(Clock(job.limits), "forecast"):
                times = facts[0] if kind == "times" else times
    except (InputError, WorkerLost) as error:
        logger.warning("what was missed is not known: %s", error)
    if not times:
        return []
    newest = datetime.fromisoformat(times[-1][:19])
    first = (newest - timedelta(seconds=job.limits.catch_up)).isoformat()
    return [t for t in times if cycle_name(t) > done[-1].cycle and t >= first]


def _fetch_missed(job: Job, plan: Plan, last: str) -> None:
    """Have the volumes since a cycle fetched that the archive holds, as far as there is time."""
    if job.input.nexrad is None:
        return
    back = min(max(status.seconds_since(last), 0.0), job.limits.catch_up)
    try:
        for kind, *facts in fetching(job, replace(plan, back=back), Clock(job.limits), "forecast"):
            if kind in ("log", "trouble"):
                logger.log(facts[0] if kind == "log" else logging.WARNING, "fetching what was missed: %s", facts[-1])
    except WorkerLost as lost:
        logger.warning("fetching what was missed: %s", lost)
