"""Hindcasts: which times are scored, what a forecast may see, what the answer holds."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from gaussian_cases import lively
from helpers import moving_cells, real_data, small_grid
from typer.testing import CliRunner

from nowcast.cli import app
from nowcast.errors import InputError, OutputError, UsageError
from nowcast.gaussians import FitConfig
from nowcast.io.forecasts import read_forecast
from nowcast.io.foreign_forecasts import read_foreign_forecast
from nowcast.io.volumes import write_volumes
from nowcast.models import save_checkpoint
from nowcast.pipeline import hindcast_job
from nowcast.pipeline.evaluate import hindcast, initial_indices, run_evaluation
from nowcast.pipeline.hindcast_job import EvaluateRequest
from nowcast.pipeline.methods import Case
from nowcast.pipeline.report_files import make_folder, write_report
from nowcast.pipeline.verify import VerifyRequest, run_verification
from nowcast.types import VolumeSequence

FAST = ("persistence", "extrapolation", "extrapolation-levels")
GRID = small_grid((5, 40, 48))


def cells(steps: int = 9, **kwargs: float) -> VolumeSequence:
    return moving_cells(GRID, (9.0, 4.0), steps=steps, **kwargs)  # type: ignore[arg-type]


def request(source: Path, **kwargs: object) -> EvaluateRequest:
    return EvaluateRequest(source, FitConfig(gaussians=64), **{"methods": FAST, "leads": 3, **kwargs})  # type: ignore[arg-type]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "volumes.nc"
    write_volumes(cells(), path)
    return path


def test_extrapolation_beats_persistence_where_cells_move(archive: Path) -> None:
    report = run_evaluation(request(archive))
    assert report.lead_minutes == [10, 20, 30]
    assert len(report.initial_times) == 3
    mae = {name: tally.mae() for name, tally in report.tallies.items()}
    csi = {name: tally.csi()[:, 0] for name, tally in report.tallies.items()}
    for name in FAST[1:]:
        assert (mae[name] < 0.3 * mae["persistence"]).all()
        assert (csi[name] > csi["persistence"]).all()
    assert report.scored_on == "observed voxels"


def test_answer_and_files(archive: Path, tmp_path: Path) -> None:
    report = run_evaluation(request(archive))
    answer = report.answer()
    assert {"initial_times", "lead_minutes", "methods"} <= answer.keys()
    assert list(answer["methods"]) == list(FAST)
    scores = answer["methods"]["extrapolation"]
    assert list(scores["csi"]) == ["20", "30", "35", "40", "45"]
    for key in ("csi", "pod", "far", "bias"):
        assert len(scores[key]["35"]) == 3
    hits, misses, false_alarms = scores["counts"]["20"][1]
    assert scores["csi"]["20"][1] == pytest.approx(hits / (hits + misses + false_alarms))
    assert len(scores["by_height"]["mae_dbz"]) == GRID.shape[0]

    paths = write_report(report, tmp_path / "out")
    assert paths[0].name == "report.html"
    tables = {
        "scores.json",
        *(f"{n}.csv" for n in ("scores", "errors", "by_height", "by_scale", "by_event", "spectra")),
    }
    pictures = {f"{n}.png" for n in ("scores", "by_height", "by_scale", "spectra", "areas")}
    assert {p.name for p in paths} == {"report.html"} | tables | pictures
    assert all(p.stat().st_size > 0 for p in paths)
    assert not list((tmp_path / "out").glob(".*"))
    with (tmp_path / "out" / "scores.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["method"] == "extrapolation" and r["threshold_dbz"] == "20"]
    assert [int(rows[1][k]) for k in ("hits", "misses", "false_alarms")] == [hits, misses, false_alarms]
    assert float(rows[1]["csi"]) == pytest.approx(scores["csi"]["20"][1], abs=1e-5)
    kept = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert kept["methods"].keys() == answer["methods"].keys()


def test_scores_say_what_they_were_made_from(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["evaluate", str(archive), "--leads", "2", "--methods", "persistence", "--every", "4", "-o", str(out)]
    assert CliRunner().invoke(app, [*words, "--keep-forecasts"]).exit_code == 0
    told = json.loads((out / "scores.json").read_text())["provenance"]
    assert told["input_sha256"] == {archive.name: hashlib.sha256(archive.read_bytes()).hexdigest()}
    assert told["method"] == "persistence" and told["version"] and told["command"].startswith("nowcast")
    kept = sorted((out / "forecasts").rglob("*.nc"))
    again = ["verify", str(out / "forecasts"), "--obs", str(archive), "-o", str(tmp_path / "verified")]
    assert CliRunner().invoke(app, again).exit_code == 0
    told = json.loads((tmp_path / "verified" / "scores.json").read_text())["provenance"]
    assert told["forecasts_sha256"].keys() == {path.name for path in kept} and told["observed"] == archive.name


@pytest.mark.parametrize("methods", [FAST, ("advection", "gaumamba")])
def test_later_volumes_change_scores_but_no_forecast(tmp_path: Path, methods: tuple[str, ...]) -> None:
    one, other = cells(steps=7), moving_cells(GRID, (-15.0, 0.0), steps=7, seed=5, peak_dbz=65.0)
    values = one.values.copy()
    values[4:] = other.values[4:]
    changed = VolumeSequence(values, one.mask, one.times, GRID, coverage=values[:, 0].any(axis=0))
    model = None
    if "gaumamba" in methods:
        model = tmp_path / "model.safetensors"
        save_checkpoint(model, lively())
    found = []
    for name, volumes in (("one", one), ("changed", changed)):
        asked = request(tmp_path, methods=methods, model=model, keep_forecasts=tmp_path / name)
        report = hindcast(volumes, asked)
        files = sorted((tmp_path / name).rglob("*.nc"))
        fields = []
        for path in files:
            with xr.open_dataset(path, mask_and_scale=False) as dataset:
                fields.append(dataset.reflectivity.values)
        found.append((files, fields, [tally.mae()[0] for tally in report.tallies.values()]))
    assert len(found[0][1]) == len(methods)
    assert [p.name for p in found[0][0]] == ["20200101T003000.nc"] * len(methods)
    for a, b in zip(found[0][1], found[1][1], strict=True):
        assert np.array_equal(a, b)
    if model is not None:
        assert not np.array_equal(*found[0][1])  # the model does correct the advection
    assert found[0][2] != found[1][2]


def test_kept_forecasts_score_the_same_when_verified(archive: Path, tmp_path: Path) -> None:
    report = run_evaluation(request(archive, keep_forecasts=tmp_path / "kept"))
    again = run_verification(VerifyRequest((tmp_path / "kept",), archive))
    assert not again.missing
    assert set(again.report.tallies) == set(report.tallies)
    for name, tally in report.tallies.items():
        # Files hold reflectivity to 0.01 dBZ.
        assert np.allclose(again.report.tallies[name].mae(), tally.mae(), atol=0.006)
        assert np.allclose(again.report.tallies[name].csi(), tally.csi(), atol=0.02, equal_nan=True)


def test_only_observed_voxels_count(archive: Path) -> None:
    volumes = cells()
    mask = volumes.mask.copy()
    mask[5:, :, :, :20] = False
    values = np.where(mask[:, None], volumes.values, np.float32(np.nan))
    some = VolumeSequence(values, mask, volumes.times, GRID)
    report = hindcast(some, request(archive))
    # The initial times are volumes 3, 4 and 5.
    expected = [mask[i + 1 : i + 4].sum(axis=(1, 2, 3)) for i in (3, 4, 5)]
    for tally in report.tallies.values():
        assert tally.sums[:, :, 0].sum(axis=1).tolist() == np.sum(expected, axis=0).tolist()


def test_coverage_limits_the_scored_voxels(archive: Path) -> None:
    volumes = cells()
    coverage = np.zeros(GRID.shape, bool)
    coverage[:, 10:20] = True
    some = VolumeSequence(volumes.values, volumes.mask, volumes.times, GRID, coverage=coverage)
    report = hindcast(some, request(archive, methods=("persistence",)))
    assert report.tallies["persistence"].sums[:, :, 0].sum(axis=1).tolist() == [3 * coverage.sum()] * 3
    assert "at least once" in report.scored_on


def test_gaps_are_respected() -> None:
    volumes = cells(steps=14)
    assert initial_indices(volumes, 4, 3).tolist() == list(range(3, 11))
    assert initial_indices(volumes, 4, 3, every=3).tolist() == [3, 6, 9]
    gap = volumes.select([*range(6), *range(7, 14)])
    assert initial_indices(gap, 3, 2).tolist() == [2, 3, 8, 9, 10]


@pytest.mark.parametrize(
    ("volumes", "message"),
    [
        (cells(steps=5), "5 volumes"),
        (cells(peak_dbz=15.0), "dry"),
        (cells(steps=12).select([0, 1, 2, 4, 5, 6, 8, 9, 10]), "follow each other"),
    ],
)
def test_archives_that_cannot_be_scored(tmp_path: Path, volumes: VolumeSequence, message: str) -> None:
    with pytest.raises(InputError, match=message):
        hindcast(volumes, request(tmp_path))


def test_methods_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    with pytest.raises(UsageError, match="unknown method guess"):
        run_evaluation(request(nowhere, methods=("persistence", "guess")))
    with pytest.raises(UsageError, match="--model"):
        run_evaluation(request(nowhere, methods=("gaumamba",)))
    with pytest.raises(UsageError, match="--members 20"):
        run_evaluation(request(nowhere, methods=("steps",)))
    assert set(request(nowhere, methods=()).chosen_methods()) == {*FAST, "reconstruction", "advection"}
    with pytest.raises(InputError, match="nowhere"):
        run_evaluation(request(nowhere))


def test_a_failing_initial_time_counts_for_no_method(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_evaluation(request(archive))
    bad = whole.initial_times[1]
    make = hindcast_job.forecast_by

    def failing(name: str, case: Case, leads: np.ndarray) -> np.ndarray:
        if name == "extrapolation" and case.volumes.times[-1] == bad:
            raise ValueError("bad luck")
        return make(name, case, leads)

    monkeypatch.setattr(hindcast_job, "forecast_by", failing)
    report = run_evaluation(request(archive))
    assert list(report.initial_times) == [t for t in whole.initial_times if t != bad]
    assert {name: list(tally.cases) for name, tally in report.tallies.items()} == {name: [2, 2, 2] for name in FAST}
    (failure,) = report.answer()["failures"]
    assert failure["initial_time"] == bad and "bad luck" in failure["reason"]
    done = CliRunner().invoke(app, ["evaluate", str(archive), "--leads", "3", "--methods", ",".join(FAST), "--json"])
    assert done.exit_code == 4 and json.loads(done.stdout)["failures"]

    monkeypatch.setattr(hindcast_job, "forecast_by", lambda *_: 1 / 0)
    with pytest.raises(InputError, match="all 3 initial times failed"):
        run_evaluation(request(archive))


def test_commands_answer_in_json(archive: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    names = ",".join(FAST)
    options = ["--leads", "2", "--methods", names, "--json"]
    quiet = runner.invoke(app, ["evaluate", str(archive), *options])
    assert quiet.exit_code == 0, quiet.output
    answer = json.loads(quiet.stdout)
    assert answer["lead_minutes"] == [10, 20] and list(answer["methods"]) == list(FAST)
    assert answer["initial_times"][0] == "2020-01-01T00:30:00Z" and answer["outputs"] == []

    folder = tmp_path / "out"
    kept = runner.invoke(app, ["evaluate", str(archive), *options, "-o", str(folder), "--keep-forecasts"])
    assert kept.exit_code == 0, kept.output
    verified = runner.invoke(app, ["verify", str(folder / "forecasts"), "--obs", str(archive), "--json"])
    assert verified.exit_code == 0, verified.output
    again = json.loads(verified.stdout)
    assert again["not_observed"] == [] and again["methods"].keys() == answer["methods"].keys()
    told = runner.invoke(app, ["evaluate", str(archive), "--keep-forecasts"])
    assert told.exit_code == 2 and "-o DIR" in told.stderr


def test_folder_for_the_results_is_made_or_refused_early(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="a file is in its place"):
        make_folder(tmp_path / "file")


def test_foreign_forecast_files_are_scored(archive: Path, tmp_path: Path) -> None:
    run_evaluation(request(archive, methods=("extrapolation",), keep_forecasts=tmp_path / "kept"))
    ours = tmp_path / "kept" / "extrapolation" / "20200101T003000.nc"
    with xr.open_dataset(ours, decode_timedelta=True) as dataset:
        foreign = dataset.load().drop_vars("valid_time")
    foreign.attrs = {}
    foreign.to_netcdf(tmp_path / "theirs.nc")
    mae = [
        run_verification(VerifyRequest((path,), archive)).report.tallies[name].mae()
        for path, name in ((ours, "extrapolation"), (tmp_path / "theirs.nc", "theirs"))
    ]
    assert np.allclose(*mae)


@pytest.mark.parametrize("unit", ["km", "kilometers", "kilometre"])
def test_foreign_axes_may_fall_and_be_in_kilometres(archive: Path, tmp_path: Path, unit: str) -> None:
    run_evaluation(request(archive, methods=("persistence",), keep_forecasts=tmp_path / "kept"))
    path = tmp_path / "kept" / "persistence" / "20200101T003000.nc"
    ours = read_forecast(path)
    with xr.open_dataset(path, decode_timedelta=True) as dataset:
        foreign = dataset.load().isel(y=slice(None, None, -1), z=slice(None, None, -1))
    for axis in "zyx":
        foreign = foreign.assign_coords({axis: (axis, foreign[axis].values / 1000.0, {"units": unit})})
    foreign.to_netcdf(tmp_path / "theirs.nc")
    theirs = read_foreign_forecast(tmp_path / "theirs.nc")
    assert theirs.grid.matches(ours.grid)
    np.testing.assert_allclose(theirs.values, ours.values)


def test_foreign_axes_in_degrees_are_refused(archive: Path, tmp_path: Path) -> None:
    run_evaluation(request(archive, methods=("persistence",), keep_forecasts=tmp_path / "kept"))
    path = tmp_path / "kept" / "persistence" / "20200101T003000.nc"
    with xr.open_dataset(path, decode_timedelta=True) as dataset:
        foreign = dataset.load()
    foreign["x"].attrs["units"] = "degrees_east"
    foreign.to_netcdf(tmp_path / "theirs.nc")
    with pytest.raises(InputError, match=r"theirs\.nc: x is in degrees"):
        read_foreign_forecast(tmp_path / "theirs.nc")


def test_leads_without_observation_are_told(archive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run_evaluation(request(archive, methods=("persistence",), keep_forecasts=tmp_path / "kept"))
    forecast = tmp_path / "kept" / "persistence" / "20200101T005000.nc"
    write_volumes(cells().select([5, 6, 8]), tmp_path / "some.nc")
    with caplog.at_level("WARNING"):
        found = run_verification(VerifyRequest((forecast,), tmp_path / "some.nc"))
    init = read_forecast(forecast).init_time
    assert found.missing == {init: [init + np.timedelta64(20, "m")]}
    assert "no observation at lead times 20 min" in caplog.text
    assert np.isfinite(found.report.tallies["persistence"].mae()).tolist() == [True, False, True]


def test_verification_refuses_what_cannot_be_scored(archive: Path, tmp_path: Path) -> None:
    run_evaluation(request(archive, methods=("persistence",), keep_forecasts=tmp_path / "kept"))
    forecast = tmp_path / "kept" / "persistence" / "20200101T005000.nc"
    other = moving_cells(small_grid((5, 30, 30)), steps=9)
    write_volumes(other, tmp_path / "other.nc")
    with pytest.raises(InputError, match="another grid"):
        run_verification(VerifyRequest((forecast,), tmp_path / "other.nc"))
    early = cells(steps=2)
    write_volumes(early, tmp_path / "early.nc")
    with pytest.raises(InputError, match="no valid time"):
        run_verification(VerifyRequest((forecast,), tmp_path / "early.nc"))
    with pytest.raises(InputError, match="no forecast file"):
        run_verification(VerifyRequest((archive,), archive))
    (tmp_path / "text.nc").write_text("not NetCDF")
    with pytest.raises(InputError, match="cannot be read"):
        run_verification(VerifyRequest((tmp_path / "text.nc",), archive))
    copy = tmp_path / "copy.nc"
    copy.write_bytes(forecast.read_bytes())
    with pytest.raises(InputError, match="both persistence"):
        run_verification(VerifyRequest((forecast, copy), archive))
    with pytest.raises(InputError, match="does not exist"):
        run_verification(VerifyRequest((tmp_path / "missing.nc",), archive))


@pytest.mark.slow
def test_real_storms_agree_with_the_peers_figures() -> None:
    folder = real_data("cpol_20051113_morning_grid")
    report = run_evaluation(request(folder, leads=6))
    assert len(report.initial_times) == 34
    mae = {name: tally.mae().mean() for name, tally in report.tallies.items()}
    csi = {name: tally.csi().mean(axis=0) for name, tally in report.tallies.items()}
    # pysteps dense Lucas-Kanade, one field and one per level: 3.138 and 3.073 dBZ, CSI35 0.205 and 0.224.
    assert mae["persistence"] == pytest.approx(3.834, abs=0.001)
    assert csi["persistence"][[0, 2, 4]] == pytest.approx([0.249, 0.091, 0.042], abs=0.001)
    assert mae["extrapolation"] < 3.0 and mae["extrapolation-levels"] < 3.0
    assert csi["extrapolation"][2] > 0.23 and csi["extrapolation-levels"][2] > 0.23
