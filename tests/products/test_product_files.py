"""Product files of observed volumes, forecasts and ensembles, as ``nowcast products`` writes them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from helpers import moving_cells, real_data, small_grid
from typer.testing import CliRunner

from nowcast.cli import app
from nowcast.errors import ConfigError, UsageError
from nowcast.io.forecasts import write_forecast
from nowcast.io.volumes import write_volumes
from nowcast.pipeline.products import products_beside, run_products
from nowcast.products import PRODUCTS, ProductConfig, columns, liquid
from nowcast.products.files import write_products
from nowcast.products.rain import RELATIONS
from nowcast.types import Forecast, VolumeSequence

HAIL = ProductConfig(isotherms_m=(2500.0, 5500.0))


def storms() -> VolumeSequence:
    """Cells of up to 75 dBZ; a corner and the top levels of a strip are not observed."""
    volumes = moving_cells(small_grid(), peak_dbz=75.0)
    volumes.values[:, :, :, :5, :5] = np.nan
    volumes.values[:, :, 2:, 20] = np.nan
    return replace(volumes, mask=np.isfinite(volumes.values[:, 0]))


def forecast_of(volumes: VolumeSequence, members: int = 1) -> Forecast:
    """Members that are the volumes, each 2 dB weaker than the one before."""
    weaker = 2.0 * np.arange(members, dtype=np.float32)[:, None, None, None, None]
    values = np.maximum(volumes.reflectivity[None] - weaker, 0.0)
    leads = volumes.times - volumes.times[0] + np.timedelta64(600, "s")
    control = values[0] if members > 1 else None
    init = volumes.times[0]
    return Forecast(init, leads.astype("timedelta64[ns]"), values, volumes.grid, "test", {"seed": 1}, control)


def test_observed_products_are_those_of_each_volume(tmp_path: Path) -> None:
    volumes = storms()
    made = write_products(volumes, tmp_path / "p.nc", HAIL)
    assert made == tuple(PRODUCTS)
    with xr.open_dataset(tmp_path / "p.nc") as found:
        z = volumes.grid.z
        np.testing.assert_array_equal(found["time"], volumes.times)
        np.testing.assert_array_equal(
            found["cappi"].sel(cappi_height=4000.0), columns.cappi(volumes.reflectivity, z, 4000.0)
        )
        vil = liquid.vertically_integrated_liquid(volumes.reflectivity, z)
        np.testing.assert_allclose(found["vil"], vil, rtol=1e-6)
        assert found["echo_top"].sel(echo_top_dbz=18.0).dims == ("time", "y", "x")
        assert float(found["mesh"].max()) > 5 and 0 < float(found["posh"].max()) <= 1
        assert found["column_maximum"].isel(x=slice(5), y=slice(5)).isnull().all()
        assert found["vil"].isel(y=20).isnull().all() and found["column_maximum"].isel(y=20).notnull().all()
        assert (found["rain_accumulation"].diff("time").fillna(0) >= 0).all()
        assert (found["rain_accumulation"].isel(time=0).fillna(0) == 0).all()


def test_every_variable_tells_what_it_is(tmp_path: Path) -> None:
    write_products(forecast_of(storms(), 3), tmp_path / "p.nc", HAIL)
    with xr.open_dataset(tmp_path / "p.nc") as found:
        for name, variable in found.data_vars.items():
            if name != "projection":
                assert {"units", "long_name", "grid_mapping"} <= variable.attrs.keys() | variable.encoding.keys(), name
        assert found["rain_rate"].attrs["standard_name"] == "rainfall_rate"
        assert found.attrs["Conventions"] == "CF-1.11" and found.attrs["nowcast_kind"] == "products"


def test_ensemble_products_say_what_the_members_say(tmp_path: Path) -> None:
    forecast = forecast_of(storms(), 4)
    write_products(forecast, tmp_path / "p.nc", ProductConfig(names=("vil", "cappi", "rain_accumulation")))
    with xr.open_dataset(tmp_path / "p.nc", decode_timedelta=True) as found:
        np.testing.assert_array_equal(found["lead_time"], forecast.lead_times)
        vil = found["vil"]
        assert vil.dims == ("member", "lead_time", "y", "x") and vil.sizes["member"] == 4
        np.testing.assert_allclose(found["vil_mean"], vil.mean("member", skipna=False), rtol=1e-5)
        np.testing.assert_allclose(found["vil_control"], vil.isel(member=0), rtol=1e-6)
        level = found["vil_quantile"].sel(quantile=0.5)
        np.testing.assert_allclose(level, vil.quantile(0.5, "member", skipna=False), rtol=1e-4, atol=1e-5)
        chance = found["vil_probability"].sel(vil_threshold=5.0)
        known = vil.notnull().all("member")
        np.testing.assert_allclose(chance, (vil >= 5.0).mean("member").where(known), atol=1e-6)
        assert set(np.unique(chance.values[np.isfinite(chance.values)])) >= {0.0, 0.5, 1.0}
        assert found["cappi_quantile"].dims == ("quantile", "lead_time", "cappi_height", "y", "x")
        # The first lead is 10 minutes after the initial time, and rain fell until then at its rate.
        first = found["rain_accumulation"].isel(lead_time=0, member=0)
        assert float(first.max()) > 1.0


def test_rain_over_the_lead_is_rate_by_time(tmp_path: Path) -> None:
    volumes = storms()
    still = replace(volumes, values=np.repeat(volumes.values[:1], len(volumes), axis=0))
    write_products(forecast_of(still), tmp_path / "p.nc", ProductConfig(zr="tropical"))
    with xr.open_dataset(tmp_path / "p.nc", decode_timedelta=True) as found:
        hours = (found["lead_time"] / np.timedelta64(1, "h")).values[:, None, None]
        np.testing.assert_allclose(found["rain_accumulation"], found["rain_rate"] * hours, rtol=1e-4)


def test_command_tells_what_it_made(tmp_path: Path) -> None:
    source, target = tmp_path / "forecast.nc", tmp_path / "out" / "p.nc"
    write_forecast(forecast_of(storms(), 2), source)
    call = ["products", str(source), "-o", str(target), "--products", "cappi,mesh", "--heights", "1500,2500"]
    done = CliRunner().invoke(app, [*call, "--isotherms", "3000,6000", "--json"])
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["output"] == str(target) and answer["members"] == 2 and answer["lead_minutes"] == [10, 20, 30, 40]
    with xr.open_dataset(target, decode_timedelta=True) as found:
        assert set(answer["variables"]) == set(found.data_vars) - {"projection"}
        assert found["cappi_height"].values.tolist() == [1500.0, 2500.0]
        facts = json.loads(found.attrs["provenance"])
        assert facts["input_files"] == ["forecast.nc"] and len(facts["input_sha256"]["forecast.nc"]) == 64
        assert facts["forecast"] == {"seed": 1} and facts["products"]["isotherms_m"] == [3000.0, 6000.0]


@pytest.mark.parametrize("members", [0, 1, 2])
def test_info_tells_what_a_product_file_holds(tmp_path: Path, members: int) -> None:
    source = forecast_of(storms(), members) if members else storms()
    made = write_products(source, tmp_path / "p.nc", ProductConfig(names=("vil",)))
    done = CliRunner().invoke(app, ["info", str(tmp_path / "p.nc"), "--json"])
    [facts] = json.loads(done.stdout)["files"]
    assert facts["format"] == "products" and facts["variables"] == list(made) and len(facts["times"]) == 4
    assert CliRunner().invoke(app, ["info", str(tmp_path / "p.nc")]).exit_code == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--products", "echotop"], "did you mean echo_top?"),
        (["--products", "mesh"], "--isotherms"),
        (["--heights", "500"], "from 1000 to 8000 m"),
        (["--isotherms", "7000,3000"], "0 degrees, then that of -20"),
        (["--zr", "300"], "marshall-palmer"),
        (["--heights", "2 km"], "expected metres"),
    ],
)
def test_senseless_calls_are_told_and_leave_no_file(tmp_path: Path, options: list[str], told: str) -> None:
    write_volumes(storms(), tmp_path / "v.nc")
    done = CliRunner().invoke(app, ["products", str(tmp_path / "v.nc"), "-o", str(tmp_path / "p.nc"), *options])
    assert done.exit_code == 2 and told in done.stderr, done.stderr
    assert not (tmp_path / "p.nc").exists()


def test_settings_of_products_are_checked() -> None:
    for bad in ({"names": ("vul",)}, {"least_observed": 1.5}, {"zr": "rain"}, {"thresholds": {"hail": (1.0,)}}):
        with pytest.raises(ConfigError):
            ProductConfig(**bad)  # type: ignore[arg-type]
    assert ProductConfig(thresholds={"vil": (7.0,)}).thresholds_of("vil") == (7.0,)
    assert "mesh" not in ProductConfig().chosen() and "mesh" in HAIL.chosen()


def test_a_product_that_cannot_be_made_leaves_the_forecast(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    forecast = forecast_of(storms())
    config = ProductConfig(names=("cappi",), heights_m=(50_000.0,))
    with pytest.raises(UsageError):
        write_products(forecast, tmp_path / "p.nc", config)
    assert products_beside(forecast, tmp_path / "f.nc", config) == []
    assert "no CAPPI at 50000 m" in caplog.text and list(tmp_path.iterdir()) == []


def test_products_of_a_real_storm(tmp_path: Path) -> None:
    archive = real_data("cpol_20051113_morning_grid")
    newest = sorted(archive.glob("*.nc"))[-1]
    run = run_products(newest, tmp_path / "p.nc", ProductConfig(isotherms_m=(4900.0, 8300.0)))
    with xr.open_dataset(run.output) as found:
        tops = found["echo_top"].sel(echo_top_dbz=18.0)
        assert 5000 < float(tops.max()) < 20_000
        assert (found["vil"].max() < 90) and float(found["rain_rate"].max()) < 75
        strong = found["column_maximum"].values >= 45
        assert (found["echo_top"].sel(echo_top_dbz=45.0).values[strong] > 0).all()


def test_the_docs_tell_of_every_product_and_relation() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "products.md").read_text()
    rows = {line.split("`")[1].split("(")[0]: line for line in text.splitlines() if line.startswith("| `")}
    assert rows.keys() == PRODUCTS.keys()
    assert all(f" {PRODUCTS[name].unit} |" in row for name, row in rows.items())
    assert all(f"`{name}` ({a:g}, {b:.1f})" in text for name, (a, b) in RELATIONS.items())
