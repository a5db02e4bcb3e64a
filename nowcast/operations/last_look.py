"""What the last look at the input found: a run every minute is over soon where nothing has come since."""

from __future__ import annotations

from pathlib import Path

from nowcast.io.json_files import note_json, read_json
from nowcast.operations.feed import Feed
from nowcast.operations.job import Job
from nowcast.operations.records import Records


def newest_as_before(job: Job, feed: Feed) -> str | None:
    """The newest volume of an input that is as the last look left it, its forecast published; else None."""
    seen = read_json(_file(job))
    is_same = seen.get("listing") == feed.listing and Records(job).holds(str(seen.get("cycle")))
    return seen.get("newest") if is_same else None


def note_look(job: Job, feed: Feed, newest: str, cycle: str) -> None:
    """Note that nothing newer is to be had from these files than the forecast of a cycle."""
    facts = {"listing": feed.listing, "newest": newest, "cycle": cycle}
    note_json(_file(job), facts, "the next run will look at the input again")


def _file(job: Job) -> Path:
    return job.inside / "seen.json"
