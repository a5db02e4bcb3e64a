"""A cycle that takes the place of one that is there, and what is found after a kill."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from published import job_at, published

from nowcast.operations import publish as publishing
from nowcast.operations.publish import recover
from nowcast.operations.records import Records

CYCLE = "2024-01-15T04:05:00Z"


def test_all_of_a_cycle_is_on_the_disk_before_it_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut a consumer finds a cycle whole or not at all."""
    flushed: list[str] = []
    fsync, exchange = os.fsync, publishing.exchange

    def told(descriptor: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink().name.split(".")[0])
        fsync(descriptor)

    def told_exchange(new: Path, target: Path) -> None:
        flushed.append("exchange")
        exchange(new, target)

    monkeypatch.setattr(os, "fsync", told)
    monkeypatch.setattr(publishing, "exchange", told_exchange)
    job = job_at(tmp_path / "root")
    published(job, CYCLE)
    before, after = flushed[: flushed.index("exchange")], flushed[flushed.index("exchange") + 1 :]
    assert {"forecast", "publish", "cycles"} < set(before) and before.index("forecast") < before.index("publish")
    assert {"20240115", "SIMR", "root"} <= set(after)


def test_what_others_made_or_changed_in_a_cycle_outlasts_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also under a name that the cycle made again has itself; a file as it was published is replaced."""
    job = job_at(tmp_path)
    folder = job.output.root / published(job, CYCLE).folder
    (folder / "forecast.products.nc").write_text("a forecaster's own")
    (folder / "notes.txt").write_text("notes")
    (folder / "forecast.nc").write_text("edited")
    published(job, CYCLE, names=("forecast.nc", "forecast.products.nc"))
    kept = {path.name: path.read_text() for path in folder.iterdir() if path.suffix in (".txt", ".1")}
    assert kept == {"forecast.products.nc.1": "a forecaster's own", "notes.txt": "notes", "forecast.nc.1": "edited"}
    assert caplog.text.count("was made or changed by somebody else: it is kept as forecast") == 2
    published(job, CYCLE)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*kept, "forecast.nc", "manifest.json"])


def test_a_damaged_manifest_in_the_work_of_a_killed_run_is_told_once(tmp_path: Path) -> None:
    job = job_at(tmp_path)
    folder = job.output.root / published(job, CYCLE).folder
    left = job.inside / "work" / "killed"
    left.mkdir()
    folder.rename(left / "publish.old")
    (left / "publish.old" / "manifest.json").write_text('{"half": ')
    told = recover(job)
    assert any(text.startswith("not put back: ") for text in told) and not left.exists()
    assert recover(job) == [] and Records(job).complete() == []


def test_what_cannot_be_put_back_yet_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_at(tmp_path)
    folder = job.output.root / published(job, CYCLE).folder
    left = job.inside / "work" / "killed"
    left.mkdir()
    folder.rename(left / "publish.old")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        assert any("stays until what lies in it can be put back" in text for text in recover(job))
    assert f"put back {folder}" in recover(job) and (folder / "forecast.nc").exists()


def test_no_record_is_left_of_a_cycle_that_never_came_or_whose_folder_another_took(tmp_path: Path) -> None:
    """Two cycles of one minute have one folder where its name tells no seconds."""
    job = job_at(tmp_path)
    minutes = replace(job, output=replace(job.output, folder="{site}/{time:%Y%m%d_%H%M}"))
    for cycle in (CYCLE, CYCLE.replace("05:00Z", "05:30Z")):
        one = published(minutes, cycle)
    assert Records(minutes).cycles() == [one.cycle]
    left = job.inside / "work" / "killed" / "publish"
    shutil.copytree(job.output.root / one.folder, left)
    never = {**one.facts, "cycle": "2024-01-15T04:10:00Z", "folder": "SIMR/20240115_0410"}
    (left / "manifest.json").write_text(json.dumps(never))
    Records(minutes).write(never)
    recover(minutes)
    assert Records(minutes).cycles() == [one.cycle]
