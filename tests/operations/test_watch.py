"""How the parent hears a worker: which file it was lost over, and when its time is up."""

from __future__ import annotations

import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from nowcast.operations import watch
from nowcast.operations.job import Limits, Shares
from nowcast.operations.watch import STUCK, Clock, WorkerLost, worker
from nowcast.operations.worker import FULL, Plan


def hang(plan: Plan, pipe: Connection, parent: int) -> None:
    """A worker that goes on telling of the file which it never gets to the end of."""
    pipe.send(("begin", "inputs"))
    pipe.send(("reading", "volume.h5"))
    while True:
        time.sleep(0.05)
        pipe.send(("log", "a strange header", 30))


def test_what_is_logged_while_a_file_is_read_gives_it_no_more_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "work", hang)
    clock = Clock(Limits(deadline=60.0, shares=Shares(file=0.01)))
    with pytest.raises(WorkerLost) as lost, worker(Plan(tmp_path / "job.yaml", FULL, tmp_path, {})) as running:
        for _ in running.messages(clock, "inputs"):
            pass
    assert lost.value.kind == STUCK
