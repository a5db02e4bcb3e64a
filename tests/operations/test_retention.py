"""What retention counts, and when it stops."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from published import job_at, published

from nowcast.errors import OutputError
from nowcast.operations import retention
from nowcast.operations.job import Job
from nowcast.operations.records import Records

CYCLES = [f"2024-01-15T04:{minute:02d}:00Z" for minute in (0, 5, 10)]


def cycles(job: Job) -> list[str]:
    return [one.cycle for one in Records(job).complete()]


def test_a_cycle_whose_folder_is_gone_is_not_the_newest_and_takes_no_room(tmp_path: Path) -> None:
    job = job_at(tmp_path, age=None, size=2500)
    for cycle in CYCLES:
        newest = published(job, cycle)
    shutil.rmtree(job.output.root / newest.folder)
    assert retention.clean(job) == [] and cycles(job) == CYCLES[:2]
    assert retention.clean(job_at(tmp_path, age=None, size=1)) == CYCLES[:1]
    assert cycles(job) == CYCLES[1:2]
    published(job, CYCLES[2])
    assert cycles(job) == CYCLES[1:]


def test_what_there_is_no_time_for_is_left_to_the_next_run(tmp_path: Path) -> None:
    job = job_at(tmp_path, age=0.0)
    for cycle in CYCLES:
        published(job, cycle)
    assert retention.clean(job, until=time.monotonic()) == [] and cycles(job) == CYCLES
    assert retention.clean(job) == CYCLES[:2]


def test_where_room_lacks_what_is_not_to_be_kept_goes_first(tmp_path: Path) -> None:
    gridded = job_at(tmp_path).gridded
    for keep_free in (0, 10**18):
        job = job_at(tmp_path, keep_free, age=0.0)
        for cycle in CYCLES:
            published(job, cycle)
        gridded.mkdir(exist_ok=True)
        if keep_free:
            with pytest.raises(OutputError, match=r"MB free, less than output\.keep_free"):
                retention.require_room(job, time.monotonic() + 60)
            assert cycles(job) == CYCLES[2:] and not gridded.exists()
        else:
            retention.require_room(job, time.monotonic() + 60)
            assert cycles(job) == CYCLES and gridded.exists()


def test_what_cannot_be_removed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job = job_at(tmp_path, age=0.0)
    for cycle in CYCLES:
        published(job, cycle)

    def broken(path: Path) -> str:
        raise OSError(5, "I/O error", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(retention, "file_digest", broken)
        assert retention.clean(job) == [] and caplog.text.count("cannot be removed and stays") == 2
    assert cycles(job) == CYCLES
    assert retention.clean(job) == CYCLES[:2]
