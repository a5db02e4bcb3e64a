"""The parent's side of the worker: start it, hear it, stop it when a stage overruns."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from nowcast.io.atomic import told_as_output_error
from nowcast.operations.job import STAGES, Job, Limits
from nowcast.operations.worker import FETCH, OUT_OF_MEMORY, Plan, work

FORK = multiprocessing.get_context("fork")
"""A fork of this light, single-threaded process starts at once; the worker imports what is heavy."""


UNKILLABLE_S = 5.0
OVERRAN, STUCK, DIED, REFUSED = "overran", "stuck", "died", "refused"


class WorkerLost(Exception):
    """The worker ended before it was done: it overran its time, stuck to a file, died, or refused to go on."""

    def __init__(self, stage: str, why: str, kind: str, exit_code: int = 1) -> None:
        super().__init__(f"{stage}: {why}")
        self.stage, self.why, self.kind, self.exit_code = stage, why, kind, exit_code


class Clock:
    """The time that each stage has, on the monotonic clock: the wall clock may be put back or forward."""

    def __init__(self, limits: Limits) -> None:
        self.begun = time.monotonic()
        self.file_s = limits.shares.file * limits.deadline
        self.ends = {name: self.begun + getattr(limits.shares, name, 1.0) * limits.deadline for name in STAGES}

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begun

    def left(self, stage: str) -> float:
        return self.ends[stage] - time.monotonic()


class Worker:
    """A running worker."""

    def __init__(self, plan: Plan) -> None:
        self.pipe, theirs = FORK.Pipe(duplex=False)
        self.process = FORK.Process(target=work, args=(plan, theirs, os.getpid()))
        self.process.start()
        theirs.close()
        self.stage, self.memory = "wait" if plan.kind == FETCH else "inputs", plan.memory

    def messages(self, clock: Clock, until: str) -> Iterator[tuple[Any, ...]]:
        """What the worker tells, until it is done.

        The stages up to ``until`` have as much time as that one: who starts late has missed the end of the first.

        Raises
        ------
        WorkerLost
            It overran, or died. It is stopped when the context is left.
        """
        file_ends = math.inf
        while True:
            left = max(clock.left(self.stage), clock.left(until))
            patience = max(min(left, file_ends - time.monotonic()), 0.0)
            try:
                if left <= 0 or not self.pipe.poll(patience):
                    share = "its share of limits.deadline"
                    if patience < left:
                        raise WorkerLost(self.stage, f"a file took more than {clock.file_s:.3g} s, {share}", STUCK)
                    told = f"not done {clock.seconds:.1f} s after the start, {share}"
                    raise WorkerLost(self.stage, told, OVERRAN)
                message = self.pipe.recv()
            except (EOFError, OSError):
                self.process.join()
                if self.process.exitcode == 0:
                    return
                raise WorkerLost(self.stage, _death(self.process.exitcode, self.memory), DIED) from None
            kind, *facts = message
            if kind != "log":  # what is logged while a file is read gives it no more time
                file_ends = time.monotonic() + clock.file_s if kind == "reading" else math.inf
            if kind == "crashed":
                raise WorkerLost(self.stage, str(facts[0]), DIED)
            elif kind == "refused":
                raise WorkerLost(self.stage, str(facts[0]), REFUSED, facts[1])
            else:
                if kind == "begin":
                    self.stage = facts[0]
                elif kind == "made":
                    self.stage = STAGES[STAGES.index(facts[0]) + 1]
                yield message

    def stop(self) -> None:
        """Kill it with all it started, where it still runs."""
        pid = self.process.pid
        assert pid is not None
        if self.process.is_alive():
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            self.process.kill()
        self.pipe.close()
        # A process that waits for a disk or a network file system that is gone cannot be killed before it comes back.
        self.process.join(UNKILLABLE_S)
        if not self.process.is_alive():
            self.process.close()
        else:
            # At the end of the program multiprocessing would wait for it.
            multiprocessing.process._children.discard(self.process)  # type: ignore[attr-defined]


@contextmanager
def worker(plan: Plan) -> Iterator[Worker]:
    """A worker that is gone when the context is left, whatever happens."""
    running = Worker(plan)
    try:
        yield running
    finally:
        running.stop()


def fetching(job: Job, plan: Plan, clock: Clock, until: str) -> Iterator[tuple[Any, ...]]:
    """What a worker tells that fetches volumes of the open archive into the job's own folder.

    Raises
    ------
    OutputError
        The folder cannot be made.
    WorkerLost
        The archive does not answer, or not in time; what has come until then is there.
    """
    with told_as_output_error(Path(job.input.path)):
        Path(job.input.path).mkdir(parents=True, exist_ok=True)
    with worker(replace(plan, kind=FETCH)) as running:
        yield from running.messages(clock, until)


def _death(code: int | None, memory: int | None) -> str:
    if code == OUT_OF_MEMORY:
        return "the worker ran out of memory" + ("" if memory is None else f" ({memory:,} bytes)")
    if code is not None and code < 0:
        return f"the worker was killed by {signal.Signals(-code).name}"
    return f"the worker ended with exit code {code}"
