"""Cycles of a desk as it should be: published whole, once, told, scored."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from desk import START, Desk, simulate_feed

from nowcast.io.forecasts import read_forecast
from nowcast.operations.job import read_job
from nowcast.operations.last_run import as_left
from nowcast.operations.missed import trying
from nowcast.operations.publish import publish
from nowcast.operations.records import Records
from nowcast.operations.refused import Refused
from nowcast.operations.retention import clean
from nowcast.operations.scores import score_tables
from nowcast.pipeline.verify import VerifyRequest, run_verification
from nowcast.verify import TallyConfig


def test_a_cycle_is_published_with_a_manifest_that_holds(desk: Desk) -> None:
    desk.deliver(0, 1, 2, 3)
    status = desk.batch()
    assert (status["state"], status["cycle"], status["method"]) == ("done", "2024-01-15T04:15:00Z", "advection")
    assert list(status["stages"]) == ["wait", "inputs", "grid", "fallback", "forecast", "publish", "scores"]
    folder = desk.out / "SIMR" / "20240115_0415"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["cycle"] == status["cycle"] and manifest["state"] == "done"
    assert sorted(path.name for path in folder.iterdir()) == ["forecast.nc", "forecast.observed.nc", "manifest.json"]
    for told, file in zip(status["outputs"], manifest["outputs"], strict=True):
        assert told["path"] == str(folder / file["path"]) and told["sha256"] == file["sha256"]
        assert hashlib.sha256((folder / file["path"]).read_bytes()).hexdigest() == file["sha256"]
    forecast = read_forecast(folder / "forecast.nc")
    assert forecast.method == "advection" and len(forecast.provenance["input_files"]) == 3
    assert (desk.out / "SIMR" / "latest").readlink() == Path("20240115_0415")
    assert list((desk.inside / "work").iterdir()) == []
    stages = {line["stage"]: line["seconds"] for line in desk.log if "stage" in line}
    assert stages == status["stages"] and len({line["run"] for line in desk.log}) == 1


def test_products_are_published_with_the_forecast(desk: Desk) -> None:
    desk.deliver(0, 1, 2)
    desk.configure(products={"names": ["column_maximum", "vil"]})
    status = desk.batch()
    folder = desk.out / "SIMR" / "20240115_0410"
    names = [Path(file["path"]).name for file in status["outputs"]]
    assert names == ["forecast.nc", "forecast.products.nc", "forecast.observed.nc"] and status["state"] == "done"
    with xr.open_dataset(folder / "forecast.products.nc") as found:
        top = np.fmax.reduce(read_forecast(folder / "forecast.nc").values[0], axis=1)
        np.testing.assert_allclose(found["column_maximum"], top, atol=0.01)
        assert "vil" in found


def test_once_per_does_no_cycle_twice(desk: Desk) -> None:
    desk.deliver(0, 1, 2)
    first = desk.batch("--once-per", "5min")
    again = desk.batch("--once-per", "5min")
    assert again["finished"] == first["finished"] and again["checked"] and again["totals"]["done"] == 1
    assert "nothing has come" in desk.log[-1]["message"]
    (desk.feed / "notes.txt").write_text("not a volume")
    assert desk.batch("--once-per", "5min")["totals"]["done"] == 1, "a new file that is no volume starts no cycle"
    assert "has been published" in desk.log[-1]["message"]
    desk.deliver(3)
    assert desk.batch("--once-per", "15min")["cycle"] == "2024-01-15T04:15:00Z"
    desk.deliver(4)
    assert desk.batch("--once-per", "15min")["cycle"] == "2024-01-15T04:15:00Z", (
        "04:20 is of the same quarter of an hour"
    )
    assert "from 2024-01-15T04:15:00Z has been published, of the same 15 minutes" in desk.log[-1]["message"]
    assert desk.batch()["cycle"] == "2024-01-15T04:20:00Z"
    assert desk.batch()["totals"]["done"] == 4, "without --once-per a cycle is redone"
    assert desk.cycles() == [f"SIMR/20240115_04{m}" for m in (10, 15, 20)]


def test_catch_up_does_the_missed_ones_oldest_first(desk: Desk) -> None:
    desk.deliver(0, 1, 2)
    desk.batch()
    desk.deliver(3, 4, 5)
    status = desk.batch("--catch-up", "--json")
    answers = [line for line in desk.log if "totals" in line]
    assert [one["cycle"][11:16] for one in answers] == ["04:15", "04:20", "04:25"]
    published = [line["cycle"][11:16] for line in desk.log if line.get("stage") == "publish"]
    assert published == ["04:15", "04:20", "04:25"] and status["cycle"] == "2024-01-15T04:25:00Z"
    assert (desk.out / "SIMR" / "latest").readlink() == Path("20240115_0425")
    for name, newest in (("0415", "041500"), ("0420", "042000")):
        forecast = read_forecast(desk.out / "SIMR" / f"20240115_{name}" / "forecast.nc")
        assert forecast.provenance["input_files"][-1].endswith(f"_{newest}.nc"), "a late cycle sees nothing later"
    assert "nothing has come since" in [desk.batch("--catch-up"), desk.log[-1]["message"]][1]


def test_a_missed_cycle_that_was_not_begun_is_tried_again(desk: Desk) -> None:
    desk.deliver(0, 1)
    desk.batch()
    desk.deliver(2, 3)
    desk.configure(output={"keep_free": "1000TB"})
    desk.batch("--catch-up", code=3)
    desk.configure()
    desk.batch("--catch-up")
    assert [line["cycle"][11:16] for line in desk.log if line.get("stage") == "publish"] == ["04:10", "04:15"]


def test_a_missed_cycle_that_a_run_was_killed_at_is_tried_once_more(desk: Desk) -> None:
    job = read_job(desk.job_file)
    desk.deliver(0, 1)
    desk.batch()
    desk.deliver(2, 3, 4)
    for time, kills in (("2024-01-15T04:10:00.000000000", 1), ("2024-01-15T04:15:00.000000000", 2)):
        for _ in range(kills):
            with pytest.raises(KeyboardInterrupt), trying(job, time):
                raise KeyboardInterrupt
    desk.batch("--catch-up")
    assert [line["cycle"][11:16] for line in desk.log if line.get("stage") == "publish"] == ["04:10", "04:20"]


def test_files_that_workers_were_lost_over_are_not_given_to_who_looks_for_missed_cycles(desk: Desk) -> None:
    job = desk.job_file
    *_, bad = desk.deliver(0, 1, 3, 2)
    desk.batch()
    stat = bad.stat()
    refused = Refused(desk.inside / "refused.json", read_job(job).limits.memory)
    for _ in range(2):
        refused.add(bad, (stat.st_size, stat.st_mtime_ns), strike=True)
    shutil.rmtree(desk.out / "SIMR" / "20240115_0415")
    desk.batch("--catch-up")
    assert any("not read any more: SIMR_20240115_041000" in text for text in desk.status["warnings"])
    assert not (desk.inside / "tried.json").exists()


def test_the_end_of_a_killed_run_that_caught_up_is_that_of_its_last_cycle(desk: Desk) -> None:
    job = read_job(desk.job_file)

    def publish_one(cycle: str, run: str, when: str) -> None:
        work = job.inside / "work" / run
        work.mkdir(parents=True, exist_ok=True)
        (work / "forecast.nc").write_text(cycle)
        facts = {"run": run, "state": "done", "reason": None, "method": "m", "published": when, "input_files": []}
        publish(job, work, cycle, "SIMR", [work / "forecast.nc"], facts)

    publish_one("2024-01-15T12:00:00Z", "first", "2024-01-15T12:01:00Z")
    publish_one("2024-01-15T11:50:00Z", "second", "2024-01-15T12:02:00Z")
    left = {
        "state": "running",
        "run": "second",
        "totals": {"done": 2},
        "last_success": {"cycle": "2024-01-15T12:00:00Z"},
    }
    killed = as_left(job, left | {"started": "2024-01-15T12:02:30Z"})
    assert (killed["state"], killed["totals"]) == ("failed", {"done": 2, "failed": 1})
    done = as_left(job, left | {"started": "2024-01-15T12:01:30Z"})
    assert done["cycle"] == "2024-01-15T11:50:00Z" and done["last_success"]["cycle"] == "2024-01-15T12:00:00Z"


def test_a_folder_that_comes_again_loses_no_manifest(desk: Desk) -> None:
    job = read_job(desk.job_file)
    for second in range(5):
        cycle = f"2024-01-15T04:10:0{second}Z"
        work = job.inside / "work" / "run"
        work.mkdir(parents=True, exist_ok=True)
        (work / "forecast.nc").write_text(cycle)
        facts = {"run": "run", "state": "done", "reason": None, "method": "m", "published": cycle, "input_files": []}
        publish(job, work, cycle, "SIMR", [work / "forecast.nc"], facts)
        clean(job)
        assert [one.cycle for one in Records(job).complete()] == [cycle]
    assert sorted(path.name for path in (desk.out / "SIMR" / "20240115_0410").iterdir()) == [
        "forecast.nc",
        "manifest.json",
    ]


def test_a_clutter_map_that_cannot_be_read_is_no_late_feed(desk: Desk) -> None:
    desk.configure(clutter="map.nc")
    desk.deliver(0, 1)
    status = desk.batch(code=3)
    assert status["state"] == "failed" and "map.nc" in status["reason"]


def test_after_an_outage_a_hurried_fallback_has_the_usual_step(desk: Desk) -> None:
    desk.configure(input={"frames": 2}, leads=12)
    desk.deliver(0, 1)
    late = simulate_feed(desk.folder / "late", volumes=1, start=START + np.timedelta64(90, "m"))
    shutil.copy(late[0], desk.feed)
    path = desk.batch()["outputs"][0]["path"]
    assert read_forecast(Path(path)).lead_times[-1] == np.timedelta64(60, "m")


def test_catch_up_goes_no_farther_back_than_the_job_allows(desk: Desk) -> None:
    desk.configure(limits={"catch_up": "6min"})
    desk.deliver(0, 1, 2)
    desk.batch()
    desk.deliver(3, 4, 5)
    desk.batch("--catch-up")
    published = [line["cycle"][11:16] for line in desk.log if line.get("stage") == "publish"]
    assert published == ["04:20", "04:25"]


def test_catch_up_fills_a_gap_and_tries_each_missed_cycle_once(desk: Desk) -> None:
    desk.deliver(0, 1)
    desk.batch()
    desk.deliver(4)
    desk.batch()
    (late,) = desk.deliver(2)
    bad = desk.feed / desk.volumes[3].name
    bad.write_bytes(late.read_bytes())  # it holds the volume of 04:10 once more
    desk.batch("--catch-up")
    published = [line["cycle"][11:16] for line in desk.log if line.get("stage") == "publish"]
    assert published == ["04:10"], "the newest stands already"
    assert desk.status["cycle"] == desk.status["last_success"]["cycle"] == "2024-01-15T04:20:00Z"
    assert "20240115_0420" in desk.status["outputs"][0]["path"]
    assert (desk.out / "SIMR" / "latest").readlink() == Path("20240115_0420")
    shutil.rmtree(desk.out / "SIMR" / "20240115_0410")
    desk.batch("--catch-up", "--once-per", "5min")
    assert not [line for line in desk.log if line.get("stage") == "publish"], "removed by somebody: not made again"


def test_forecasts_are_scored_when_their_times_have_come(desk: Desk) -> None:
    desk.deliver(0, 1, 2)
    assert desk.batch()["scores"]["running"]["forecasts"] == []
    for number in (3, 4, 5):
        desk.deliver(number)
        status = desk.batch()
    running, latest = status["scores"]["running"], status["scores"]["latest"]
    assert running["lead_minutes"] == latest["lead_minutes"] == [5.0, 10.0]
    assert running["forecasts"] == [3, 2] and latest["forecasts"] == [1, 1]
    assert set(running["methods"]) == {"forecast", "extrapolation", "persistence"}
    files = tuple(desk.out / folder / "forecast.nc" for folder in desk.cycles()[:-1])
    checked = run_verification(VerifyRequest(files, desk.feed)).report.tallies["advection"]
    ours = running["methods"]["forecast"]
    np.testing.assert_allclose(ours["mae_dbz"], checked.mae(), atol=1e-3)
    np.testing.assert_allclose(np.array(ours["csi"]["20"], float), checked.csi()[:, 0], atol=1e-3)
    assert running["methods"]["persistence"]["mae_dbz"] != ours["mae_dbz"]
    assert desk.batch()["scores"]["running"] == running, "a redone cycle counts once"


def test_forecasts_below_extrapolation_are_warned_of() -> None:
    def row(forecast: int, extrapolation: int) -> dict[str, object]:
        hits = {"forecast": forecast, "extrapolation": extrapolation, "persistence": 0}
        methods = {m: {"counts": [[h, 1000 - h, 100]] * 5, "sums": [5e4, 0, 1e4, 1e5]} for m, h in hits.items()}
        return {"cycle": "2024-01-15T04:00:00Z", "lead_minutes": 5.0, "methods": methods}

    def warning(rows: list[dict[str, object]], **changes: float) -> str | None:
        return score_tables(rows, [], TallyConfig(), changes.get("warn_dbz", 35.0))["warning"]

    assert "CSI at 35 dBZ 0.273 against 0.364, 2 forecasts verified" in str(warning([row(300, 400), row(300, 400)]))
    assert warning([row(400, 300)] * 2) is None, "better is no reason"
    assert warning([row(300, 400)]) is None, "a thousand voxels tell little"
    assert warning([row(300, 400)] * 2, warn_dbz=33.0) is None, "no such threshold is scored"


def test_scores_at_other_thresholds_start_anew(desk: Desk) -> None:
    for number in range(3):
        desk.deliver(number)
        desk.batch()
    assert sum(desk.status["scores"]["running"]["forecasts"]) == 3
    desk.configure(tally={"thresholds_dbz": [25.0, 35.0]})
    desk.deliver(3)
    running = desk.batch()["scores"]["running"]
    assert set(running["pooled_csi"]["forecast"]) == {"25", "35"}


def test_a_state_is_carried_on_without_a_model(desk: Desk) -> None:
    desk.deliver(0, 1, 2)
    desk.batch()
    state = (desk.inside / "state.nc").read_bytes()
    desk.deliver(3)
    desk.batch()
    assert (desk.inside / "state.nc").read_bytes() != state
    desk.configure(grid={"spacing_m": 12500})
    desk.deliver(4)
    desk.batch()
    assert any("state" in line["message"] and "not used" in line["message"] for line in desk.log)
    for junk in (b"", b"not a state at all"):
        (desk.inside / "state.nc").write_bytes(junk)
        assert desk.batch()["state"] == "done"
        assert any("is no state and is removed" in line["message"] for line in desk.log)


def test_the_default_model_forecasts(desk: Desk) -> None:
    desk.configure(model="default", members=2)
    desk.deliver(0, 1, 2)
    status = desk.batch()
    assert status["method"] == "gaumamba"
    with xr.open_dataset(status["outputs"][0]["path"], decode_timedelta=True) as dataset:
        assert dataset.sizes["member"] == 2 and "fallback_reason" not in dataset.attrs
