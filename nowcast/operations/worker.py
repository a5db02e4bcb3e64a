"""What the worker process does: read, grid, forecast. It may die at any moment; the parent sees to the rest.

It tells the parent over a pipe what it begins and what it has finished. It writes into the cycle's work folder and, in
whole files, what later cycles use into the job's own; nothing where a consumer looks.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nowcast.errors import NowcastError
from nowcast.operations.feed import Stamp
from nowcast.operations.own_radars import Radars
from nowcast.operations.quantities import duration_text

if TYPE_CHECKING:
    from nowcast.operations.steps import Steps

FALLBACK_REASON = "the forecast asked for failed or was not there in time; status and manifest say why"
INPUTS = "inputs"
"""Folder of the links to the input files, in the work folder."""
FETCH, SURVEY, FULL, SIMPLE = "fetch", "survey", "full", "simple"
OUT_OF_MEMORY = errno.ENOMEM
"""Exit code of a worker that ran out of memory."""
KNOWN = "known"
"""State of a run that finds nothing new: the forecast from the newest volume has been published."""


@dataclass(frozen=True)
class Plan:
    """What the worker is to do.

    Attributes
    ----------
    job_file
        The worker reads it again, with the settings that the light parent does not understand.
    kind
        ``full``; ``simple`` for the fallback alone; ``survey`` for no more than the times of the input; ``fetch`` to
        bring the newest volumes of the open archive.
    files
        The input files that are complete.
    radars
        Those that the job is known to forecast from, by folder.
    folders
        Of radars that the input has now.
    at
        Use the newest volumes at or before this time; None for the newest.
    done
        Cycles that are not to be done again.
    back
        Fetch all volumes of the last so many seconds, not only the newest few.
    """

    job_file: Path
    kind: str
    work: Path
    files: dict[Path, Stamp]
    radars: Radars = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    at: str | None = None
    done: frozenset[str] = frozenset()
    once_per: float | None = None
    memory: int | None = None
    history: str = ""
    back: float | None = None


class Ended(Exception):
    """There is nothing more to do; ``state`` and ``reason`` say why."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state, self.reason = state, reason


def too_old(newest: str, age_s: float, limit_s: float) -> str:
    """The sentence for an input that has gone stale."""
    age, limit = duration_text(age_s), duration_text(limit_s)
    return f"the newest volume, {newest}, is {f'{age} old, more than' if age != limit else 'older than'} {limit}"


class Reporter:
    """Tells the parent; each message is a tuple that starts with its kind."""

    def __init__(self, pipe: Connection, plan: Plan) -> None:
        self.pipe, self.snapshot = pipe, f"{plan.work / INPUTS}/"

    def tell(self, kind: str, *facts: Any) -> None:
        self.pipe.send((kind, *facts))

    def say(self, kind: str, text: str, *facts: Any) -> None:
        """Tell a text for people, which names the files of the snapshot as the user knows them."""
        self.tell(kind, text.replace(self.snapshot, ""), *facts)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.tell("begin", name)
        yield
        if name not in ("fallback", "forecast"):  # what these make is told already
            self.tell("end", name)


class _Logs(logging.Handler):
    """Log records for the parent."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self.reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        self.reporter.say("log", record.getMessage(), record.levelno)


def work(plan: Plan, pipe: Connection, parent: int) -> None:
    """The process's main function."""
    _settle(plan.memory, parent)
    reporter = Reporter(pipe, plan)
    logging.getLogger("nowcast").handlers = [_Logs(reporter)]
    try:
        if plan.kind == FETCH:
            _fetch(plan, reporter)
        else:
            from nowcast.operations.steps import Steps

            _run(Steps(plan, reporter), plan, reporter)
    except Ended as end:
        reporter.say("ended", end.reason, end.state)
    except NowcastError as error:
        reporter.say("refused", str(error), error.exit_code)
    except MemoryError:
        # What held the memory is still held here: to tell the parent may take more than is left.
        os._exit(OUT_OF_MEMORY)
    except Exception as error:  # the worker's border: the parent decides what comes next
        logging.getLogger(__name__).warning("the worker failed", exc_info=error)
        reporter.say("crashed", repr(error))


def _fetch(plan: Plan, reporter: Reporter) -> None:
    from nowcast.operations.job import read_job
    from nowcast.operations.nexrad_feed import fetch_newest

    with reporter.stage("wait"):
        for trouble in fetch_newest(read_job(plan.job_file), plan.back):
            reporter.say("trouble", trouble)


def _run(steps: Steps, plan: Plan, reporter: Reporter) -> None:
    with reporter.stage("inputs"):
        steps.survey()
    if plan.kind == SURVEY:
        return
    with reporter.stage("grid"):
        steps.load()
    with reporter.stage("fallback"):
        steps.make_fallback()
    if plan.kind == SIMPLE:
        return
    with reporter.stage("forecast"):
        steps.make_forecast()
    with reporter.stage("scores"):
        steps.score()


def _settle(memory: int | None, parent: int) -> None:
    """A process group of its own, to be killed whole; dies with its parent; takes no more memory than it may."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
    if memory is not None:
        # Address space would count libraries and what is only reserved; data is what is really written to.
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
