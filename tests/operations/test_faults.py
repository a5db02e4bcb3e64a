"""What goes wrong at a desk, done for real: the forecast comes, or the refusal is clear, and the next run is whole."""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import json
import os
import pickle
import random
import re
import shutil
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from desk import Desk, Run, simulate_feed
from safetensors import safe_open
from safetensors.torch import save_file

from nowcast.errors import OutputError
from nowcast.io.atomic import exchange
from nowcast.io.forecasts import read_forecast
from nowcast.io.volumes import write_volumes
from nowcast.operations.job import read_job
from nowcast.operations.lock import lock
from nowcast.operations.records import Records
from nowcast.operations.refused import STRIKES, Refused
from nowcast.pipeline.inputs import GridConfig, load_sequence
from nowcast.units import iso_utc
from nowcast.weights import DEFAULT


def assert_whole(desk: Desk) -> None:
    """What a consumer sees: folders with a manifest that holds, a link to one of them, the status, and nothing else."""
    for path in desk.out.rglob("*"):
        below = path.relative_to(desk.out)
        if path.name.startswith(".") or below.parts[0] == ".nowcast" or path.is_dir():
            continue
        if path.is_symlink():
            assert (path / "manifest.json").is_file()
        elif path.name not in ("desk.status.json", "manifest.json"):
            assert (path.parent / "manifest.json").is_file(), f"{below} without a manifest"
    for cycle in desk.cycles():
        manifest = json.loads((desk.out / cycle / "manifest.json").read_text())
        names = {file["path"] for file in manifest["outputs"]} | {"manifest.json"}
        assert {path.name for path in (desk.out / cycle).iterdir()} == names
        for file in manifest["outputs"]:
            assert hashlib.sha256((desk.out / cycle / file["path"]).read_bytes()).hexdigest() == file["sha256"]


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def worker_of(run: Run, ready: Path | None = None, pattern: str = "") -> int:
    """The worker of a run, as soon as it has made a file of the pattern."""
    for _ in range(2000):
        found = children(run.pid)
        if found and (ready is None or list(ready.glob(pattern))):
            return found[0]
        time.sleep(0.005)
    raise AssertionError("the run has no worker")


def worker_after(run: Run, stage: str) -> int:
    """The worker of a run, as soon as the run has told that it is done with a stage."""
    for _ in range(6000):
        if f"{stage} done" in run.output.read_text():
            return children(run.pid)[0]
        time.sleep(0.005)
    raise AssertionError(f"no word of {stage}: {run.output.read_text()}")


LONG = {"model": "default", "members": 4000}
"""A forecast that takes seconds."""


def kill_at_moments(desk: Desk, moments: int, seed: int) -> None:
    """Kill whole runs at moments spread over a cycle; after each the next run is complete."""
    desk.deliver(0, 1, 2, 3)
    desk.batch()
    chance, hit = random.Random(seed), 0

    def whole_run() -> float:
        begun = time.monotonic()
        assert desk.batch()["state"] == "done"
        return time.monotonic() - begun

    length = whole_run()
    for number in range(moments):
        run = desk.start()
        time.sleep(length * (number + chance.random()) / moments)
        workers = children(run.pid)
        run.kill()
        hit += run.wait() == -signal.SIGKILL
        for worker in workers:
            for _ in range(400):
                if not Path(f"/proc/{worker}").exists() or "Z" in Path(f"/proc/{worker}/stat").read_text():
                    break
                time.sleep(0.005)
            else:
                raise AssertionError("the worker lives on without its parent")
        assert_whole(desk)
        length = whole_run()
        assert_whole(desk)
        assert desk.cycles() == ["SIMR/20240115_0415"] and list((desk.inside / "work").iterdir()) == []
    assert hit >= moments // 2, "most kills came too late"


def test_kill_9_at_any_moment(desk: Desk) -> None:
    kill_at_moments(desk, 5, seed=1)


@pytest.mark.soak
def test_kill_9_at_forty_moments(desk: Desk) -> None:
    kill_at_moments(desk, 40, seed=2)


def test_a_killed_run_is_told_by_the_next_and_by_the_status(desk: Desk) -> None:
    desk.deliver(0, 1, 2)
    run = desk.start()
    worker_of(run, desk.inside, "work/*/inputs")
    run.kill()
    run.wait()
    assert desk.status["state"] == "running"
    assert desk.batch()["totals"] == {"done": 1, "fallback": 0, "stale": 0, "failed": 1}
    told = " ".join(line["message"] for line in desk.log)
    assert f"process {run.pid} on" in told and "the lock is taken over" in told and "removed the work of run" in told


def test_a_run_that_was_killed_after_it_had_published_is_no_failure(desk: Desk) -> None:
    desk.deliver(0, 1, 2)
    done = desk.batch()
    left = {"state": "running", "job": done["job"], "run": done["run"], "totals": done["totals"], "outputs": []}
    (desk.out / "desk.status.json").write_text(json.dumps(left))
    told = desk.batch("--once-per", "5min")
    same = ("state", "cycle", "exit_code", "method", "outputs", "input_files")
    assert {name: told[name] for name in same} == {name: done[name] for name in same}
    assert told["totals"]["done"] == done["totals"]["done"] + 1, "the killed run had not counted itself yet"
    assert told["last_success"]["cycle"] == done["cycle"]


def test_a_folder_that_cannot_be_replaced_at_once_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new, target = tmp_path / "new", tmp_path / "target"
    for folder in (new, target):
        folder.mkdir()
        (folder / "name").write_text(folder.name)
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())  # a system that cannot swap two names
    rename = Path.rename

    def interrupted(self: Path, to: Path) -> Path:
        if self == new:
            raise KeyboardInterrupt
        return rename(self, to)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "rename", interrupted)
        exchange(new, target)
    assert (target / "name").read_text() == "target"
    exchange(new, target)
    assert (target / "name").read_text() == "new" and (new / "name").read_text() == "target"


def test_a_damaged_record_is_none(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.deliver(0, 1, 2)
    desk.batch()
    records = Records(read_job(desk.job_file))
    (done,) = records.all()
    least: dict[str, object] = {"cycle": "2024-01-15T04:00:00Z", "folder": "x"}
    for damaged in (least, {**done.facts, **least, "outputs": [{"path": "x"}]}):
        records.write(damaged)
        assert len(records.all()) == 1 and "is no manifest of a published cycle" in caplog.text
        caplog.clear()
        records.remove(str(damaged["cycle"]))
    (records.folder / "yesterday.json").write_text(json.dumps(done.facts))
    assert records.all() == [done]
    assert desk.batch()["state"] == "done"


def test_a_second_start_gives_way(desk: Desk) -> None:
    desk.deliver(0, 1, 2)
    with lock(desk.inside / "lock", "2024-01-15T04:00:00Z"):
        run = desk.start()
        assert run.wait() == 0
        desk.configure(locked_exit=7)
        assert desk.start().wait() == 7
    assert "another run is at work: process" in run.output.read_text() and not desk.cycles()


@pytest.mark.parametrize("times", [10, pytest.param(50, marks=pytest.mark.soak)])
def test_two_schedulers_at_once_do_each_cycle_once(desk: Desk, times: int) -> None:
    desk.deliver(0, 1)
    for number in range(2, 6):
        desk.deliver(number)
        pair = [desk.start("--once-per", "1min") for _ in range(2)]
        assert [run.wait() for run in pair] == [0, 0]
        assert desk.status["totals"]["done"] == number - 1
    for _ in range(times - 4):
        pair = [desk.start("--once-per", "1min") for _ in range(2)]
        assert [run.wait() for run in pair] == [0, 0]
    assert desk.status["totals"] == {"done": 4, "fallback": 0, "stale": 0, "failed": 0}
    assert_whole(desk)


def test_a_full_disk_at_any_writing_leaves_nothing_half(desk: Desk) -> None:
    """No file may grow beyond a limit: from none at all to one that only the largest file does not fit in."""
    desk.deliver(0, 1, 2, 3)
    desk.batch()
    sizes = sorted(path.stat().st_size for path in desk.out.rglob("*") if path.is_file() and not path.is_symlink())
    shutil.rmtree(desk.out)
    for limit in (0, *sorted({size - 1 for size in sizes if size > 0})[::-3]):
        run = desk.start(limit_bytes=limit)
        code, told = run.wait(), run.output.read_text()
        assert code in (0, 3, 5) and "Traceback" not in told, told
        assert (code == 0) == any('"state": "done"' in line for line in told.splitlines()), told
        assert_whole(desk)
    assert desk.batch()["state"] == "done"


@contextmanager
def small_disk(place: Path, size_kb: int) -> Iterator[None]:
    """A file system in memory of so many kB; skips the test where none can be mounted."""
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_real_disk_that_is_full_sooner_or_later(desk: Desk) -> None:
    """With ever more room a cycle ends at one writing after the other, until it is published."""
    desk.deliver(0, 1, 2, 3)
    desk.configure(output={"keep_free": 0})
    desk.batch()
    used = sum(path.stat().st_size for path in desk.out.rglob("*") if path.is_file() and not path.is_symlink())
    shutil.rmtree(desk.out)
    done = []
    with small_disk(desk.out, 3 * used // 1024 + 512):
        for share in (0.0, 0.1, 0.2, 0.4, 0.7, 1.0, 2.0):
            free = shutil.disk_usage(desk.out).free
            filler = desk.out / ".filler"
            filler.write_bytes(b"0" * max(int(free - share * used), 0))
            run = desk.start()
            code, told = run.wait(), run.output.read_text()
            assert code in (0, 3, 5) and "Traceback" not in told, told
            assert_whole(desk)
            done.append(code == 0)
            filler.unlink()
        assert not done[0]
        assert desk.batch()["state"] == "done"
        assert_whole(desk)


def test_a_disk_without_locks_is_no_other_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with pytest.raises(OutputError, match="No locks available"), lock(tmp_path / "lock", "now"):
        pass


def test_a_volume_too_large_for_the_memory_is_read_again_with_more(desk: Desk) -> None:
    _, _, newest = desk.deliver(0, 1, 2)
    stat = newest.stat()
    refused = Refused(desk.inside / "refused.json", 1_500_000_000)
    for _ in range(STRIKES):
        refused.add(newest, (stat.st_size, stat.st_mtime_ns), strike=True)
    desk.configure(limits={"memory": "1500MB"})
    assert desk.batch()["cycle"] == "2024-01-15T04:05:00Z" and newest.name in desk.status["warnings"][0]
    desk.configure(limits={"memory": "1600MB"})
    assert desk.batch()["cycle"] == "2024-01-15T04:10:00Z"


def test_a_full_disk_is_noticed_before_work_starts(desk: Desk) -> None:
    desk.configure(output={"keep_free": "1000TB"})
    desk.deliver(0, 1, 2)
    status = desk.batch(code=3)
    assert status["state"] == "failed" and "MB free, less than output.keep_free" in status["reason"]
    assert status["stages"] == {} and not desk.cycles()


@pytest.mark.parametrize("how", ["removed", "truncated", "replaced"])
def test_input_that_changes_while_it_is_read(desk: Desk, how: str) -> None:
    desk.deliver(0, 1, 2, 3)
    newest, other = desk.feed / desk.volumes[3].name, desk.volumes[4].read_bytes()
    whole, stop = newest.read_bytes(), threading.Event()

    def meddle() -> None:
        chance = random.Random(3)
        while not stop.is_set():
            if how == "removed":
                newest.unlink()
            elif how == "truncated":
                newest.write_bytes(whole[: chance.randrange(len(whole))])
            else:
                newest.write_bytes(other)
            stop.wait(0.002 * chance.random())
            newest.write_bytes(whole)
            stop.wait(0.002 * chance.random())

    thread = threading.Thread(target=meddle)
    thread.start()
    codes = [desk.start().wait() for _ in range(2)]
    stop.set()
    thread.join()
    assert set(codes) <= {0, 5}, codes
    assert_whole(desk)
    (desk.inside / "refused.json").unlink(missing_ok=True)
    assert desk.batch()["state"] == "done" and desk.status["cycle"] == "2024-01-15T04:15:00Z"


ROOMY = {"file": 0.6, "wait": 0.1, "inputs": 0.4, "grid": 0.6, "fallback": 0.8, "forecast": 0.85}
"""For a short deadline on a busy machine."""


class Payload:
    """A pickle that runs code when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("what", ["missing", "truncated", "pickle", "of another architecture"])
def test_a_model_that_cannot_be_used(desk: Desk, what: str) -> None:
    model = desk.folder / "model.safetensors"
    if what == "truncated":
        model.write_bytes(DEFAULT.read_bytes()[:5000])
    elif what == "pickle":
        model.write_bytes(pickle.dumps(Payload(desk.folder / "opened"), protocol=2))
    elif what == "of another architecture":
        with safe_open(DEFAULT, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in list(file.keys())[1:]}
            save_file(weights, model, file.metadata())
    desk.configure(model=str(model))
    desk.deliver(0, 1, 2)
    status = desk.batch(code=5)
    assert status["state"] == "fallback" and status["method"] == "advection" and "the model failed" in status["reason"]
    with xr.open_dataset(status["outputs"][0]["path"], decode_timedelta=True) as dataset:
        assert "the model failed" in dataset.attrs["fallback_reason"]
    assert not (desk.folder / "opened").exists()
    assert_whole(desk)


def test_a_forecast_that_overruns_is_replaced_by_the_fallback(desk: Desk) -> None:
    desk.configure(**LONG, limits={"deadline": 12, "shares": ROOMY}, output={"pictures": True})
    desk.deliver(0, 1, 2)
    run = desk.start()
    os.kill(worker_after(run, "fallback"), signal.SIGSTOP)  # no machine is fast enough then
    assert run.wait() == 5
    status = desk.status
    assert (status["state"], status["method"]) == ("fallback", "extrapolation")
    assert "forecast: not done" in status["reason"] and "scores" not in status["stages"]
    with xr.open_dataset(status["outputs"][0]["path"], decode_timedelta=True) as dataset:
        assert dataset.attrs["method"] == "extrapolation" and "fallback_reason" in dataset.attrs
        assert "model" not in json.loads(dataset.attrs["provenance"]), "no model made it"
    manifest = json.loads((desk.out / desk.cycles()[0] / "manifest.json").read_text())
    assert manifest["state"] == "fallback" and manifest["reason"] == status["reason"]
    assert manifest["pictures"] == 0 and "2024-01-15T04:10:00Z is published without a picture" in status["warnings"]
    assert_whole(desk)


@pytest.mark.parametrize(("file_share", "code"), [(0.9, 5), (0.2, 0)])
def test_a_worker_that_hangs(desk: Desk, file_share: float, code: int) -> None:
    """Before the fallback is made: a second worker makes it, or, where one file took too long, starts without it."""
    desk.configure(limits={"deadline": 20, "shares": {"file": file_share}})
    desk.deliver(0, 1, 2, 3)
    run = desk.start()
    os.kill(worker_of(run, desk.inside, "volumes/*.npz"), signal.SIGSTOP)
    assert run.wait() == code
    if code == 5:
        assert desk.status["method"] == "extrapolation"
        assert re.search(r"grid: not done 10\.\d s after the start", desk.status["reason"])
        assert desk.status["input_files"] == [path.name for path in desk.volumes[2:4]], "two volumes have to do"
    else:
        assert "grid: a file took more than 4 s" in desk.status["warnings"][0] and desk.status["state"] == "done"
    assert_whole(desk)


def test_an_interrupt_ends_a_run_in_order(desk: Desk) -> None:
    desk.configure(**LONG)
    desk.deliver(0, 1, 2)
    for number, stage in ((signal.SIGTERM, "inputs"), (signal.SIGINT, "fallback")):
        run = desk.start()
        worker = worker_after(run, stage)
        os.kill(run.pid, number)
        assert run.wait() == 130 and "Traceback" not in run.output.read_text()
        assert (desk.status["state"], desk.status["reason"]) == ("failed", "interrupted")
        assert not Path(f"/proc/{worker}").exists() and list((desk.inside / "work").iterdir()) == []


def test_what_others_put_into_a_cycle_stays_when_it_is_made_again(desk: Desk) -> None:
    desk.deliver(0, 1, 2)
    desk.batch()
    (cycle,) = desk.cycles()
    (desk.out / cycle / "notes.txt").write_text("a warning was sent")
    desk.batch()
    assert (desk.out / cycle / "notes.txt").read_text() == "a warning was sent"
    assert (desk.out / cycle / "manifest.json").is_file() and desk.status["totals"]["done"] == 2


def test_a_cycle_that_was_just_being_replaced_is_put_back(desk: Desk) -> None:
    desk.deliver(0, 1, 2)
    desk.batch()
    (desk.inside / "work" / "killed").mkdir()
    halves = [desk.out / ".desk.status.123.part.json", desk.inside / "volumes" / ".abc.123.part.npz"]
    for half in halves:
        half.write_text("half")
    (desk.out / desk.cycles()[0]).rename(desk.inside / "work" / "killed" / "publish.old")
    desk.batch("--once-per", "5min")
    assert desk.cycles() == ["SIMR/20240115_0410"] and desk.status["totals"]["done"] == 1
    assert not any(half.exists() for half in halves)
    assert "put back" in " ".join(line["message"] for line in desk.log)
    assert_whole(desk)


def test_a_record_written_for_what_was_never_put_in_place_is_that_of_what_stands(desk: Desk) -> None:
    """Killed between record and rename while a cycle was made again: its files stay known to retention."""
    desk.deliver(0, 1, 2)
    desk.batch()
    records = Records(read_job(desk.job_file))
    (done,) = records.all()
    to_come = {**done.facts, "outputs": [{**file, "sha256": "0" * 64} for file in done.facts["outputs"]]}
    records.write(to_come)
    staging = desk.inside / "work" / "killed" / "publish"
    staging.mkdir(parents=True)
    (staging / "manifest.json").write_text(json.dumps(to_come))
    desk.batch("--once-per", "5min")
    assert records.all() == [done]


def test_a_worker_that_dies_late_leaves_the_fallback(desk: Desk) -> None:
    desk.configure(**LONG, limits={"retries": 0})
    desk.deliver(0, 1, 2)
    run = desk.start()
    os.kill(worker_after(run, "fallback"), signal.SIGKILL)
    assert run.wait() == 5
    assert desk.status["method"] == "extrapolation" and "killed by SIGKILL" in desk.status["reason"]


def test_a_worker_that_dies_early_is_started_again(desk: Desk) -> None:
    desk.deliver(0, 1, 2, 3)
    run = desk.start()
    os.kill(worker_of(run), 9)
    assert run.wait() == 0
    assert desk.status["state"] == "done" and any("killed by SIGKILL" in text for text in desk.status["warnings"])


def test_an_archive_bomb_is_left_out(desk: Desk) -> None:
    """A volume that unpacks to more than the worker's memory: the forecast comes from the others."""
    desk.configure(limits={"memory": "1500MB"})
    desk.deliver(0, 1, 2)
    head = b"AR2V0006.001" + struct.pack(">II", 19738, 15_300_000) + b"SIMR"  # 2024-01-15 04:15
    parts = [gzip.compress(head), *[gzip.compress(bytes(50_000_000))] * 32]
    (desk.feed / "SIMR20240115_041500.gz").write_bytes(b"".join(parts))
    for _ in range(2):
        status = desk.batch()
        assert status["state"] == "done" and status["cycle"] == "2024-01-15T04:10:00Z"
        assert any("the worker ran out of memory (1,500,000,000 bytes)" in told for told in status["warnings"])
    desk.batch()
    (told,) = desk.status["warnings"]
    assert told == "workers were lost over 1 of the files, not read any more: SIMR20240115_041500.gz"


def test_a_gridded_bomb_is_left_out(desk: Desk) -> None:
    """The same of a gridded file, compressed, whose header tells nothing wrong."""
    desk.configure(limits={"memory": "1500MB"})
    source = desk.folder / "polar"
    source.mkdir()
    for path in desk.volumes[:3]:
        shutil.copy(path, source)
    volumes = load_sequence(source, grid=GridConfig(spacing_m=10e3, extent_m=100e3, level_spacing_m=2000.0))
    for k in range(3):
        write_volumes(volumes.select([k]), desk.feed / f"G{k}.nc")
    with xr.open_dataset(desk.feed / "G2.nc", decode_cf=False) as one:
        stretched = one.load()
    later = stretched["time"] + 300
    bomb = stretched.isel(y=[0] * 4000, x=[0] * 4000).assign_coords(
        time=later, x=1000.0 * np.arange(4000), y=1000.0 * np.arange(4000)
    )
    names = [name for name in bomb.data_vars if "x" in bomb[name].dims]
    bomb.to_netcdf(desk.feed / "G3.nc", encoding={name: {"zlib": True, "complevel": 1} for name in names})
    for _ in range(2):
        status = desk.batch()
        assert status["state"] == "done" and status["cycle"] == "2024-01-15T04:10:00Z"
        assert any("the worker ran out of memory" in told for told in status["warnings"])
    desk.batch()
    assert desk.status["warnings"] == ["workers were lost over 1 of the files, not read any more: G3.nc"]


def test_a_fallback_that_is_made_is_published_whatever_the_next_worker_finds(desk: Desk) -> None:
    desk.configure(**LONG)
    desk.deliver(0, 1, 2)
    run = desk.start()
    pid = worker_after(run, "fallback")
    for path in desk.feed.iterdir():
        path.unlink()
    os.kill(pid, signal.SIGKILL)
    assert run.wait() == 5
    assert desk.status["state"] == "fallback" and desk.status["method"] == "extrapolation"
    assert len(desk.cycles()) == 1


def test_a_fallback_is_never_published_as_that_of_another_cycle(desk: Desk) -> None:
    """The worker dies, the newest volume goes, and the next worker dies before it has a fallback of its own."""
    desk.configure(**LONG)
    desk.deliver(0, 1, 2)
    run = desk.start()
    pid = worker_after(run, "fallback")
    (desk.feed / desk.volumes[2].name).unlink()
    os.kill(pid, signal.SIGKILL)
    while run.output.read_text().count("grid done") < 2:
        time.sleep(0.002)
    os.kill(children(run.pid)[0], signal.SIGKILL)
    assert run.wait() == 5
    (file,) = [file["path"] for file in desk.status["outputs"] if file["path"].endswith("forecast.nc")]
    assert desk.status["cycle"] == "2024-01-15T04:05:00Z" == iso_utc(read_forecast(file).init_time)


def test_volumes_from_the_future_are_not_believed(desk: Desk) -> None:
    """Where the clock was put back the files' own dates still tell: these volumes are believed."""
    now = np.datetime64("now").astype("datetime64[m]").astype("datetime64[ns]")
    before, start = now - np.timedelta64(10, "m"), now + np.timedelta64(60, "m")
    strange = simulate_feed(desk.folder / "strange", volumes=2, start=start)
    for path in (*simulate_feed(desk.folder / "recent", volumes=2, start=before), *strange):
        shutil.copy(path, desk.feed)
    status = desk.batch("--once-per", "5min")
    assert status["cycle"] == iso_utc(before + np.timedelta64(5, "m"))
    assert any("ahead of the clock and left out" in text for text in status["warnings"])
    assert not (desk.inside / "seen.json").exists(), "they are looked at again: the clock may be wrong"
    later = time.time() + 4500
    for path in strange:
        os.utime(desk.feed / path.name, (later, later))
    status = desk.batch()
    assert status["cycle"] == iso_utc(start + np.timedelta64(5, "m")) and -4200 < status["input_age_seconds"] < -3600
    assert desk.batch("--once-per", "5min")["totals"]["done"] == 2, "and nothing is done twice until the clock is there"
