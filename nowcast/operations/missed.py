"""Which cycles were missed, for ``nowcast batch --catch-up``."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from nowcast.errors import InputError, OutputError
from nowcast.io.json_files import note_json, read_json
from nowcast.operations import status
from nowcast.operations.feed import wait_for_files
from nowcast.operations.job import Job
from nowcast.operations.own_radars import OwnRadars
from nowcast.operations.records import Records
from nowcast.operations.refused import Refused
from nowcast.operations.templates import cycle_name
from nowcast.operations.watch import DIED, STUCK, Clock, WorkerLost, fetching, worker
from nowcast.operations.worker import SURVEY, Plan

logger = logging.getLogger(__name__)

TRIED, MOST_NOTES = "tried.json", 1000
COMPLETE = "complete.json"
"""What the input and the published cycles were like when none was missing."""


def missed(job: Job, plan: Plan, refused: Refused) -> list[str]:
    """Times of volumes before the newest from which no forecast was published, oldest first.

    None before the oldest published cycle, none farther back than the job allows, and each once: what failed then is
    not tried by every run. What a run was killed or interrupted at is tried once more.
    """
    records = Records(job)
    done = records.cycles()
    if not done:
        return []
    since = _before(done[-1], job.limits.catch_up)
    times: list[str] = []
    reading: Path | None = None
    try:
        _fetch_missed(job, plan, done[-1])
        radars = OwnRadars(job).read()
        feed = wait_for_files(job.input, 0.0, radars)
        published = [one.cycle for one in records.complete(since)]
        seen = {"listing": feed.listing, "published": published, "tried": _tried(job)}
        if read_json(job.inside / COMPLETE) == seen:
            return []
        survey = replace(plan, kind=SURVEY, files=refused.without(feed.files), folders=feed.folders, radars=radars)
        with worker(replace(survey, done=frozenset(done))) as running:
            for kind, *facts in running.messages(Clock(job.limits), "forecast"):
                times = facts[0] if kind == "times" else times
                reading = Path(facts[0]) if kind == "reading" else reading
    except (InputError, OutputError) as error:
        logger.warning("what was missed is not known: %s", error)
    except WorkerLost as lost:
        logger.warning("what was missed is not known: %s", lost)
        if reading is not None and lost.kind in (DIED, STUCK):
            refused.add(reading, feed.files[reading], strike=lost.kind == DIED)
    if not times:
        return []
    first = max(_before(cycle_name(times[-1]), job.limits.catch_up), done[0])
    tried = set(map(cycle_name, _tried(job)))
    within = [t for t in times[:-1] if cycle_name(t) >= first and cycle_name(t) not in tried]
    lacking = [t for t in within if not records.holds(cycle_name(t))]
    if not lacking:
        note_json(job.inside / COMPLETE, seen, "the next run looks for missed cycles again")
    return lacking


def _before(cycle: str, seconds: float) -> str:
    """The cycle so long before another one."""
    return cycle_name((datetime.fromisoformat(cycle) - timedelta(seconds=seconds)).isoformat())


@contextmanager
def trying(job: Job, time: str | None) -> Iterator[None]:
    """Remember that a missed cycle is begun and, however it goes, that it has ended: then it is not tried any more.

    One that was begun twice, for the run was killed or interrupted, is not either. None: no missed one.
    """
    if time is None:
        yield
        return
    _note_try(job, time)
    ended = True
    try:
        yield
    except KeyboardInterrupt:
        ended = False
        raise
    finally:
        if ended:
            _note_try(job, time)


def _note_try(job: Job, time: str) -> None:
    notes = [*_notes(job), time][-MOST_NOTES:]
    note_json(job.inside / TRIED, {"times": notes}, f"the cycle of {time} may be tried again")


def _tried(job: Job) -> list[str]:
    return [time for time, count in Counter(_notes(job)).items() if count > 1]


def _notes(job: Job) -> list[str]:
    times = read_json(job.inside / TRIED).get("times")
    return [str(time) for time in times] if isinstance(times, list) else []


def _fetch_missed(job: Job, plan: Plan, last: str) -> None:
    """Have the volumes since a cycle fetched that the archive holds, as far as there is time."""
    if job.input.nexrad is None:
        return
    back = min(max(status.seconds_since(last), 0.0), job.limits.catch_up)
    try:
        for kind, *facts in fetching(job, replace(plan, back=back), Clock(job.limits), "forecast"):
            if kind in ("log", "trouble"):
                logger.log(facts[1] if kind == "log" else logging.WARNING, "fetching what was missed: %s", facts[0])
    except WorkerLost as lost:
        logger.warning("fetching what was missed: %s", lost.why)
