"""What a run did, for programs and people: the status file."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from nowcast.io.atomic import atomic_write_text
from nowcast.io.json_files import read_json
from nowcast.operations.job import Job
from nowcast.operations.lock import holder_of
from nowcast.operations.quantities import age_text

logger = logging.getLogger(__name__)

RUNNING, DONE, FALLBACK, STALE, FAILED = "running", "done", "fallback", "stale", "failed"
STATES = (DONE, FALLBACK, STALE, FAILED)
NEVER = "never"


def utc_now() -> str:
    """The time as ISO 8601, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch_seconds(moment: str) -> float:
    """Seconds from 1970 on to a time as :func:`utc_now` writes it; raises ValueError where it is none."""
    return datetime.fromisoformat(moment).timestamp()


def seconds_since(moment: str) -> float:
    """Seconds from a time as :func:`utc_now` gives it until now; negative for one in the future."""
    return time.time() - epoch_seconds(moment)


@dataclass
class Status:
    """The status of a run as it goes on; ``totals`` and ``last_success`` are carried on from earlier runs."""

    job: str
    run: str
    state: str = RUNNING
    cycle: str | None = None
    reason: str | None = None
    exit_code: int | None = None
    method: str | None = None
    newest_input: str | None = None
    input_age_seconds: float | None = None
    input_files: list[str] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    scores: dict[str, Any] = field(default_factory=dict)
    started: str = field(default_factory=utc_now)
    finished: str | None = None
    checked: str | None = None
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    last_success: dict[str, Any] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))

    @classmethod
    def begin(cls, job: Job, run: str, before: Mapping[str, Any]) -> Status:
        """The status of a run that starts, ``before`` what the last one left."""
        kept = {
            name: before[name] for name in ("last_success", "totals", "scores") if isinstance(before.get(name), dict)
        }
        return cls(job.name, run, **kept)

    def saw(self, newest: str) -> None:
        """Note the valid time of the newest volume."""
        self.newest_input, self.input_age_seconds = newest, round(seconds_since(newest), 1)

    def end(self, state: str, exit_code: int, reason: str | None = None, published: str | None = None) -> None:
        """Note how the run ended, once; when, is when it ``published``, as the manifest tells too, or now."""
        self.state, self.exit_code, self.reason, self.finished = state, exit_code, reason, published or utc_now()
        self.totals[state] = self.totals.get(state, 0) + 1
        newest = str(self.last_success.get("cycle") or "")
        if state in (DONE, FALLBACK) and str(self.cycle) >= newest:  # a cycle that was missed may be made after others
            self.last_success = {"cycle": self.cycle, "finished": self.finished, "state": state, "method": self.method}

    def facts(self) -> dict[str, Any]:
        """The status file's content."""
        return dict(vars(self))


def write_status(job: Job, facts: dict[str, Any]) -> None:
    """Write the status file; on a full disk the log has to do."""
    try:
        facts["disk_free_bytes"] = shutil.disk_usage(job.output.root).free
        atomic_write_text(job.status_file, json.dumps(facts, indent=1))
    except OSError as error:  # and OutputError, which is one
        logger.error("the status is not written: %s", error)


def read_status(job: Job) -> dict[str, Any]:
    """The status file, empty where there is none that can be read, or something else in its place."""
    facts = read_json(job.status_file)
    return facts if _is_status(facts) else {}


def _is_status(facts: Mapping[str, Any]) -> bool:
    """Whether what others rely on is of the shape in which it was written."""
    try:
        last = facts.get("last_success") or {}
        for moment in (facts.get("newest_input"), facts.get("cycle"), last.get("cycle"), last.get("finished")):
            _ = moment is None or epoch_seconds(moment)
        for numbers in (facts.get("totals"), facts.get("stages")):
            _ = numbers is None or sum(numbers.values())
        _ = [file["path"] for file in facts.get("outputs", ())], list(facts.get("warnings", ()))
        scores = facts.get("scores") or {}
        _ = scores_text(scores.get("running") or {}), scores.get("latest", {}).get("methods")
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError):
        return False
    return True


@dataclass(frozen=True)
class Health:
    """The job as it stands now: what the status file says, and whether that is still good enough."""

    state: str
    exit_code: int
    summary: str
    facts: Mapping[str, Any]


def health(job: Job) -> Health:
    """Judge the last run.

    The exit code is 0 where the newest forecast is the one asked for and from a volume no older than ``input.max_age``
    plus the deadline, 5 where it is a fallback, 3 where it is older or there is none, 1 where the last run failed.
    """
    facts = read_status(job)
    if not facts:
        lost = f"{job.status_file} cannot be read; the next run writes it anew"
        return Health(NEVER, 3, lost if job.status_file.exists() else "no run of this job has left a status yet", {})
    state, reason = str(facts.get("state")), facts.get("reason")
    holder = holder_of(job.inside / "lock")
    if state == RUNNING and not (holder is not None and holder.alive):
        state, reason = FAILED, f"run {facts.get('run')} ended without a word: killed, or the machine went down"
    last = facts.get("last_success") or {}
    cycle = last.get("cycle")
    age = None if cycle is None else seconds_since(cycle)
    limit = job.input.max_age + job.limits.deadline
    told = dict(facts) | {"state": state, "reason": reason, "forecast_age_seconds": age}
    told["input_age_seconds"] = seconds_since(facts["newest_input"]) if facts.get("newest_input") else None
    if state == FAILED:
        return Health(state, 1, str(reason), told)
    if age is None or age > limit or state == STALE:
        newest = "there is no forecast yet" if age is None else f"the newest forecast is {age_text(age)}"
        return Health(state, 3, newest + (f"; {reason}" if reason else ""), told)
    if last.get("state") == FALLBACK:
        return Health(
            state, 5, f"the newest forecast is a fallback ({last.get('method')}); {reason or ''}".rstrip("; "), told
        )
    return Health(state, 0, f"the newest forecast is {age_text(age)}", told)


def health_text(found: Health) -> str:
    """The same for people."""
    facts = found.facts
    lines = [f"{found.state}: {found.summary}"]
    names = {"job": "job", "cycle": "cycle", "method": "method", "finished": "last cycle ended", "checked": "last look"}
    lines += [f"{text}: {facts[name]}" for name, text in names.items() if facts.get(name)]
    age = facts.get("input_age_seconds")
    if age is not None:
        lines.append(f"newest volume: {facts['newest_input']}, {age_text(age)}")
    if facts.get("stages"):
        lines.append("seconds: " + ", ".join(f"{stage} {took:g}" for stage, took in facts["stages"].items()))
    if facts.get("totals"):
        lines.append("runs: " + ", ".join(f"{count} {state}" for state, count in facts["totals"].items()))
    lines += scores_text((facts.get("scores") or {}).get("running") or {})
    lines += [f"output: {file['path']}" for file in facts.get("outputs", ())]
    lines += [f"warning: {text}" for text in facts.get("warnings", ())]
    return "\n".join(lines)


def scored_text(count: int) -> str:
    """``12 forecasts verified``."""
    return f"{count} forecast{'' if count == 1 else 's'} verified"


def scores_text(table: Mapping[str, Any]) -> list[str]:
    """The running table for people: CSI by method at each threshold, of all lead times together."""
    pooled = table.get("pooled_csi") or {}
    lines = []
    for threshold in next(iter(pooled.values()), ()):
        told = [f"{method} {csi[threshold]:.3f}" for method, csi in pooled.items() if csi[threshold] is not None]
        if told:
            lines.append(f"CSI at {threshold} dBZ, {scored_text(sum(table['forecasts']))}: {', '.join(told)}")
    return lines
