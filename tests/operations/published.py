"""Cycles in an output tree that no forecast was made for: what publishing, retention and records go by."""

from __future__ import annotations

from pathlib import Path

from nowcast.operations.job import Input, Job, Output, Retention
from nowcast.operations.publish import publish
from nowcast.operations.records import Published


def job_at(root: Path, keep_free: int = 0, **kept: float | None) -> Job:
    return Job(Input("feed"), Output(root, keep_free=keep_free), "desk", retention=Retention(**kept))  # type: ignore[arg-type]


def published(job: Job, cycle: str, size: int = 1000, names: tuple[str, ...] = ("forecast.nc",)) -> Published:
    """Publish files of so many bytes, as a run would."""
    work = job.inside / "work" / "run"
    work.mkdir(parents=True, exist_ok=True)
    for name in names:
        (work / name).write_bytes(bytes(size))
    facts = {"run": "r", "state": "done", "reason": None, "method": "m", "published": cycle, "input_files": []}
    return publish(job, work, cycle, "SIMR", [work / name for name in names], facts)
