"""One forecast from files to a file: what it holds, what it may not see, what it does when a part fails."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import helpers
import numpy as np
import pytest
import xarray as xr
from gaussian_cases import lively

from nowcast.errors import InputError, OutputError, UsageError
from nowcast.gaussians import FitConfig
from nowcast.io.forecasts import read_forecast
from nowcast.io.gaussians import read_windows
from nowcast.io.volumes import write_volumes
from nowcast.models import GauMamba, ModelConfig, save_checkpoint
from nowcast.pipeline.fit import fit_archive
from nowcast.pipeline.forecast import ForecastRequest, ForecastRun, lead_times, run_forecast, since_last_gap, site_of
from nowcast.pipeline.inputs import GridConfig
from nowcast.products import ProductConfig
from nowcast.products.files import read_products
from nowcast.radar import Site
from nowcast.types import Forecast, VolumeSequence

SMALL_FIT = FitConfig(gaussians=64)

MINUTE = np.timedelta64(1, "m")


def archive(folder: Path, steps: int = 6, **kwargs: float) -> VolumeSequence:
    """Write one gridded file a volume, as an archive of already gridded data, and return the volumes."""
    sequence = helpers.moving_cells(helpers.small_grid((6, 24, 28)), steps=steps, **kwargs)  # type: ignore[arg-type]
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(steps):
        write_volumes(sequence.select([i]), folder / f"volume_{i:02d}.nc")
    return sequence


def test_forecast_file_says_what_was_asked(tmp_path: Path) -> None:
    sequence = archive(tmp_path / "in")
    request = ForecastRequest(tmp_path / "in", SMALL_FIT, at=sequence.times[4], leads=3)
    run = run_forecast(request, tmp_path / "f.nc", pictures=True)
    assert run.fallback is None and run.forecast.method == "advection"
    assert list(run.volumes.times) == list(sequence.times[1:5])
    assert all(path.is_file() for path in run.outputs) and len(run.outputs) == 2
    back = read_forecast(tmp_path / "f.nc")
    assert back.init_time == sequence.times[4]
    np.testing.assert_array_equal(back.lead_times, np.array([10, 20, 30], "timedelta64[m]"))
    told = back.provenance
    assert told["settings"]["fit"]["gaussians"] == 64 and told["settings"]["grid"]["spacing_m"] == 2500.0
    assert told["version"] and len(told["input_files"]) == 4
    newest = told["input_files"][-1]
    assert told["input_sha256"][newest] == hashlib.sha256((tmp_path / "in" / newest).read_bytes()).hexdigest()
    answer = run.answer()
    assert answer["lead_minutes"] == [10, 20, 30] and answer["fallback"] is False


def test_an_ensemble_repeats_with_its_seed_and_comes_with_the_one_best_forecast(tmp_path: Path) -> None:
    sequence = archive(tmp_path / "in")
    model = checkpoint(tmp_path / "model.safetensors", GauMamba(ModelConfig(d_model=16, d_state=8, head_dim=16)))

    def run(**options: int) -> Forecast:
        request = ForecastRequest(tmp_path / "in", SMALL_FIT, at=sequence.times[4], leads=2, model=model, **options)
        return run_forecast(request, tmp_path / "f.nc", pictures=True).forecast

    one, ensemble, again, other = run(), run(members=5), run(members=5), run(members=5, seed=1)
    assert ensemble.values.shape[0] == 5 and ensemble.control is not None and one.control is None
    np.testing.assert_array_equal(ensemble.control, one.values[0])
    np.testing.assert_array_equal(ensemble.values, again.values)
    assert np.nanmax(np.abs(ensemble.values - other.values)) > 1.0
    spread = np.nanmean(ensemble.values.std(axis=0), axis=(1, 2, 3))
    assert 0 < spread[0] < spread[1], "a forecast is less certain the further it looks"
    np.testing.assert_array_equal(np.isnan(ensemble.values).any(axis=0), np.isnan(one.values[0]))


def test_with_a_model_every_cycle_is_fitted_from_nothing(tmp_path: Path) -> None:
    """GauMamba is trained on such fits; of a warm start's Gaussians most are too young to tell how they changed."""
    sequence = archive(tmp_path / "in")
    model = checkpoint(tmp_path / "model.safetensors", GauMamba(ModelConfig(d_model=16, d_state=8, head_dim=16)))
    for at in (4, 5):
        request = ForecastRequest(
            tmp_path / "in", SMALL_FIT, at=sequence.times[at], leads=1, model=model, state=tmp_path / "state.nc"
        )
        assert not run_forecast(request, tmp_path / "f.nc").warm_start


def test_an_ensemble_needs_a_model(tmp_path: Path) -> None:
    archive(tmp_path / "in")
    with pytest.raises(UsageError, match="an ensemble needs a model"):
        run_forecast(ForecastRequest(tmp_path / "in", SMALL_FIT, members=3), tmp_path / "f.nc")


def test_a_picture_that_fails_leaves_the_forecast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no font")

    archive(tmp_path / "in")
    monkeypatch.setattr("nowcast.plot.plot_panels", broken)
    run = run_forecast(ForecastRequest(tmp_path / "in", SMALL_FIT, leads=1), tmp_path / "f.nc", pictures=True)
    assert run.outputs == (tmp_path / "f.nc",) and len(read_forecast(tmp_path / "f.nc").lead_times) == 1
    assert "f.png failed: no font" in caplog.text


def test_products_are_published_beside_the_forecast(tmp_path: Path) -> None:
    archive(tmp_path / "in")
    request = ForecastRequest(tmp_path / "in", SMALL_FIT, leads=2, products=ProductConfig(names=("column_maximum",)))
    run = run_forecast(request, tmp_path / "f.nc")
    assert run.answer()["products"] == [str(tmp_path / "f.products.nc")] and run.answer()["pictures"] == []
    with xr.open_dataset(tmp_path / "f.products.nc") as found:
        values = run.forecast.values[0]
        np.testing.assert_array_equal(found["column_maximum"], np.fmax.reduce(values, axis=1))


def test_a_forecast_is_not_written_over_by_its_picture(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"f\.PNG names a picture"):
        run_forecast(ForecastRequest(tmp_path, SMALL_FIT), tmp_path / "f.PNG", pictures=True)


def test_advection_beats_persistence_where_cells_move(tmp_path: Path) -> None:
    sequence = archive(tmp_path / "in", steps=7)
    request = ForecastRequest(tmp_path / "in", FitConfig(gaussians=256), at=sequence.times[3], leads=3)
    forecast = run_forecast(request, tmp_path / "f.nc").forecast
    truth = sequence.reflectivity[4:7]
    known = forecast.mask
    error = np.abs(forecast.values[0] - truth)[known].mean()
    assert error < 0.5 * np.abs(sequence.reflectivity[3] - truth)[known].mean()


@pytest.mark.parametrize("future", ["deleted", "corrupted", "replaced"])
def test_forecast_does_not_see_the_future(tmp_path: Path, future: str) -> None:
    sequence = archive(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    other = helpers.moving_cells(sequence.grid, steps=6, seed=9, peak_dbz=70.0)
    for i in (4, 5):
        path = tmp_path / "b" / f"volume_{i:02d}.nc"
        if future == "deleted":
            path.unlink()
        elif future == "corrupted":
            path.write_bytes(path.read_bytes()[:1000])
        else:
            write_volumes(other.select([i]), path)
    made = []
    for name in ("a", "b"):
        request = ForecastRequest(tmp_path / name, SMALL_FIT, at=sequence.times[3], leads=2)
        run_forecast(request, tmp_path / f"{name}.nc")
        with xr.open_dataset(tmp_path / f"{name}.nc", decode_timedelta=True) as dataset:
            made.append(dataset.reflectivity.values)
    np.testing.assert_array_equal(made[0], made[1])


def checkpoint(path: Path, model: GauMamba) -> Path:
    save_checkpoint(path, model)
    return path


def test_an_untrained_model_forecasts_the_advection(tmp_path: Path) -> None:
    archive(tmp_path / "in")
    untrained = checkpoint(tmp_path / "model.safetensors", GauMamba(ModelConfig(d_model=16, d_state=8, head_dim=16)))
    runs = [
        run_forecast(ForecastRequest(tmp_path / "in", SMALL_FIT, leads=3, model=model), tmp_path / "f.nc")
        for model in (untrained, None)
    ]
    assert [run.forecast.method for run in runs] == ["gaumamba", "advection"]
    np.testing.assert_allclose(runs[0].forecast.values, runs[1].forecast.values, atol=1e-4)


def test_a_model_does_not_see_the_future(tmp_path: Path) -> None:
    sequence = archive(tmp_path / "a")
    other = archive(tmp_path / "b", seed=9, peak_dbz=70.0)
    assert not np.array_equal(sequence.values[4:], other.values[4:])
    for i in range(4):
        shutil.copy(tmp_path / "a" / f"volume_{i:02d}.nc", tmp_path / "b")
    model = checkpoint(tmp_path / "model.safetensors", lively())
    made = []
    for name, chosen in (("a", model), ("b", model), ("a", None)):
        request = ForecastRequest(tmp_path / name, SMALL_FIT, at=sequence.times[3], leads=3, model=chosen)
        made.append(run_forecast(request, tmp_path / "f.nc").forecast)
    assert [forecast.method for forecast in made] == ["gaumamba", "gaumamba", "advection"]
    np.testing.assert_array_equal(made[0].values, made[1].values)
    assert not np.allclose(made[0].values, made[2].values, equal_nan=True)


def test_dry_in_dry_out(tmp_path: Path) -> None:
    sequence = archive(tmp_path / "in", peak_dbz=-20.0)
    assert sequence.values.max() == 0
    forecast = run_forecast(ForecastRequest(tmp_path / "in", SMALL_FIT), tmp_path / "f.nc").forecast
    assert np.nanmax(forecast.values) == 0 and np.isfinite(forecast.values).any()


def test_not_observed_voxels_are_missing_in_the_forecast(tmp_path: Path) -> None:
    sequence = helpers.moving_cells(helpers.small_grid((6, 24, 28)))
    mask = sequence.mask.copy()
    mask[:, 0, :5] = False
    values = np.where(mask[:, None], sequence.values, np.float32("nan"))
    write_volumes(VolumeSequence(values, mask, sequence.times, sequence.grid), tmp_path / "v.nc")
    forecast = run_forecast(ForecastRequest(tmp_path / "v.nc", SMALL_FIT, leads=1), tmp_path / "f.nc").forecast
    assert np.isnan(forecast.values[..., 0, :5, :]).all()
    assert np.isfinite(forecast.values[..., 1:, 4:, 6:]).all()


def test_what_comes_from_beyond_the_grid_is_missing(tmp_path: Path) -> None:
    archive(tmp_path / "in", steps=4)  # cells move by (10, 5) m/s over voxels of 2.5 km
    forecast = run_forecast(ForecastRequest(tmp_path / "in", SMALL_FIT, leads=2), tmp_path / "f.nc").forecast
    for lead, seconds in enumerate((600.0, 1200.0)):
        known = forecast.mask[lead]
        rows, columns = round(5.0 * seconds / 2500.0), round(10.0 * seconds / 2500.0)
        assert known[:, rows + 2 :, columns + 2 :].all()
        assert not known[:, : rows - 1].any() and not known[:, :, : columns - 1].any()


def test_unusable_model_publishes_the_fallback(tmp_path: Path) -> None:
    archive(tmp_path / "in")
    (tmp_path / "model.safetensors").write_bytes(b"not a model")
    request = ForecastRequest(tmp_path / "in", SMALL_FIT, leads=1, model=tmp_path / "model.safetensors")
    run = run_forecast(request, tmp_path / "f.nc")
    assert run.forecast.method == "advection" and "model" in (run.fallback or "")
    assert "model" in read_forecast(tmp_path / "f.nc").provenance["fallback_reason"]


def test_failing_fit_publishes_extrapolation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(tmp_path / "in")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr("nowcast.gaussians.fit_sequence", broken)
    run = run_forecast(ForecastRequest(tmp_path / "in", SMALL_FIT, leads=1), tmp_path / "f.nc")
    assert run.forecast.method == "extrapolation" and "out of luck" in (run.fallback or "")


def test_one_volume_needs_a_step(tmp_path: Path) -> None:
    archive(tmp_path / "in", steps=1)
    with pytest.raises(UsageError, match="--step"):
        run_forecast(ForecastRequest(tmp_path / "in", SMALL_FIT), tmp_path / "f.nc")
    run = run_forecast(ForecastRequest(tmp_path / "in", SMALL_FIT, step_minutes=5, leads=2), tmp_path / "f.nc")
    assert run.answer()["lead_minutes"] == [5, 10]


def test_volumes_before_a_long_gap_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    sequence = helpers.moving_cells(helpers.small_grid((2, 8, 8)), steps=13).select([0, 1, 2, 4, 10, 11, 12])
    with caplog.at_level("WARNING"):
        kept = since_last_gap(sequence, 5 * MINUTE)
    np.testing.assert_array_equal(kept.times, sequence.times[4:])
    assert "no volume for 60 minutes" in caplog.text
    uneven = sequence.select([0, 1, 2, 3])
    assert since_last_gap(uneven, 5 * MINUTE) is uneven


@pytest.mark.parametrize(("frames", "steps"), [(2, [0, 1, 2, 10]), (3, [0, 1, 2, 10, 11]), (3, [0, 10, 11])])
def test_the_gap_of_an_outage_is_not_taken_for_the_step(tmp_path: Path, frames: int, steps: list[int]) -> None:
    archive(tmp_path / "in", steps=12)
    for k, path in enumerate(sorted((tmp_path / "in").iterdir())):
        if k not in steps:
            path.unlink()
    request = ForecastRequest(tmp_path / "in", SMALL_FIT, frames=frames, leads=2, step_minutes=5.0)
    run = run_forecast(request, tmp_path / "f.nc")
    assert len(run.volumes) == sum(k >= 10 for k in steps)


def test_nothing_before_the_time_asked_for(tmp_path: Path) -> None:
    sequence = archive(tmp_path / "in", steps=2)
    before = sequence.times[0] - np.timedelta64(1, "h")
    with pytest.raises(InputError):
        run_forecast(ForecastRequest(tmp_path / "in", SMALL_FIT, at=before), tmp_path / "f.nc")


def test_lead_times_follow_the_median_step() -> None:
    sequence = helpers.moving_cells(helpers.small_grid((2, 8, 8)), steps=5, step_s=297.0).select([0, 1, 2, 4])
    np.testing.assert_array_equal(lead_times(sequence, 2), np.array([5, 10], "timedelta64[m]"))


def test_the_next_cycle_starts_from_the_state_of_the_last(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sequence = archive(tmp_path / "in")
    state = tmp_path / "state.nc"

    def cycle(newest: int, **others: object) -> ForecastRun:
        at, fit = sequence.times[newest], SMALL_FIT
        request = ForecastRequest(tmp_path / "in", **{"fit": fit, "at": at, "leads": 2, "state": state, **others})
        return run_forecast(request, tmp_path / "f.nc")

    assert not cycle(3).warm_start and cycle(4).warm_start and not caplog.text
    kept = [read_windows(state)[0].gaussians.ids]
    warm = cycle(5)
    kept.append(read_windows(state)[0].gaussians.ids)
    assert warm.warm_start and warm.forecast.method == "advection" and 0.1 < np.isin(*kept).mean() < 1.0
    np.testing.assert_array_equal(cycle(5).forecast.values, warm.forecast.values)
    assert not cycle(4).warm_start and "of a later time" in caplog.text
    assert not cycle(5, fit=FitConfig(gaussians=32)).warm_start and "another number of Gaussians, 64" in caplog.text
    other = {"fit": FitConfig(gaussians=32), "grid": GridConfig(spacing_m=3000.0)}
    assert not cycle(5, **other).warm_start and "other settings" in caplog.text
    state.write_bytes(state.read_bytes()[:-500])
    assert not cycle(5).warm_start and "cannot be read" in caplog.text and cycle(5).fallback is None


def test_what_is_no_state_is_not_written_over(tmp_path: Path) -> None:
    sequence = archive(tmp_path / "in")
    request = ForecastRequest(tmp_path / "in", SMALL_FIT, at=sequence.times[3], leads=2)
    forecast, fit, notes = tmp_path / "f.nc", tmp_path / "fit.nc", tmp_path / "notes.nc"
    notes.write_text("to be kept")
    fit_archive(tmp_path / "in", fit, config=SMALL_FIT)
    run_forecast(request, forecast)
    held = {path: path.read_bytes() for path in (forecast, fit, notes)}
    for path, words in ((forecast, "-o both name"), (fit, "something else"), (notes, "something else")):
        with pytest.raises(UsageError, match=words):
            run_forecast(replace(request, state=path), forecast)
    assert held == {path: path.read_bytes() for path in held}
    with pytest.raises(OutputError, match="is a folder"):
        run_forecast(replace(request, state=tmp_path), forecast)
    empty = tmp_path / "new"
    empty.touch()
    assert not run_forecast(replace(request, state=empty), forecast).warm_start
    assert run_forecast(replace(request, state=empty), forecast).warm_start


def test_a_forecast_and_its_products_name_the_radar(tmp_path: Path) -> None:
    volumes = replace(archive(tmp_path / "in", steps=2), radars=("AU50",))
    request = ForecastRequest(tmp_path / "in", SMALL_FIT, leads=1, products=ProductConfig(names=("vil",)))
    run = run_forecast(request, tmp_path / "fc.nc", volumes=volumes)
    assert read_forecast(run.outputs[0]).radars == read_products(run.outputs[1]).radars == ("AU50",)
    with xr.open_dataset(run.outputs[0]) as file:
        assert file.attrs["radars"] == "AU50" and "radars_missing" not in file.attrs
    assert "mosaic" not in run.forecast.provenance["settings"]


def test_the_position_that_a_forecast_was_made_with_is_known_from_its_file(tmp_path: Path) -> None:
    site = Site(-27.608, 152.539, 372.0)
    sequence = archive(tmp_path / "in", steps=2)
    run = run_forecast(
        ForecastRequest(tmp_path / "in", SMALL_FIT, leads=1, site=site), tmp_path / "fc.nc", volumes=sequence
    )
    assert site_of(read_forecast(run.outputs[0])) == site
    assert site_of(replace(run.forecast, provenance={})) is None
    assert site_of(replace(run.forecast, provenance={"site": "by the sea"})) is None
