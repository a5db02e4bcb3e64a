"""``nowcast plot``: the right pictures for each kind of file, and refusals that say what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import helpers
import numpy as np
import pytest
import torch
import typer
from plot_cases import strips

from nowcast.cli.plot import plot
from nowcast.errors import InputError, UsageError
from nowcast.io.forecasts import read_forecast, write_forecast
from nowcast.io.gaussians import write_windows
from nowcast.io.volumes import write_volumes
from nowcast.plot.products import plot_product
from nowcast.products import PRODUCTS, ProductConfig, column_maximum
from nowcast.products.files import read_products, write_products
from nowcast.types import FittedWindow, Forecast, GaussianSequence, VolumeSequence


@pytest.fixture
def volumes() -> VolumeSequence:
    return helpers.moving_cells(helpers.small_grid((4, 16, 18)), steps=6)


@pytest.fixture
def volume_file(volumes: VolumeSequence, tmp_path: Path) -> Path:
    write_volumes(volumes, tmp_path / "vol.nc")
    return tmp_path / "vol.nc"


def write_persistence(volumes: VolumeSequence, path: Path, method: str = "persistence", at: int = 2) -> Path:
    values = np.repeat(volumes.reflectivity[at : at + 1], 3, axis=0)[None]
    leads = np.timedelta64(600_000_000_000, "ns") * np.arange(1, 4)
    write_forecast(Forecast(volumes.times[at], leads, values, volumes.grid, method), path)
    return path


@pytest.fixture
def forecast_file(volumes: VolumeSequence, tmp_path: Path) -> Path:
    return write_persistence(volumes, tmp_path / "fc.nc")


def drawn(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_what_suits_the_file_is_drawn(
    volume_file: Path, forecast_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    plot([volume_file, forecast_file], output=out)
    assert drawn(out) == {"vol-panels.png", "fc-panels.png"}
    assert capsys.readouterr().out.split() == [str(out / "vol-panels.png"), str(out / "fc-panels.png")]


def test_all_kinds_of_a_forecast_beside_observations(
    volume_file: Path, forecast_file: Path, tmp_path: Path, capsys
) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    plot([forecast_file], output=out, kind="all", obs=volume_file, as_json=True)
    answer = json.loads(capsys.readouterr().out)
    kinds = ["map", "level", "section", "panels", "animation", "difference"]
    assert [picture["kind"] for picture in answer["pictures"]] == kinds
    assert {Path(path).name for path in answer["outputs"]} == drawn(out)
    assert drawn(out) == {
        "fc-map-30min.png", "fc-level-30min.png", "fc-section.png", "fc-panels.png", "fc-animation.gif",
        "fc-difference.png",
    }  # fmt: skip


def test_one_picture_goes_to_one_file(volume_file: Path, tmp_path: Path) -> None:
    plot([volume_file], output=tmp_path / "a.svg", line="-10,0,10,5")
    plot([volume_file], output=tmp_path / "b.gif", frames=3)
    plot([volume_file], output=tmp_path / "c.png", kind="level", level=[2000.0])
    assert {"a.svg", "b.gif", "c.png"} <= drawn(tmp_path)


def test_forecasts_of_one_time_share_their_panels(volumes: VolumeSequence, forecast_file: Path, tmp_path: Path) -> None:
    other = write_persistence(volumes, tmp_path / "fc2.nc", "advection")
    plot([forecast_file, other], output=tmp_path / "out")
    plot([forecast_file, other], output=tmp_path / "out", kind="map", lead=[10.0])
    assert drawn(tmp_path / "out") == {"fc-compared-panels.png", "fc-map-10min.png", "fc2-map-10min.png"}


def test_files_of_one_name_do_not_overwrite_each_other(volumes: VolumeSequence, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_volumes(volumes.select([0]), tmp_path / folder / "vol.nc")
    plot([tmp_path / "a" / "vol.nc", tmp_path / "b" / "vol.nc"], output=tmp_path / "out")
    assert drawn(tmp_path / "out") == {"vol-map.png", "vol-2-map.png"}


def test_gaussians(volumes: VolumeSequence, tmp_path: Path) -> None:
    count, times = 12, volumes.times[:2]
    gaussians = GaussianSequence(
        means=torch.rand(2, count, 3) * 8e3,
        log_scales=torch.full((2, count, 3), 8.0),
        quats=torch.ones(2, count, 4),
        intensities=torch.full((2, count, 1), 20.0),
        velocities=torch.ones(2, count, 3),
        ids=torch.arange(count),
        times=times,
        grid=volumes.grid,
    )
    write_windows([FittedWindow(gaussians, 2, "e", volumes.select([0, 1]))], tmp_path / "fit.nc")
    plot([tmp_path / "fit.nc"], output=tmp_path / "out")
    plot([tmp_path / "fit.nc"], output=tmp_path / "out" / "cut.png", line="-10,0,10,5")
    assert drawn(tmp_path / "out") == {"fit-gaussians.png", "cut.png"}
    with pytest.raises(UsageError, match="neither --lead nor --level"):
        plot([tmp_path / "fit.nc"], output=tmp_path / "out", level=[1000.0])


def test_what_does_not_go_together_is_refused(volume_file: Path, forecast_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refusals = [
        ([volume_file], {"lead": [10.0]}, "leave out --lead"),
        ([volume_file], {"obs": volume_file}, "leave it out"),
        ([volume_file], {"kind": "gaussians"}, "nowcast fit"),
        ([forecast_file], {"lead": [15.0]}, "choose among 10, 20, 30"),
        ([forecast_file], {"kind": "map", "line": "0,0,1,1"}, "--line goes with"),
        ([forecast_file], {"kind": "section", "level": [1000.0]}, "--level goes with"),
        ([forecast_file], {"kind": "panels", "level": [1000.0, 2000.0]}, "--kind level"),
        ([forecast_file], {"kind": "map", "level": [30_000.0]}, "1000 to 4000 m"),
    ]
    for files, options, words in refusals:
        with pytest.raises(UsageError, match=words):
            plot(files, output=out, **options)  # type: ignore[arg-type]
    assert drawn(out) == set()


def test_impossible_outputs_are_refused(volume_file: Path, forecast_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give a folder"):
        plot([forecast_file], output=tmp_path / "a.png", kind="all")
    with pytest.raises(UsageError, match=r"\.png, \.svg"):
        plot([forecast_file], output=tmp_path / "a.jpg")
    with pytest.raises(typer.BadParameter, match="need a folder"):
        plot([volume_file, forecast_file], output=tmp_path / "a.png")
    with pytest.raises(typer.BadParameter, match="X0,Y0,X1,Y1"):
        plot([volume_file], line="1,2,3")
    assert drawn(tmp_path) == {"vol.nc", "fc.nc"}


def test_a_file_that_is_none_of_these_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nc").write_text("no NetCDF")
    with pytest.raises(InputError, match=r"a\.nc"):
        plot([tmp_path / "a.nc"], output=tmp_path / "out")
    with pytest.raises(InputError, match="none"):
        plot([tmp_path / "none.nc"], output=tmp_path / "out")


def test_real_polar_volumes_beside_a_forecast_on_their_grid(tmp_path: Path) -> None:
    archive = helpers.real_data("khtx_20080411_nexrad")
    plot([archive], output=tmp_path / "map.png", kind="map")
    assert (tmp_path / "map.png").stat().st_size > 20_000


def write_products_file(source: VolumeSequence | Forecast, path: Path) -> Path:
    write_products(source, path, ProductConfig(isotherms_m=(4000.0, 7000.0)))
    return path


def test_products_are_drawn_one_by_one(volumes: VolumeSequence, forecast_file: Path, tmp_path: Path) -> None:
    made = write_products_file(read_forecast(forecast_file), tmp_path / "p.nc")
    plot([made], output=tmp_path / "out")
    planes = {"cappi-2000m", "echo_top-18dbz", "echo_top-30dbz", "echo_top-45dbz"}
    single = set(PRODUCTS) - {"cappi", "echo_top"}
    assert drawn(tmp_path / "out") >= {f"p-{name}.png" for name in planes | single}
    plot([made], output=tmp_path / "vil.svg", product=["vil"], lead=[20.0])
    text = (tmp_path / "vil.svg").read_text()
    assert "Vertically integrated liquid" in text and "+20 min" in text and "+10 min" not in text
    seen = write_products_file(volumes, tmp_path / "seen.nc")
    plot([seen], output=tmp_path / "top.svg", product=["mesh"])
    assert "observed, last" in (tmp_path / "top.svg").read_text()


def test_sums_of_rain_say_since_when_and_leave_out_what_is_over_no_time(
    volumes: VolumeSequence, forecast_file: Path, tmp_path: Path
) -> None:
    for source, since in (
        (volumes, "Rain since 00:00 UTC"),
        (read_forecast(forecast_file), "the initial time 00:20 UTC"),
    ):
        file = read_products(write_products_file(source, tmp_path / f"{len(since)}.nc"))
        rain, vil = (next(f for f in file.fields if f.product == name) for name in ("rain_accumulation", "vil"))
        figure = plot_product(file, rain)
        assert since in figure.texts[0].get_text()
        assert [text.get_text() for text in figure.legends[0].get_texts()][1] == "not known all the time since"
        assert strips(figure) == strips(plot_product(file, vil))[file.init_time is None :]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"product": ["hail"]}, "no product hail: choose among cappi"),
        ({"product": ["vil"], "lead": [25.0]}, "no lead of 25 minutes"),
        ({"level": [2000.0]}, "products are maps"),
        ({"kind": "map"}, "products have no map picture"),
        ({"output": Path("one.png")}, "do not fit in one.png: .* --product"),
    ],
    ids=str,
)
def test_what_products_cannot_show_is_refused(
    forecast_file: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    made = write_products_file(read_forecast(forecast_file), tmp_path / "p.nc")
    with pytest.raises(UsageError, match=message):
        plot([made], **options)


def test_one_lead_makes_a_map_and_a_time_chooses_observed_volumes(forecast_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="map pictures show one lead"):
        plot([forecast_file], kind="map", lead=[10.0, 20.0], output=tmp_path)
    with pytest.raises(UsageError, match="--at chooses among observed volumes"):
        plot([forecast_file], at="2024-01-15T04:00", output=tmp_path)


def test_products_are_asked_of_products_only(volumes: VolumeSequence, volume_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--product goes with a file of `nowcast products`"):
        plot([volume_file], product=["vil"])
    seen = write_products_file(volumes, tmp_path / "seen.nc")
    with pytest.raises(UsageError, match="no lead times"):
        plot([seen], lead=[10.0])
    with pytest.raises(UsageError, match="give a file of `nowcast products`"):
        plot([volume_file], kind="products")


def test_the_fields_of_an_ensemble_are_those_of_the_best_forecast(volumes: VolumeSequence, tmp_path: Path) -> None:
    leads = np.timedelta64(600_000_000_000, "ns") * np.arange(1, 3)
    members = np.stack([volumes.reflectivity[:2], volumes.reflectivity[2:4]])
    best = volumes.reflectivity[4:6]
    for control, expected in ((best, column_maximum(best)), (None, column_maximum(members).mean(axis=0))):
        forecast = Forecast(volumes.times[0], leads, members, volumes.grid, "gaumamba", control=control)
        found = read_products(write_products_file(forecast, tmp_path / f"{control is None}.nc"))
        assert found.init_time == volumes.times[0] and found.method == "gaumamba"
        top = next(field for field in found.fields if field.product == "column_maximum")
        np.testing.assert_allclose(top.values, expected, atol=1e-4)
        np.testing.assert_allclose(found.grid.x, volumes.grid.x)
