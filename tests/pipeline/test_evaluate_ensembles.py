"""Evaluation of ensembles and over events: from a method's members to JSON, CSV and the page."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from helpers import moving_cells, small_grid
from typer.testing import CliRunner

from nowcast.baselines import has_pysteps
from nowcast.cli import app
from nowcast.gaussians import FitConfig
from nowcast.io.forecasts import read_forecast
from nowcast.io.volumes import write_volumes
from nowcast.pipeline import methods
from nowcast.pipeline.evaluate import hindcast, run_evaluation
from nowcast.pipeline.hindcast_job import EvaluateRequest
from nowcast.pipeline.methods import Case
from nowcast.pipeline.report_files import write_report
from nowcast.pipeline.verify import VerifyRequest, run_verification
from nowcast.types import VolumeSequence

GRID = small_grid((4, 40, 48))
M = 5
runner = CliRunner()


def cells(steps: int = 8, seed: int = 1, start: str = "2020-01-01T00:00") -> VolumeSequence:
    volumes = moving_cells(GRID, (9.0, 4.0), steps=steps, seed=seed)
    times = np.datetime64(start, "ns") + (volumes.times - volumes.times[0])
    return VolumeSequence(volumes.values, volumes.mask, times, GRID)


def two_events() -> VolumeSequence:
    first, second = cells(), cells(seed=2, start="2020-01-03T00:00")
    values, mask = (np.concatenate([getattr(v, name) for v in (first, second)]) for name in ("values", "mask"))
    return VolumeSequence(values, mask, np.concatenate([first.times, second.times]), GRID)


def request(source: Path, *names: str, **options: object) -> EvaluateRequest:
    return EvaluateRequest(source, FitConfig(gaussians=64), names, leads=3, members=M, **options)  # type: ignore[arg-type]


def noisy(case: Case, leads: np.ndarray) -> np.ndarray:
    """An ensemble of ours: extrapolation with noise that the case seeds."""
    forecast = methods.extrapolation(case.volumes, leads, case.fit_config.motion)
    noise = np.random.default_rng(case.seed).normal(0, 3, (case.members, *forecast.shape))
    return forecast + noise.astype(np.float32)


@pytest.fixture
def a_noisy_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(methods._METHODS, "steps", noisy)
    monkeypatch.setattr("nowcast.pipeline.hindcast_job.has_pysteps", lambda: True)


@pytest.mark.usefixtures("a_noisy_method")
def test_any_method_may_return_members(tmp_path: Path) -> None:
    report = hindcast(cells(), request(tmp_path, "persistence", "steps"))
    answer = report.answer()["methods"]
    assert "crps" not in answer["persistence"]
    found = answer["steps"]
    assert found["members"] == M
    for key in ("crps", "crps_fair", "spread_dbz", "spread_skill"):
        assert len(found[key]) == 3 and np.isfinite(found[key]).all()
    assert np.less(found["crps_fair"], found["crps"]).all() and np.less(found["crps"], found["mae_dbz"]).all()
    for key in ("brier", "brier_fair", "brier_skill"):
        assert len(found[key]["35"]) == 3
    reliability = found["reliability"]["20"]
    assert [sum(row) for row in reliability["forecasts"]] == [2 * np.prod(GRID.shape)] * 3
    observed = [hits + misses for hits, misses, _ in found["counts"]["20"]]
    assert [sum(row) for row in reliability["events"]] == observed
    assert len(found["rank_histogram"][0]) == M + 1
    assert len(found["spectrum"]["forecast"][0]) == len(found["spectrum"]["wavelength_km"])
    assert found["observed_area_km2"]["35"] == answer["persistence"]["observed_area_km2"]["35"]


@pytest.mark.usefixtures("a_noisy_method")
def test_kept_ensembles_score_the_same_when_verified(tmp_path: Path) -> None:
    write_volumes(cells(), tmp_path / "volumes.nc")
    report = run_evaluation(request(tmp_path / "volumes.nc", "steps", keep_forecasts=tmp_path / "kept"))
    again = run_verification(VerifyRequest((tmp_path / "kept",), tmp_path / "volumes.nc")).report
    ours, theirs = report.answer()["methods"]["steps"], again.answer()["methods"]["steps"]
    assert theirs["crps"] == pytest.approx(ours["crps"], abs=0.01)  # files hold reflectivity to 0.01 dBZ
    assert theirs["spread_dbz"] == pytest.approx(ours["spread_dbz"], abs=0.01)


def test_events_are_told_apart_and_give_intervals(tmp_path: Path) -> None:
    report = hindcast(two_events(), request(tmp_path, "persistence", "extrapolation"))
    answer = report.answer()
    assert [event["initial_times"] for event in answer["events"]] == [2, 2]
    assert answer["events"][1]["first"] == np.datetime64("2020-01-03T00:30", "ns")
    assert answer["confidence"]["events"] == 2 and "too narrow" in answer["confidence"]["note"]
    for method in answer["methods"].values():
        of_event = [event["mae_dbz"] for event in method["by_event"]]
        for lead, (low, high) in enumerate(method["intervals"]["mae_dbz"]):
            assert low == pytest.approx(min(e[lead] for e in of_event))  # of two events the bounds are the events
            assert high == pytest.approx(max(e[lead] for e in of_event))
        low, high = method["intervals"]["csi"]["20"][0]
        assert low <= method["csi"]["20"][0] <= high
    best = {entry["score"]: entry for entry in answer["best"]}["MAE"]
    means = {name: np.mean(method["mae_dbz"]) for name, method in answer["methods"].items()}
    assert (best["method"], best["next_method"]) == ("extrapolation", "persistence")
    assert best["difference"] == pytest.approx(means["extrapolation"] - means["persistence"])
    assert best["interval"][0] <= best["difference"] <= best["interval"][1] < 0
    single = hindcast(cells(), request(tmp_path, "persistence")).answer()
    assert "intervals" not in single["methods"]["persistence"] and "no interval" in single["confidence"]["note"]


def test_pooled_scores_are_those_of_all_events_together(tmp_path: Path) -> None:
    report = hindcast(two_events(), request(tmp_path, "persistence"))
    parts = [
        hindcast(volumes, request(tmp_path, "persistence")).tallies["persistence"]
        for volumes in (cells(), cells(seed=2, start="2020-01-03T00:00"))
    ]
    whole = report.tallies["persistence"]
    assert np.array_equal(whole.counts, parts[0].counts + parts[1].counts)
    assert whole.cases.tolist() == [4, 4, 4]


@pytest.mark.usefixtures("a_noisy_method")
def test_a_page_has_its_tables_beside_it(tmp_path: Path) -> None:
    report = hindcast(two_events(), request(tmp_path, "persistence", "steps"))
    paths = write_report(report, tmp_path / "out" / "storms.html", "two storms")
    assert paths[0] == tmp_path / "out" / "storms.html" and "two storms" in paths[0].read_text()
    names = {path.name for path in paths}
    assert names == {p.name for p in (tmp_path / "out").iterdir()}
    assert {"storms-scores.json", "storms-ensemble.csv", "storms-reliability.csv", "storms-ranks.csv"} <= names
    with (tmp_path / "out" / "storms-ensemble.csv").open() as file:
        rows = list(csv.DictReader(file))
    answer = json.loads((tmp_path / "out" / "storms-scores.json").read_text())["methods"]["steps"]
    assert [float(row["crps"]) for row in rows] == pytest.approx(answer["crps"], rel=1e-5)
    with (tmp_path / "out" / "storms-by_event.csv").open() as file:
        assert {row["event_first"] for row in csv.DictReader(file)} == {"2020-01-01T00:30:00Z", "2020-01-03T00:30:00Z"}
    with (tmp_path / "out" / "storms-scores.csv").open() as file:
        row = next(csv.DictReader(file))
    assert float(row["csi_low"]) <= float(row["csi"]) <= float(row["csi_high"])


@pytest.mark.skipif(not has_pysteps(), reason="pysteps is not installed")
def test_steps_on_the_command_line(tmp_path: Path) -> None:
    write_volumes(cells(steps=7), tmp_path / "volumes.nc")
    options = ["--leads", "2", "--methods", "extrapolation-levels,steps", "--members", "4", "--json"]
    page = tmp_path / "report.html"
    done = runner.invoke(app, ["evaluate", str(tmp_path / "volumes.nc"), *options, "-o", str(page)])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)  # pysteps prints on stdout; not here
    assert answer["methods"]["steps"]["members"] == 4 and len(answer["methods"]["steps"]["crps"]) == 2
    assert answer["outputs"][0] == str(page) and page.is_file()


@pytest.mark.skipif(not has_pysteps(), reason="pysteps is not installed")
def test_steps_does_not_see_the_future(tmp_path: Path) -> None:
    one, other = cells(steps=6), cells(steps=6, seed=5)
    values = np.concatenate([one.values[:4], other.values[4:]])
    changed = VolumeSequence(values, one.mask, one.times, GRID)
    kept = []
    for name, volumes in (("one", one), ("other", changed)):
        asked = EvaluateRequest(tmp_path, FitConfig(), ("steps",), leads=2, members=3, keep_forecasts=tmp_path / name)
        hindcast(volumes, asked)
        kept.append(read_forecast(next((tmp_path / name / "steps").iterdir())).values)
    assert kept[0].shape[0] == 3
    assert np.array_equal(*kept)
