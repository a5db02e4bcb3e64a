"""Archives of several radars: which volumes make a mosaic, what is said of those that are missing."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from radar_files import START, nothing, polar_volume, storm, write_odim

from nowcast.cli import app
from nowcast.errors import InputError, UsageError
from nowcast.gaussians import FitConfig
from nowcast.io.volumes import read_volumes, write_volumes
from nowcast.pipeline.digests import input_digests
from nowcast.pipeline.fit import fit_archive
from nowcast.pipeline.forecast import ForecastRequest, run_forecast
from nowcast.pipeline.inputs import GridConfig, list_inputs, load_sequence
from nowcast.radar import Site
from nowcast.radar.mosaic import MosaicConfig
from nowcast.types import VolumeSequence

GRID = GridConfig(spacing_m=10_000.0, extent_m=60_000.0, top_m=7000.0, level_spacing_m=2000.0)
WEST, EAST = Site(0.0, 149.5, 50.0), Site(0.0, 150.5, 300.0)
EAST_M = 111_319.5
STEP = np.timedelta64(5, "m")
LAG = np.timedelta64(100, "s")
COUNT = 5


def volume_file(folder: Path, site: Site, begun: np.datetime64, field: object = None) -> Path:
    """What a radar sees of a storm that stands between both at first and moves 3 km east every 5 minutes."""
    centre = (-0.5 if site is EAST else 0.5) * EAST_M + 3000.0 * float((begun - START) / STEP)
    volume = polar_volume(
        storm(x0=centre) if field is None else field,  # type: ignore[arg-type]
        rays=90, gates=50, gate_m=2000.0, site=site, time=begun, radar=folder.name,
    )  # fmt: skip
    stamp = str(np.datetime_as_string(begun, unit="s")).translate({45: "", 58: "", 84: "_"})
    return write_odim(volume, folder / f"{folder.name}_{stamp}.h5")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five volumes of each of two radars: west begins at full five minutes, east 100 s after."""
    archive = tmp_path_factory.mktemp("made")
    for name, site, lag in (("west", WEST, 0 * LAG), ("east", EAST, LAG)):
        (archive / name).mkdir()
        for k in range(COUNT):
            volume_file(archive / name, site, START + k * STEP + lag)
    return archive


@pytest.fixture
def archive(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "archive"))


def load(archive: Path, **options: object) -> VolumeSequence:
    return load_sequence(archive, grid=GRID, **options)  # type: ignore[arg-type]


def file_of(archive: Path, radar: str, k: int) -> Path:
    return sorted((archive / radar).iterdir())[k]


def test_every_five_minutes_a_mosaic_of_the_newest_volumes(archive: Path) -> None:
    volumes = load(archive)
    np.testing.assert_array_equal(volumes.times, START + LAG + np.arange(COUNT) * STEP)
    assert volumes.radars == ("east", "west")
    assert volumes.missing == ((),) * COUNT
    assert volumes.sources[1] == f"east: {file_of(archive, 'east', 1).name}; west: {file_of(archive, 'west', 1).name}"
    np.testing.assert_array_equal(list_inputs(archive), volumes.times)
    assert (volumes.reflectivity[:, 1] > 35.0).any(axis=(1, 2)).all()


def test_start_times_that_jitter_around_the_round_ones_lose_no_mosaic(archive: Path) -> None:
    shutil.rmtree(archive / "east")
    (archive / "east").mkdir()
    late = [np.timedelta64(s, "s") for s in (-2, 3, -1, 4, 0)]
    for k in range(COUNT):
        volume_file(archive / "east", EAST, START + k * STEP + late[k])
    volumes = load(archive)
    np.testing.assert_array_equal(volumes.times, START + np.arange(COUNT) * STEP + np.maximum(late, np.timedelta64(0)))
    assert volumes.missing == ((),) * COUNT


def test_a_mosaic_holds_what_each_radar_alone_sees(archive: Path) -> None:
    volumes = load(archive, frames=1, at=START + 2 * STEP)
    assert volumes.times[0] == START + 2 * STEP
    alone = [
        load_sequence(file_of(archive, name, k), grid=volumes.grid, frames=1) for name, k in (("west", 2), ("east", 1))
    ]
    west, east = (v.mask[0] for v in alone)
    np.testing.assert_array_equal(volumes.mask[0], west | east)
    for one, only in zip(alone, (west & ~east, east & ~west), strict=True):
        assert only.any()
        np.testing.assert_allclose(volumes.reflectivity[0][only], one.reflectivity[0][only], rtol=1e-6)
    both = west & east
    low, high = np.minimum(*(v.reflectivity[0] for v in alone)), np.maximum(*(v.reflectivity[0] for v in alone))
    assert (volumes.reflectivity[0] >= low - 1e-4)[both].all() and (volumes.reflectivity[0] <= high + 1e-4)[both].all()
    strongest = load(archive, frames=1, at=START + 2 * STEP, mosaic=MosaicConfig(combine="strongest"))
    np.testing.assert_array_equal(strongest.reflectivity[0][both], high[both])


def test_the_future_changes_nothing(archive: Path) -> None:
    at = START + 2 * STEP + LAG
    before = load(archive, at=at)
    assert before.times[-1] == at
    earlier = load(archive, at=at - np.timedelta64(1, "s"))
    assert earlier.times[-1] == START + 2 * STEP and file_of(archive, "east", 1).name in earlier.sources[-1]
    whole = load(archive)
    np.testing.assert_array_equal(whole.values[: len(before)], before.values)
    for k in range(3, COUNT):
        file_of(archive, "west", 3).unlink()
        volume_file(archive / "east", EAST, START + k * STEP + LAG, storm(x0=0.0, peak=70.0))
    again = load(archive, at=at)
    np.testing.assert_array_equal(again.values, before.values)
    assert (again.sources, again.missing, again.grid) == (before.sources, before.missing, before.grid)


def test_no_volume_counts_longer_than_allowed(archive: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "nowcast"):
        volumes = load(archive, mosaic=MosaicConfig(within_minutes=1.5))
    assert volumes.missing == (("west",),) * COUNT
    assert "west is missing from 5 of 5 mosaics, last from that of 2020-01-01T00:21:40Z" in caplog.text


@pytest.mark.parametrize("frames", [2, 3, 4, None])
def test_a_step_that_adds_nothing_leaves_the_older_mosaic_its_time(archive: Path, frames: int | None) -> None:
    for name in ("west", "east"):
        broken = file_of(archive, name, 3)
        broken.write_bytes(broken.read_bytes()[:2000])
    times = load(archive, frames=frames).times
    whole = [START + k * STEP + LAG for k in (0, 1, 2, 4)]
    assert list(times) == whole[-(frames or 0) :]


@pytest.mark.parametrize("frames", [2, 3, None])
def test_a_step_whose_volumes_cannot_be_read_has_no_mosaic(archive: Path, frames: int | None) -> None:
    """Their headers are good, so that they are listed: the mosaic before keeps its time, and counts once."""
    for name in ("west", "east"):
        with h5py.File(file_of(archive, name, 3), "a") as file:
            del file["dataset1/data1"]
    times = load(archive, frames=frames).times
    expected = np.delete(START + LAG + np.arange(COUNT) * STEP, 3)
    np.testing.assert_array_equal(times, expected if frames is None else expected[-frames:])


def test_files_of_one_name_in_two_folders_have_each_a_checksum(archive: Path) -> None:
    names = []
    for radar in ("west", "east"):
        names.append(f"{radar}: same.h5")
        file_of(archive, radar, 0).rename(archive / radar / "same.h5")
    found = input_digests(archive, ["; ".join(names)])
    assert sorted(found) == ["east/same.h5", "west/same.h5"] and len(set(found.values())) == 2


def test_a_radar_that_stops_is_left_out_and_named(archive: Path, tmp_path: Path) -> None:
    for k in (4, 3, 2):
        file_of(archive, "west", k).unlink()
    volumes = load(archive)
    assert volumes.missing == ((), (), (), ("west",), ("west",))
    np.testing.assert_array_equal(volumes.times, START + LAG + np.arange(COUNT) * STEP)
    write_volumes(volumes, tmp_path / "volumes.nc")
    with xr.open_dataset(tmp_path / "volumes.nc") as file:
        assert (file.attrs["radars"], file.attrs["radars_missing"]) == ("east, west", "west")
        assert file["missing_radars"].values.tolist() == ["", "", "", "west", "west"]
    back = read_volumes(tmp_path / "volumes.nc")
    assert (back.radars, back.missing) == (volumes.radars, volumes.missing)
    assert back.select(slice(2, 4)).missing == ((), ("west",))


def test_a_broken_volume_gives_way_to_the_one_before(archive: Path) -> None:
    path = file_of(archive, "west", 3)
    path.write_bytes(path.read_bytes()[:3000])
    volumes = load(archive)
    assert volumes.missing[3] == () and file_of(archive, "west", 2).name in volumes.sources[3]
    assert load(archive, mosaic=MosaicConfig(within_minutes=5.0)).missing[3] == ("west",)


def test_a_scan_that_lost_all_echo_does_not_thin_the_mosaic(archive: Path) -> None:
    stormy = load(archive, frames=2, at=START + 3 * STEP)
    volume_file(archive / "west", WEST, START + 3 * STEP, nothing)
    volumes = load(archive, frames=2, at=START + 3 * STEP)
    assert volumes.missing == ((), ()) and file_of(archive, "west", 2).name in volumes.sources[1]
    assert volumes.reflectivity[1][volumes.mask[1]].max() > 0.8 * np.nanmax(stormy.reflectivity[1])
    punctual = MosaicConfig(within_minutes=4.0)
    assert load(archive, frames=2, at=START + 3 * STEP, mosaic=punctual).missing == ((), ("west",))


def test_the_whole_archive_agrees_with_each_time_alone_where_scans_failed(archive: Path) -> None:
    """Also where the failed scans of one radar are the oldest volumes that a mosaic needs."""
    for k in (1, 2):
        volume_file(archive / "west", WEST, START + k * STEP, nothing)
    whole = load(archive)
    assert [file_of(archive, "west", 0).name in sources for sources in whole.sources] == [True] * 2 + [False] * 3
    for time in whole.times[2:]:
        now, past = load(archive, at=time, frames=2), whole.until(time).select(slice(-2, None))
        assert now.sources == past.sources and now.values.tobytes() == past.values.tobytes()


def test_no_mosaic_without_a_new_volume(archive: Path) -> None:
    for name in ("west", "east"):
        for k in (4, 3):
            file_of(archive, name, k).unlink()
    late = START + 8 * STEP
    volume_file(archive / "west", WEST, late)
    volumes = load(archive)
    np.testing.assert_array_equal(volumes.times, [*(START + LAG + np.arange(3) * STEP), late])


def test_scans_slower_than_the_mosaics_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, site in (("west", WEST), ("east", EAST)):
        (tmp_path / name).mkdir()
        for k in range(3):
            volume_file(tmp_path / name, site, START + 2 * k * STEP)
    with caplog.at_level(logging.WARNING, "nowcast"):
        assert len(load(tmp_path)) == 3
    assert "scan every 10 minutes, mosaics are made every 5: set mosaic.step_minutes" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, "nowcast"):
        load(tmp_path, mosaic=MosaicConfig(step_minutes=10.0))
    assert "scan every" not in caplog.text


def test_one_folder_a_radar(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--site is of one radar.*mosaic\.sites"):
        load(archive, site=WEST)
    with pytest.raises(UsageError, match=r"--clutter is of one radar.*mosaic\.clutter"):
        load(archive, clutter=tmp_path / "map.nc")
    with pytest.raises(UsageError, match="mosaic names north: expected some of east, west"):
        load(archive, mosaic=MosaicConfig(sites={"north": (0.0, 150.0, 0.0)}))
    shutil.copytree(archive / "west", archive / "again")
    with pytest.raises(InputError, match="again and west are folders of one radar"):
        load(archive)
    shutil.rmtree(archive / "again")
    shutil.copy(file_of(archive, "west", 0), archive / "east")
    with pytest.raises(InputError, match="mixes volumes of 2 radars"):
        load(archive)


def test_a_file_beside_the_folders_of_radars_is_told(archive: Path, caplog: pytest.LogCaptureFixture) -> None:
    (one,) = sorted((archive / "west").iterdir())[:1]
    shutil.copy(one, archive)
    with caplog.at_level(logging.WARNING, "nowcast"):
        assert load_sequence(archive, grid=GRID).radars == ("west",)
    assert f"the files in east, west: folders are of radars where no file is as {one.name}" in caplog.text


def test_an_empty_folder_is_a_missing_radar_and_a_centre_keeps_the_grid(archive: Path) -> None:
    centred = MosaicConfig(centre=(0.0, 150.0))
    before = load(archive, frames=1, mosaic=centred)
    for path in (archive / "east").iterdir():
        path.unlink()
    after = load(archive, frames=1, mosaic=centred)
    assert after.missing == (("east",),) and after.grid == before.grid
    assert load(archive, frames=1).grid != before.grid


def test_positions_and_names_of_radars_in_the_settings(archive: Path) -> None:
    moved = load(archive, frames=1, mosaic=MosaicConfig(sites={"east": (0.0, 150.6, 300.0)}))
    assert moved.grid.origin_lon == pytest.approx(150.05)


def test_forecast_and_fit_of_several_radars(archive: Path, tmp_path: Path) -> None:
    file_of(archive, "west", COUNT - 1).unlink()
    fit = FitConfig(gaussians=64)
    strict = MosaicConfig(within_minutes=5.0)
    request = ForecastRequest(archive, fit, frames=3, leads=2, grid=GRID, mosaic=strict)
    run = run_forecast(request, tmp_path / "forecast.nc")
    assert run.answer()["radars_missing"] == ((), (), ("west",))
    with xr.open_dataset(tmp_path / "forecast.nc") as file:
        assert (file.attrs["radars"], file.attrs["radars_missing"]) == ("east, west", "west")
        facts = json.loads(file.attrs["provenance"])
    assert facts["settings"]["mosaic"]["combine"] == "mean"
    first = run_forecast(replace(request, at=START + 4 * STEP), tmp_path / "first.nc")
    assert first.forecast.init_time == START + 3 * STEP + LAG
    report = fit_archive(archive, tmp_path / "fit.nc", config=fit, frames=2, grid=GRID, mosaic=strict)
    assert [len(record["times"]) for record in report.sequences] == [2, 2] and not report.failures


def test_the_command(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["grid", str(archive), "-o", str(tmp_path / "volumes.nc"), "--json", "--within", "1.5", "--combine"]
    with pytest.raises(SystemExit) as done:
        app([*words, "strongest", "--spacing", "10000", "--extent", "60000", "--levels", "1000,7000,2000"])
    assert done.value.code == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["radars"], answer["radars_missing"]) == (["east"], [["west"]] * COUNT)
    with pytest.raises(SystemExit) as done:
        app([*words, "median"])
    assert done.value.code == 2
