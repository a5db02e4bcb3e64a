"""What a desk sees around the cycles: inputs as they are, retention, the status, logs and metrics."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from desk import RADAR, START, Desk, simulate_feed
from radar_files import polar_volume, storm, write_odim

from nowcast.operations.quantities import age_text
from nowcast.operations.status import scores_text
from nowcast.radar import Site


def test_a_file_that_is_still_being_written_is_waited_for(desk: Desk) -> None:
    desk.configure(input={"settle": 1.0})
    desk.deliver(0, 1, 2)
    data = desk.volumes[3].read_bytes()

    def deliver() -> None:
        with (desk.feed / desk.volumes[3].name).open("wb") as file:
            for start in range(0, len(data), len(data) // 8):
                file.write(data[start : start + len(data) // 8])
                file.flush()
                time.sleep(0.15)

    thread = threading.Thread(target=deliver)
    thread.start()
    time.sleep(0.1)
    status = desk.batch()
    thread.join()
    assert status["cycle"] == "2024-01-15T04:15:00Z" and status["stages"]["wait"] > 1.0


def test_a_file_that_never_ends_is_left_out_in_time(desk: Desk) -> None:
    desk.configure(input={"settle": 30}, limits={"deadline": 10})
    for path in desk.deliver(0, 1, 2):
        os.utime(path, (1.7e9, 1.7e9))
    desk.deliver(3)
    status = desk.batch()
    assert status["cycle"] == "2024-01-15T04:10:00Z" and 1.4 < status["stages"]["wait"] < 4
    assert status["warnings"] == [f"{desk.volumes[3].name} is still being written and is left out"]


def test_a_marker_says_what_is_complete(desk: Desk) -> None:
    desk.configure(input={"marker": ".ok", "settle": 100})
    for path in (*desk.deliver(0, 1, 2), *desk.deliver(3))[:3]:
        path.with_name(path.name + ".ok").touch()
    status = desk.batch()
    assert status["cycle"] == "2024-01-15T04:10:00Z"
    name = desk.volumes[3].name
    assert status["warnings"] == [f"{name} has no {name}.ok beside it and is left out"]


def test_a_pattern_and_what_to_ignore(desk: Desk) -> None:
    desk.configure(input={"path": "feed/SIMR_*", "ignore": ["*_041500*"]})
    desk.deliver(0, 1, 2, 3)
    (desk.feed / "other.nc").write_bytes(b"x")
    status = desk.batch()
    assert status["cycle"] == "2024-01-15T04:10:00Z" and status["warnings"] == []


def test_another_radar_and_a_duplicate_change_nothing(desk: Desk) -> None:
    desk.deliver(0, 1, 2)
    (desk.feed / "again.nc").write_bytes(desk.volumes[2].read_bytes())
    volume = polar_volume(storm(), elevations=(0.5, 1.5), rays=90, gates=60, radar="NEAR")
    write_odim(volume, desk.feed / "near_20240115_041500.h5")
    status = desk.batch()
    assert status["cycle"] == "2024-01-15T04:10:00Z" and len(status["input_files"]) == 3
    assert any("near_20240115_041500.h5 is left out: it is of radar" in text for text in status["warnings"])


def other_radar(desk: Desk, minute: int) -> Path:
    """A volume of another radar in the feed, called after its time."""
    time = START + np.timedelta64(minute, "m")
    site = Site(RADAR.site.lat + 5, RADAR.site.lon, 100.0)
    volume = polar_volume(storm(), elevations=(0.5, 1.5), rays=90, gates=60, time=time, radar="FAR", site=site)
    path = desk.feed / f"far_{str(time)[:10].replace('-', '')}_{str(time)[11:16].replace(':', '')}00.h5"
    write_odim(volume, path)
    return path


def test_no_other_radar_takes_the_place_of_the_job_s_own(desk: Desk) -> None:
    desk.deliver(0, 1)
    desk.batch()
    for path in desk.feed.iterdir():
        path.unlink()
    for minute in (20, 25, 30):
        other_radar(desk, minute)
    status = desk.batch(code=3)
    remedy = f"remove {desk.inside / 'radars.json'}"
    assert status["state"] == "stale" and "no volume of radar 'SIMR' among the 3 files" in status["reason"]
    assert "but of FAR" in status["reason"] and remedy in status["reason"]
    assert "3 files are left out: they are of radar 'FAR', the newest is far_20240115_043000.h5" in status["warnings"]
    desk.deliver(2)
    assert desk.batch()["cycle"] == "2024-01-15T04:10:00Z"
    desk.configure(site={"name": "FAR"})
    assert desk.batch()["cycle"] == "2024-01-15T04:30:00Z", "who names another radar wants it"


def test_a_radar_that_is_named_is_looked_for_among_older_files_too(desk: Desk) -> None:
    desk.configure(site={"name": "SIMR"})
    desk.deliver(0, 1)
    other_radar(desk, 3 * 1440)
    status = desk.batch()
    assert status["cycle"] == "2024-01-15T04:05:00Z" and len(status["input_files"]) == 2


def test_a_name_that_no_file_has_is_told_once(desk: Desk) -> None:
    desk.configure(site={"name": "town"})
    told = "no file is of radar 'town': those of 'SIMR' are taken, under that name"
    desk.deliver(0, 1)
    assert any(text.startswith(told) for text in desk.batch()["warnings"])
    desk.deliver(2)
    assert told not in desk.batch()["warnings"]


def test_a_radar_far_from_the_named_one_is_not_taken_for_it(desk: Desk) -> None:
    desk.configure(site={"name": "town", "lat": RADAR.site.lat, "lon": RADAR.site.lon, "alt": 60.0})
    other_radar(desk, 10)
    assert "no volume of radar 'town' among the 1 files" in desk.batch(code=3)["reason"]
    desk.deliver(0, 1)
    assert desk.batch()["cycle"] == "2024-01-15T04:05:00Z"


def test_a_radar_that_was_given_another_name_is_known_by_its_place(desk: Desk) -> None:
    desk.deliver(0, 1)
    desk.batch()
    for path in desk.feed.iterdir():
        path.unlink()
    renamed = replace(RADAR, name="NEWNAME")
    for path in simulate_feed(desk.folder / "renamed", volumes=2, start=START + np.timedelta64(10, "m"), radar=renamed):
        shutil.copy(path, desk.feed)
    assert desk.batch()["cycle"] == "2024-01-15T04:15:00Z"


def test_a_truncated_newest_volume_is_told(desk: Desk) -> None:
    desk.deliver(0, 1, 2, 3)
    newest = desk.feed / desk.volumes[3].name
    newest.write_bytes(newest.read_bytes()[:5000])
    status = desk.batch()
    assert status["cycle"] == "2024-01-15T04:10:00Z"
    assert any(newest.name in text and "truncated" in text for text in status["warnings"])


def test_the_name_in_a_file_makes_no_path(desk: Desk) -> None:
    for minute in range(2):
        time = START + np.timedelta64(5 * minute, "m")
        volume = polar_volume(storm(), elevations=(0.5, 1.5, 2.5), rays=90, gates=90, time=time, radar="../../up")
        write_odim(volume, desk.feed / f"v{minute}.h5")
    assert Path(desk.batch()["outputs"][0]["path"]).relative_to(desk.out).parts[0] == "up"


def test_partial_volumes_count_where_the_job_allows(desk: Desk) -> None:
    for minute, elevations in enumerate([(0.5, 1.5, 2.5, 4.0, 6.0, 9.0)] * 3 + [(0.5, 1.5)]):
        start = START + np.timedelta64(5 * minute, "m")
        volume = polar_volume(storm(), elevations=elevations, rays=90, gates=90, time=start)
        write_odim(volume, desk.feed / f"v{minute}.h5")
    assert desk.batch()["cycle"] == "2024-01-15T04:10:00Z"
    assert any("partial volume" in text for text in desk.status["warnings"])
    desk.configure(input={"partial": True})
    assert desk.batch()["cycle"] == "2024-01-15T04:15:00Z"


def test_several_radars_make_a_mosaic(desk: Desk) -> None:
    east = replace(RADAR, name="EAST", site=Site(RADAR.site.lat, RADAR.site.lon + 0.6, 60.0))
    late = simulate_feed(desk.folder / "east", volumes=3, start=START + np.timedelta64(1, "m"), radar=east)
    for name, files in (("simr", desk.volumes[:4]), ("east", late)):
        (desk.feed / name).mkdir()
        for path in files:
            shutil.copy(path, desk.feed / name)
    desk.configure(mosaic={"step_minutes": 5}, output={"folder": "{site}/{time:%Y%m%d_%H%M}"})
    status = desk.batch()
    assert status["cycle"] == "2024-01-15T04:15:00Z", "a mosaic is of a round time"
    with xr.open_dataset(status["outputs"][0]["path"], decode_timedelta=True) as dataset:
        width = dataset.sizes["x"]
        assert width > 21 and dataset.attrs["radars"] == "east, simr"
    (desk.feed / "none").mkdir()
    (desk.feed / "README").write_text("a folder for each radar")
    (desk.feed / ".cache").mkdir()
    with xr.open_dataset(desk.batch()["outputs"][0]["path"], decode_timedelta=True) as dataset:
        assert (dataset.attrs["radars"], dataset.attrs["radars_missing"]) == ("east, simr", "none")
    assert desk.batch("--once-per", "5min")["totals"]["done"] == 2
    shutil.copy(desk.volumes[4], desk.feed)
    strayed = desk.batch()
    assert strayed["outputs"] and f"not looked at: {desk.volumes[4].name} beside" in strayed["warnings"][0]
    shutil.copytree(desk.feed / "east", desk.feed / "backup")
    told = "the folder backup is left out: it holds volumes of the radar of east"
    assert any(text.startswith(told) for text in desk.batch()["warnings"])
    for name in ("none", "east", "backup"):
        shutil.rmtree(desk.feed / name)
    last = desk.batch()
    assert last["outputs"][0]["path"] == status["outputs"][0]["path"], "one of several is left"
    with xr.open_dataset(last["outputs"][0]["path"], decode_timedelta=True) as dataset:
        assert dataset.attrs["radars_missing"] == "east" and dataset.sizes["x"] == width, "the grid stays as it was"
    run = desk.start("--check")
    assert run.wait() == 0 and "the folder of radar east is gone" in run.output.read_text()
    shutil.rmtree(desk.feed / "simr")
    assert desk.batch(code=3)["reason"].endswith(
        f"not looked at: {desk.volumes[4].name} beside the folders of the radars"
    )


def test_catching_up_makes_a_mosaic_a_step(desk: Desk) -> None:
    east = replace(RADAR, name="EAST", site=Site(RADAR.site.lat, RADAR.site.lon + 0.6, 60.0))
    late = simulate_feed(desk.folder / "east", volumes=6, start=START + np.timedelta64(40, "s"), radar=east)
    for name, files in (("simr", desk.volumes), ("east", late)):
        (desk.feed / name).mkdir()
        shutil.copy(files[0], desk.feed / name)
    desk.configure(mosaic={"step_minutes": 5}, output={"folder": "{site}/{time:%Y%m%d_%H%M%S}"})
    desk.batch()
    shutil.copy(desk.volumes[1], desk.feed / "simr")
    desk.batch()
    for name, files in (("simr", desk.volumes), ("east", late)):
        for path in files[1:4]:
            shutil.copy(path, desk.feed / name)
    desk.batch("--catch-up")
    made = sorted(path.parent.name for path in desk.out.glob("desk/*/manifest.json") if not path.parent.is_symlink())
    assert made == [f"20240115_04{time}" for time in ("0040", "0500", "1040", "1540")], "04:05 has its mosaic"


def test_folders_beside_files_are_told(desk: Desk) -> None:
    desk.deliver(0, 1)
    for name in ("east", "west"):
        (desk.feed / name).mkdir()
        shutil.copy(desk.volumes[0], desk.feed / name)
    told = "not looked at: the files in east, west: folders are of radars where no file is as SIMR_20240115_04"
    assert desk.batch()["warnings"][0].startswith(told)
    assert desk.batch()["warnings"] == [], "the job is of one radar"
    for path in desk.feed.glob("*.nc"):
        path.unlink()
    assert desk.batch(code=3)["reason"].endswith("not looked at: the files in east, west: the input is of one radar")
    desk.configure(input={"path": "feed/*"})
    assert "only folders: name the one above them" in desk.batch(code=3)["reason"]
    run = desk.start("--check")
    assert run.wait() == 3 and "which only folders match: name the folder above" in run.output.read_text()


def test_the_damaged_file_of_one_of_several_radars_is_told(desk: Desk) -> None:
    for name in ("simr", "east"):
        (desk.feed / name).mkdir()
    east = replace(RADAR, name="EAST", site=Site(RADAR.site.lat, RADAR.site.lon + 0.6, 60.0))
    for path in desk.volumes[:3]:
        shutil.copy(path, desk.feed / "simr")
    *good, newest = simulate_feed(desk.folder / "east", volumes=3, start=START, radar=east)
    for path in good:
        shutil.copy(path, desk.feed / "east")
    (desk.feed / "east" / newest.name).write_bytes(newest.read_bytes()[:3000])
    desk.configure(mosaic={"step_minutes": 5}, output={"folder": "{site}/{time:%Y%m%d_%H%M}"})
    desk.batch()
    assert any(text.startswith(f"left out: east/{newest.name} ") for text in desk.status["warnings"])


def test_cycles_on_another_grid_are_not_scored_and_that_is_told(desk: Desk) -> None:
    desk.deliver(0, 1, 2)
    desk.batch()
    desk.configure(grid={"spacing_m": 12500})
    desk.deliver(3)
    assert desk.batch()["scores"]["running"]["forecasts"] == []
    told = "cycles on another grid are not scored: 1, the last 2024-01-15T04:10:00Z"
    assert any(told in warning for warning in desk.status["warnings"])


def test_an_old_input_gives_no_forecast(desk: Desk) -> None:
    desk.configure(input={"max_age": "30min"})
    desk.deliver(0, 1, 2)
    status = desk.batch(code=3)
    assert status["state"] == "stale" and "days old, more than 30 minutes" in status["reason"]
    assert status["newest_input"] == "2024-01-15T04:10:00Z" and status["input_age_seconds"] > 1e6 and not desk.cycles()


@pytest.mark.parametrize("what", ["no folder", "nothing", "nothing good"])
def test_without_input_the_run_says_so(desk: Desk, what: str) -> None:
    if what == "no folder":
        desk.configure(input={"path": "nowhere"})
    elif what == "nothing good":
        (desk.feed / "notes.txt").write_text("no volume")
    status = desk.batch(code=3)
    words = {
        "no folder": "cannot read the input folder",
        "nothing": "no complete file",
        "nothing good": "no volume among",
    }
    assert status["state"] == "stale" and words[what] in status["reason"]


def test_old_cycles_are_removed_and_nothing_else(desk: Desk) -> None:
    desk.configure(retention={"age": "10min"})
    desk.deliver(0, 1)
    desk.batch()
    first = desk.out / "SIMR" / "20240115_0405"
    (first / "notes.txt").write_text("a forecaster's own")
    stranger = desk.out / "SIMR" / "20240101_0000"
    stranger.mkdir()
    (stranger / "forecast.nc").write_bytes(b"somebody else's")
    for number in (2, 3, 4):
        desk.deliver(number)
        desk.batch()
    assert desk.cycles() == [f"SIMR/20240115_04{m}" for m in (10, 15, 20)]
    assert [path.name for path in first.iterdir()] == ["notes.txt"] and (stranger / "forecast.nc").exists()


def test_retention_spares_what_was_changed_and_follows_no_link(desk: Desk) -> None:
    desk.deliver(0, 1)
    desk.batch()
    desk.deliver(2)
    desk.batch()
    edited, linked = desk.out / "SIMR" / "20240115_0405", desk.out / "SIMR" / "20240115_0410"
    (edited / "forecast.nc").write_bytes(b"edited")
    linked.rename(desk.folder / "kept")
    linked.symlink_to(desk.folder / "kept")
    desk.configure(retention={"age": 0})
    desk.deliver(3)
    desk.batch()
    assert (edited / "forecast.nc").read_bytes() == b"edited" and len(list((desk.folder / "kept").iterdir())) == 3
    assert "changed by somebody else" in " ".join(line["message"] for line in desk.log)


def test_retention_by_size_keeps_the_newest(desk: Desk) -> None:
    desk.configure(retention={"size": 1})
    for number in range(4):
        desk.deliver(number)
        if number:
            desk.batch()
    assert desk.cycles() == ["SIMR/20240115_0415"]


def test_latest_replaces_no_file_of_somebody_else(desk: Desk) -> None:
    desk.configure(output={"latest": "latest"})
    desk.deliver(0, 1)
    desk.out.mkdir()
    (desk.out / "latest").write_text("a note")
    assert "is no symbolic link" in desk.batch()["warnings"][0] and (desk.out / "latest").read_text() == "a note"


def test_a_folder_of_somebody_else_is_not_replaced(desk: Desk) -> None:
    desk.deliver(0, 1)
    (desk.out / "SIMR" / "20240115_0405").mkdir(parents=True)
    status = desk.batch(code=3)
    assert status["state"] == "failed" and "this job did not write it" in status["reason"]
    assert "fallback" not in status["stages"], "told before the work"


def health(desk: Desk) -> tuple[int, dict[str, object], str]:
    command = [sys.executable, "-m", "nowcast", "status", str(desk.job_file)]
    text, answer = (subprocess.run([*command, *extra], capture_output=True, text=True) for extra in ([], ["--json"]))
    assert text.returncode == answer.returncode
    return text.returncode, json.loads(answer.stdout), text.stdout


def test_the_status_is_a_health_check(desk: Desk) -> None:
    code, answer, text = health(desk)
    assert code == 3 and "no run of this job has left a status yet" in text
    desk.deliver(0, 1, 2)
    desk.batch()
    code, answer, text = health(desk)
    assert code == 0 and answer["state"] == "done" and text.startswith("done: the newest forecast is ")
    assert {"cycle", "state", "input_age_seconds", "stages", "outputs"} <= set(answer)
    desk.configure(model="nowhere.safetensors")
    desk.batch(code=5)
    code, answer, text = health(desk)
    assert code == 5 and "is a fallback (advection); the model failed" in text
    command = shlex.join([sys.executable, "-m", "nowcast", "status", str(desk.job_file)])
    for unread in ("| true", "| head -c 5", "> /dev/full", "--json | true"):
        script = f"{command} {unread}; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
        assert done.returncode == 5 and "Traceback" not in done.stderr, unread
        assert ("cannot write the answer to stdout: No space left" in done.stderr) == ("full" in unread)
    desk.configure(input={"max_age": "1h"})
    assert health(desk)[0] == 3
    desk.configure(grid={"spacing_m": -5})
    desk.batch(code=3)
    code, answer, text = health(desk)
    assert code == 1 and text.startswith("failed: ") and "job.yaml:" in text
    (desk.out / "desk.status.json").write_text("{half of it")
    code, answer, text = health(desk)
    assert code == 3 and "status.json cannot be read; the next run writes it anew" in text


def test_a_look_that_finds_nothing_new_is_told_and_mends_the_status(desk: Desk) -> None:
    desk.deliver(0, 1, 2)
    done = desk.batch()
    (desk.out / "desk.status.json").write_text(
        json.dumps(done | {"state": "failed", "exit_code": 1, "warnings": ["long gone"]})
    )
    (desk.feed / desk.volumes[3].name).write_bytes(desk.volumes[3].read_bytes()[:3000])
    looked = desk.batch("--once-per", "5min")
    assert (looked["state"], looked["exit_code"], looked["cycle"]) == ("done", 0, done["cycle"])
    assert looked["checked"] >= looked["finished"]
    (warning,) = looked["warnings"]
    assert warning.startswith(f"left out: {desk.volumes[3].name} "), "what it sees now, and no path of the work folder"
    text = health(desk)[2]
    assert f"last cycle ended: {done['finished']}" in text and f"last look: {looked['checked']}" in text


def test_ages_that_are_negative_are_told_as_such() -> None:
    assert (age_text(600), age_text(-10), age_text(-4800)) == (
        "10 minutes old",
        "0 seconds old",
        "80 minutes ahead of the clock",
    )


def test_the_status_for_people_has_the_scores() -> None:
    table = {
        "forecasts": [3, 2],
        "pooled_csi": {"forecast": {"20": 0.4, "45": None}, "extrapolation": {"20": 0.3, "45": None}},
    }
    assert scores_text(table) == ["CSI at 20 dBZ, 5 forecasts verified: forecast 0.400, extrapolation 0.300"]
    assert scores_text({}) == []


def test_a_job_is_checked_without_running_it(desk: Desk) -> None:
    assert desk.start("--check").wait() == 0 and not desk.out.exists()
    desk.configure(fit={"gausians": 5})
    run = desk.start("--check")
    assert run.wait() == 3 and "unknown key 'fit.gausians': did you mean 'gaussians'" in run.output.read_text()
    for wrong in ("often", "0s"):
        run = desk.start("--once-per", wrong)
        assert run.wait() == 2 and "--once-per" in run.output.read_text()


def test_answers_for_programs_keep_their_keys(desk: Desk) -> None:
    desk.deliver(0, 1)
    keys = {"cycle", "state", "input_age_seconds", "stages", "outputs"}
    for options in (("--json",), ("--json", "--once-per", "5min")):
        desk.batch(*options)
        last = (desk.folder / f"run{desk.runs}.txt").read_text().splitlines()[-1]
        answer = json.loads(last)
        assert keys <= set(answer) and answer["state"] == "done" and answer == desk.status
        assert {"path", "sha256"} <= set(answer["outputs"][0])


def test_the_metrics_are_what_a_node_exporter_reads(desk: Desk) -> None:
    desk.configure(metrics="desk.prom")
    for number in range(4):
        desk.deliver(number)
        if number > 1:
            desk.batch()
    text = (desk.folder / "desk.prom").read_text()
    sample = re.compile(r'(nowcast_[a-z_]+)\{nowcast_job="desk"(?:,[a-z_]+="[^"]*")*\} (-?[0-9.e+-]+)')
    found: dict[str, list[float]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = sample.fullmatch(line)
            assert match, line
            found.setdefault(match[1], []).append(float(match[2]))
    assert abs(found["nowcast_last_success_timestamp_seconds"][0] - time.time()) < 120
    assert (
        found["nowcast_last_cycle_timestamp_seconds"] == [1705292100]
        and len(found["nowcast_stage_duration_seconds"]) == 7
    )
    assert 'nowcast_runs_total{nowcast_job="desk",state="done"} 2' in text
    assert 'nowcast_latest_mae_dbz{nowcast_job="desk",method="forecast",lead_minutes="5"}' in text
    assert text.count("# TYPE") == len(found) == text.count("# HELP")


def test_logs_go_to_a_file_that_is_rotated(desk: Desk) -> None:
    desk.configure(log={"file": "log/desk.log", "size": 1500, "count": 2})
    desk.deliver(0, 1)
    for _ in range(4):
        desk.batch()
    logs = sorted((desk.folder / "log").iterdir())
    assert [path.name for path in logs] == ["desk.log", "desk.log.1", "desk.log.2"]
    assert all(path.stat().st_size <= 1500 for path in logs) and desk.log == []
    assert all(json.loads(line)["job"] == "desk" for path in logs for line in path.read_text().splitlines())


def test_a_run_is_light_until_the_worker_starts() -> None:
    code = (
        "import sys, nowcast.operations.cycle, nowcast.cli;"
        "print([m for m in ('torch', 'numpy', 'numba', 'xarray', 'netCDF4') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_reference_names_every_key() -> None:
    from dataclasses import fields, is_dataclass
    from typing import get_type_hints

    from nowcast.operations.job import Job

    text = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()

    def keys(cls: type) -> list[str]:
        hints = get_type_hints(cls)
        return [f.name for f in fields(cls)] + [
            k for f in fields(cls) if is_dataclass(h := hints[f.name]) for k in keys(h)
        ]

    missing = [key for key in keys(Job) if not re.search(rf"\b{key}:", text)]
    assert missing == []
