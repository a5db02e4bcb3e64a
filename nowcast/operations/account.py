"""What a cycle tells of itself: in log and status as it goes on, and at its end to Prometheus and the next run too."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from nowcast.operations.job import Job
from nowcast.operations.last_run import as_it_stands, as_left
from nowcast.operations.metrics import write_metrics
from nowcast.operations.status import FAILED, Status, read_status, write_status
from nowcast.operations.watch import Clock
from nowcast.operations.worker import KNOWN

logger = logging.getLogger(__name__)

MOST_WARNINGS = 50


@dataclass(frozen=True)
class Outcome:
    """How a run ended; ``facts`` is the status file."""

    state: str
    exit_code: int
    reason: str | None
    facts: dict[str, Any]


class Account:
    """The account that a cycle gives; ``status`` is what the status file will hold."""

    def __init__(self, job: Job, run: str, clock: Clock) -> None:
        self.job, self.clock = job, clock
        self._before = as_left(job, read_status(job))
        self.status = Status.begin(job, run, self._before)
        self._end: tuple[str, int, str | None] | None = None
        self._told = 0.0

    def took(self, stage: str) -> None:
        """Note that a stage is done, which took the time since the one before."""
        seconds, self._told = self.clock.seconds - self._told, self.clock.seconds
        self.status.stages[stage] = round(self.status.stages.get(stage, 0.0) + seconds, 3)
        self.log(logging.INFO, f"{stage} done", stage=stage, seconds=round(seconds, 3))

    def warn(self, text: str) -> None:
        self.log(logging.WARNING, text)

    def log(self, level: int, text: str, **told: Any) -> None:
        """Log, each warning once."""
        warnings = self.status.warnings
        if level >= logging.WARNING:
            if text in warnings:
                return
            if len(warnings) < MOST_WARNINGS:
                warnings.append(text)
        logger.log(level, "%s", text, extra={"told": {"cycle": self.status.cycle} | told})

    def write(self) -> None:
        """Write the status as it is now."""
        write_status(self.job, self.status.facts())

    def ended(self, state: str, exit_code: int, reason: str | None, published: str | None = None) -> None:
        """Note how the cycle ended; what comes after publication changes nothing of that."""
        if self._end is None:
            exit_code = 3 if exit_code == 2 else exit_code  # a wrong job is no wrong option
            self._end = state, exit_code, reason
            if state != KNOWN:
                self.status.end(state, exit_code, reason, published)

    def close(self, *, looked: bool) -> Outcome:
        """Write the status and the metrics; ``looked`` where a worker has seen the files themselves."""
        assert self._end is not None
        state, exit_code, reason = self._end
        facts = self.status.facts()
        if state == KNOWN:
            facts = as_it_stands(self.job, self._before, self.status, looked=looked)
        write_status(self.job, facts)
        write_metrics(self.job, facts)
        told = {"cycle": self.status.cycle, "state": state, "exit_code": exit_code}
        level = logging.ERROR if state == FAILED else logging.WARNING if exit_code else logging.INFO
        logger.log(level, "%s", reason or state, extra={"told": told | {"total": round(self.clock.seconds, 3)}})
        return Outcome(state, exit_code, reason, facts)
