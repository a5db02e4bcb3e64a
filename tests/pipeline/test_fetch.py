"""Volumes from an S3 server that is slow, fails, cuts off and throttles."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import heed_interrupts
from radar_files import level2
from s3_server import LISTING, FaultyServer, s3_server

from nowcast.cli import app
from nowcast.errors import InputError, PartialFailure, UsageError
from nowcast.io.bucket import BucketConfig, _store
from nowcast.pipeline.fetch import STRIKES, FetchReport, FetchRequest, fetch_volumes, follow_volumes

pytest.importorskip("moto", reason="the tests of fetching need moto: pip install -e '.[dev]'")

DAY = np.datetime64("2024-05-06", "ns")
numbers = itertools.count()
PATIENCE_S = 120.0
"""With a busy machine; what is not interrupted goes on for longer."""


def minutes(count: float) -> np.timedelta64:
    return np.timedelta64(round(count * 60e9), "ns")


def name_at(when: np.datetime64) -> str:
    return f"KTLX{str(np.datetime_as_string(when, unit='s')).translate({45: '', 58: '', 84: '_'})}_V06"


VOLUME = level2()


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    with s3_server() as running:
        yield running


class Archive:
    """A bucket with volumes of KTLX ten minutes apart, from the start of ``DAY`` on."""

    def __init__(self, server: FaultyServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.bucket = f"archive-{next(numbers)}"
        server.put(f"/{self.bucket}")
        server.asked.clear()
        server.faults.clear()
        patience = BucketConfig(self.bucket, server.url, "us-east-1", 3, 0.01, 0.02, 3.0, 0.4)
        self.request = FetchRequest("KTLX", DAY, DAY + np.timedelta64(1, "D"), folder, bucket=patience)

    def add(self, name: str, content: bytes = VOLUME) -> str:
        self.server.put(f"/{self.bucket}/{name[4:8]}/{name[8:10]}/{name[10:12]}/{name[:4]}/{name}", content)
        return name

    def add_many(self, count: int) -> list[str]:
        return [self.add(f"KTLX20240506_{k // 6:02d}{10 * (k % 6):02d}00_V06") for k in range(count)]

    @property
    def asked(self) -> list[tuple[str, int]]:
        return [(key, first) for key, first in self.server.asked if key != LISTING]

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def archive(server: FaultyServer, tmp_path: Path) -> Archive:
    return Archive(server, tmp_path / "KTLX")


def test_the_open_archive_itself_can_be_named() -> None:
    assert _store(BucketConfig()).config["region"] == "us-east-1"


def test_volumes_of_a_time_under_all_their_names(archive: Archive) -> None:
    for name in ("KTLX20240505_235500_V06", "KTLX20240507_000000_V06", "KTLX20240506_120000_V06_MDM"):
        archive.add(name)  # before the start, at the end, no volume
    names = [f"KTLX20240506_{stamp}" for stamp in ("000000_V03.gz", "010000", "020000.gz", "030000_V04", "235959_V06")]
    for name in names:
        archive.add(name)
    archive.add("KINX20240506_000100_V06")
    report = fetch_volumes(replace(archive.request, site="ktlx"))
    assert archive.files() == names
    assert all((archive.folder / name).read_bytes() == VOLUME for name in names)
    answer = report.answer()
    assert (answer["site"], answer["kept"], answer["failures"]) == ("KTLX", 0, [])
    assert [v["time"] for v in answer["fetched"]][::4] == [DAY, DAY + minutes(24 * 60) - np.timedelta64(1, "s")]
    assert answer["bytes"] == 5 * len(VOLUME)
    assert not any("defect" in v for v in answer["fetched"])


def test_the_newest_few_the_newest_first(archive: Archive) -> None:
    names = archive.add_many(9)
    report = fetch_volumes(replace(archive.request, newest=3, jobs=1))
    assert archive.files() == names[-3:] == [v.path.name for v in report.fetched]
    assert [key for key, _ in archive.asked] == names[:-4:-1]


def test_what_is_known_to_be_no_volume_takes_no_place_among_the_newest(archive: Archive) -> None:
    names = archive.add_many(3)
    refused = fetch_volumes(replace(archive.request, newest=1))
    archive.add("KTLX20240506_003000_V06", b"no volume")
    report = fetch_volumes(replace(archive.request, newest=1))
    assert len(report.refused) == 1 and not refused.refused
    again = fetch_volumes(replace(archive.request, newest=2, refused=report.refused))
    assert [v.path.name for v in again.fetched] == [names[1]] and again.kept == 1


def test_a_span_over_midnight(archive: Archive) -> None:
    names = [archive.add(name) for name in ("KTLX20240506_235500_V06", "KTLX20240507_000001_V06")]
    start = DAY + minutes(23 * 60 + 55)
    fetch_volumes(replace(archive.request, start=start, end=start + minutes(10)))
    assert archive.files() == names


def test_what_is_here_is_not_asked_for_again(archive: Archive) -> None:
    names = archive.add_many(3)
    fetch_volumes(archive.request)
    (archive.folder / names[1]).write_bytes(VOLUME[:-10])
    archive.server.asked.clear()
    report = fetch_volumes(archive.request)
    assert archive.asked == [(names[1], 0)]
    assert (len(report.fetched), report.kept) == (1, 2)
    assert (archive.folder / names[1]).read_bytes() == VOLUME


@pytest.mark.parametrize("fault", [500, 503, 429, "cut", "stall"])
def test_a_passing_fault_is_outlasted(archive: Archive, fault: int | str) -> None:
    names = archive.add_many(2)
    archive.server.faults[names[0]] = [fault, fault]
    archive.server.faults[LISTING] = [503]
    report = fetch_volumes(archive.request)
    assert report.failures == ()
    assert all((archive.folder / name).read_bytes() == VOLUME for name in names)
    assert archive.files() == names


def test_a_broken_transfer_goes_on_where_it_stopped(archive: Archive) -> None:
    (name,) = archive.add_many(1)
    archive.server.faults[name] = ["cut"]
    fetch_volumes(archive.request)
    (_, first), (_, second) = archive.asked
    assert first == 0 and second >= 0.3 * len(VOLUME)
    assert (archive.folder / name).read_bytes() == VOLUME


def test_a_silence_of_the_archive_is_told(
    archive: Archive, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nowcast.pipeline.fetch.QUIET_S", 0.1)
    monkeypatch.setattr("nowcast.pipeline.fetch.MANY_DAYS", 0)
    (name,) = archive.add_many(1)
    archive.server.faults[name] = ["stall"]
    with caplog.at_level(logging.INFO, "nowcast"):
        fetch_volumes(archive.request)
    assert "has sent nothing for 0 s: still waiting" in caplog.text and "listing 1 days of KTLX" in caplog.text


def test_a_slow_server_is_waited_for(archive: Archive) -> None:
    (name,) = archive.add_many(1)
    archive.server.faults[name] = ["slow"]
    patient = replace(archive.request, bucket=replace(archive.request.bucket, stall_s=0.1))
    fetch_volumes(patient)
    assert archive.asked == [(name, 0)]


def test_a_killed_run_leaves_no_half_volume_and_the_next_goes_on(archive: Archive) -> None:
    (name,) = archive.add_many(1)
    archive.server.faults[name] = ["stall"]
    command = [sys.executable, "-m", "nowcast", "fetch", "KTLX", "--start", "2024-05-06", "--end", "2024-05-07", "-o"]
    running = subprocess.Popen(
        [*command, archive.folder, "--bucket", archive.bucket, "--endpoint", archive.server.url],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _wait_for(lambda: any(p.stat().st_size > 200_000 for p in archive.folder.glob(".*.part")))
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (archive.folder / name).exists()
    (half,) = (p.stat().st_size for p in archive.folder.iterdir())
    archive.server.asked.clear()
    fetch_volumes(archive.request)
    assert archive.asked == [(name, half)]
    assert (archive.folder / name).read_bytes() == VOLUME
    assert archive.files() == [name]


def test_the_rest_of_an_object_that_was_replaced_is_not_taken(archive: Archive) -> None:
    (name,) = archive.add_many(1)
    archive.server.faults[name] = ["cut"] * 9
    with pytest.raises(InputError):
        fetch_volumes(replace(archive.request, bucket=replace(archive.request.bucket, retries=0))).raise_failures()
    archive.server.faults.clear()
    other = level2(seed=1)
    archive.add(name, other)
    fetch_volumes(archive.request)
    assert (archive.folder / name).read_bytes() == other
    assert archive.files() == [name]


@pytest.mark.parametrize("rotten", [b"\0" * 300_000, b"\0" * len(VOLUME), VOLUME + b"more"])
def test_what_a_crash_left_is_not_believed(archive: Archive, rotten: bytes) -> None:
    (name,) = archive.add_many(1)
    archive.folder.mkdir()
    (archive.folder / f".{name}.{hashlib.md5(VOLUME).hexdigest()}.part").write_bytes(rotten)
    fetch_volumes(archive.request)
    assert (archive.folder / name).read_bytes() == VOLUME
    assert archive.files() == [name]


def test_two_runs_at_once_do_not_mix_their_bytes(archive: Archive) -> None:
    import threading

    names = archive.add_many(4)
    for name in names:
        archive.server.faults[name] = ["slow", "slow"]
    reports: list[FetchReport] = []
    runs = [threading.Thread(target=lambda: reports.append(fetch_volumes(archive.request))) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert sum(len(r.fetched) for r in reports) >= 4
    assert archive.files() == names
    assert all((archive.folder / name).read_bytes() == VOLUME for name in names)


def test_some_that_fail_are_told_and_come_with_the_next_run(archive: Archive) -> None:
    names = archive.add_many(3)
    archive.server.faults[names[1]] = [503] * 50
    report = fetch_volumes(archive.request)
    assert archive.files() == [names[0], names[2]]
    with pytest.raises(PartialFailure, match=r"1 of 3 volumes did not come.*503.*SlowDown.*run the same command again"):
        report.raise_failures()
    archive.server.faults.clear()
    assert fetch_volumes(archive.request).failures == ()
    assert archive.files() == names


def test_a_volume_that_ends_early_in_the_archive_is_told(archive: Archive, caplog: pytest.LogCaptureFixture) -> None:
    whole = level2(sweeps=2)
    archive.add("KTLX20240506_000000_V06", whole[: len(whole) * 3 // 4])
    with caplog.at_level(logging.WARNING, "nowcast"):
        (volume,) = fetch_volumes(archive.request).fetched
    assert volume.defect == "the file ends within sweep 2"
    assert "KTLX20240506_000000_V06" in caplog.text and "ends within sweep 2" in caplog.text


@pytest.mark.parametrize("content", [b"", b"<html>Sign in to the guest network</html>" * 9, VOLUME[:600]])
def test_what_is_no_volume_does_not_stay(archive: Archive, content: bytes) -> None:
    good, bad = archive.add_many(2)
    archive.add(bad, content)
    report = fetch_volumes(archive.request)
    assert archive.files() == [good]
    assert [f["key"].rsplit("/")[-1] for f in report.failures] == [bad]
    assert ".part" not in report.failures[0]["reason"]
    report.raise_failures()  # nothing more will come: that is told, and no reason to run it again
    archive.server.asked.clear()
    again = fetch_volumes(replace(archive.request, refused=report.refused))
    assert (archive.asked, again.failures, again.refused) == ([], (), report.refused)


def test_any_number_of_objects_that_are_no_volumes_keeps_nothing_back(archive: Archive) -> None:
    names = archive.add_many(STRIKES + 4)
    for name in names[2:]:
        archive.add(name, b"maintenance")
    report = fetch_volumes(archive.request)
    assert archive.files() == names[:2] and len(report.refused) == len(names) - 2
    report.raise_failures()


def test_an_outage_is_told_once_and_soon(archive: Archive) -> None:
    names = archive.add_many(STRIKES + 12)
    for name in names:
        archive.server.faults[name] = [500] * 50
    report = fetch_volumes(replace(archive.request, jobs=4))
    assert len(report.failures) == len(names)
    assert len({key for key, _ in archive.asked}) <= STRIKES + 4
    with pytest.raises(InputError, match="500"):
        report.raise_failures()


def test_a_server_that_is_not_there(archive: Archive) -> None:
    bucket = replace(archive.request.bucket, endpoint="http://127.0.0.1:9")
    told = r"cannot list 2024/05/06/KTLX/ of bucket archive-\d+ at http://127.0.0.1:9: no connection.*; check the name"
    with pytest.raises(InputError, match=told):
        fetch_volumes(replace(archive.request, bucket=bucket))


def test_no_such_bucket_and_no_such_volumes(archive: Archive) -> None:
    with pytest.raises(InputError, match="holds no volume of KTLX that began from 2024-05-06T00:00:00Z"):
        fetch_volumes(archive.request)
    with pytest.raises(InputError, match="NoSuchBucket"):
        fetch_volumes(replace(archive.request, bucket=replace(archive.request.bucket, name="another-one")))


def test_the_name_of_a_radar_is_checked(archive: Archive, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UsageError, match="'KTL' names no NEXRAD radar: expected four letters"):
        fetch_volumes(replace(archive.request, site="KTL"))
    with caplog.at_level(logging.WARNING, "nowcast"), pytest.raises(InputError, match="no volume of KTLZ"):
        fetch_volumes(replace(archive.request, site="KTLZ"))
    assert "did you mean KTLX" in caplog.text


def test_follow_takes_what_is_new_and_waits_for_the_end_of_an_outage(
    archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    now = np.datetime64(time.time_ns(), "ns")
    stamps = [now - minutes(age) for age in (9, 5)]
    names = [name_at(t) for t in stamps]
    archive.add(names[0])
    reports: list[FetchReport] = []

    def tell(report: FetchReport) -> None:
        reports.append(report)
        if len(reports) == 1:
            archive.add(names[1])
            archive.server.faults[LISTING] = [500] * 8  # the next two looks fail, retries and all

    request = replace(archive.request, start=now - minutes(20))
    with caplog.at_level(logging.WARNING, "nowcast"):
        follow_volumes(request, tell, every_s=0.02, polls=5)
    assert [[v.path.name for v in report.fetched] for report in reports] == [[names[0]], [names[1]]]
    assert len([r for r in caplog.records if "it answers 500" in r.getMessage()]) == 1
    assert [key for key, _ in archive.asked] == names


def test_follow_asks_again_for_what_failed_however_old(archive: Archive) -> None:
    now = np.datetime64(time.time_ns(), "ns")
    names = [archive.add(name_at(now - minutes(age))) for age in (400, 300, 5)]
    archive.add(names[0], b"no volume at all")
    archive.server.faults[names[1]] = [500] * 50
    reports: list[FetchReport] = []

    def tell(report: FetchReport) -> None:
        reports.append(report)
        archive.server.faults.clear()

    request = replace(archive.request, start=now - minutes(500))
    follow_volumes(request, tell, every_s=0.02, polls=3)
    assert [[v.path.name for v in report.fetched] for report in reports] == [[names[2]], [names[1]]]
    assert [len(report.failures) for report in reports] == [2, 0], "what is no volume is not asked for again"
    assert archive.files() == names[1:]


def test_follow_takes_what_comes_later_than_newer_ones(archive: Archive) -> None:
    now = np.datetime64(time.time_ns(), "ns")
    first, late, newest = (name_at(now - minutes(age)) for age in (30, 20, 10))
    came: list[str] = []
    for name in (first, newest):
        archive.add(name)

    def tell(report: FetchReport) -> None:
        came.extend(volume.path.name for volume in report.fetched)
        archive.add(late)

    follow_volumes(replace(archive.request, start=now - minutes(60)), tell, every_s=0.02, polls=3)
    assert came == [first, newest, late]


def test_an_interrupt_ends_it_at_once(archive: Archive) -> None:
    (name,) = archive.add_many(1)
    archive.server.faults[name] = ["stall"] * 9
    where = ["--bucket", archive.bucket, "--endpoint", archive.server.url, "-o", str(archive.folder)]
    whole = ["--start", "2024-05-06", "--end", "2024-05-07"]
    for words, requests, by in ((whole, 2, signal.SIGINT), (["--follow"], 1, signal.SIGTERM)):
        archive.server.asked.clear()
        command = [sys.executable, "-m", "nowcast", "fetch", "KTLX", *words, *where]
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, text=True, preexec_fn=heed_interrupts, **streams) as running:
            try:
                _wait_for(lambda wanted=requests: len(archive.server.asked) >= wanted)
                running.send_signal(by)
                _, told = running.communicate(timeout=PATIENCE_S)
            finally:
                running.kill()
        assert (running.returncode, told) == (130, "Interrupted.\n")


def test_the_command(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    names = archive.add_many(2)
    words = ["fetch", "ktlx", "--start", "2024-05-06T00:10", "-o", str(archive.folder), "--bucket", archive.bucket]
    with pytest.raises(SystemExit) as done:
        app([*words, "--end", "2024-05-06T00:20", "--endpoint", archive.server.url, "--json"])
    assert done.value.code == 0
    answer = json.loads(capsys.readouterr().out)
    assert [Path(v["path"]).name for v in answer["fetched"]] == [names[1]]
    assert answer["fetched"][0]["time"] == "2024-05-06T00:10:00Z"
    for wrong in (["fetch", "KTLX", "-o", "x"], [*words, "--follow", "--end", "2024-05-07"]):
        with pytest.raises(SystemExit) as done:
            app(wrong)
        assert done.value.code == 2


def _wait_for(condition: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
