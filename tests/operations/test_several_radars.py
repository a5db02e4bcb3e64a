"""A desk of several radars: folders that are renamed, or cannot be read."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import xarray as xr
from desk import RADAR, START, Desk, simulate_feed

from nowcast.operations.feed import list_input
from nowcast.operations.job import Input
from nowcast.radar import Site

EAST = replace(RADAR, name="EAST", site=Site(RADAR.site.lat, RADAR.site.lon + 0.6, 60.0))


@pytest.fixture
def two(desk: Desk) -> Desk:
    """Three volumes of each of two radars, forecast from once."""
    east = simulate_feed(desk.folder / "east", volumes=3, start=START, radar=EAST)
    for name, files in (("simr", desk.volumes[:3]), ("east", east)):
        (desk.feed / name).mkdir()
        for path in files:
            shutil.copy(path, desk.feed / name)
    desk.configure(mosaic={"step_minutes": 5})
    desk.batch()
    return desk


def test_a_folder_of_a_new_name_takes_the_place_of_the_one_that_is_gone(two: Desk) -> None:
    (two.feed / "simr").rename(two.feed / "west")
    for _ in range(2):
        status = two.batch()
        with xr.open_dataset(status["outputs"][0]["path"], decode_timedelta=True) as dataset:
            assert dataset.attrs["radars"] == "east, west" and not dataset.attrs["radars_missing"]
    assert set(json.loads((two.inside / "radars.json").read_text())["radars"]) == {"east", "west"}
    (two.feed / "east").rename(two.feed / "east2")
    (two.feed / "west").rename(two.feed / "west2")
    assert two.batch()["state"] == "done"
    run = two.start("--check")
    assert run.wait() == 0 and "east2, west2" in run.output.read_text()


def test_an_empty_folder_gives_way_and_a_full_one_does_not(two: Desk) -> None:
    shutil.copytree(two.feed / "simr", two.feed / "west")
    told = "the folder west is left out: it holds volumes of the radar of simr"
    assert any(text.startswith(told) for text in two.batch()["warnings"])
    for path in (two.feed / "simr").iterdir():
        path.unlink()
    status = two.batch()
    assert "the radar of simr comes in west now, under that name" in status["warnings"]
    with xr.open_dataset(status["outputs"][0]["path"], decode_timedelta=True) as dataset:
        assert dataset.attrs["radars"] == "east, west"


def test_a_job_that_names_a_radar_which_is_not_there_is_wrong_and_no_wrong_option(two: Desk) -> None:
    two.configure(mosaic={"sites": {"north": [52.0, 4.0, 30.0]}})
    status = two.batch(code=3)
    assert status["state"] == "failed" and "mosaic names north: expected some of east, simr" in status["reason"]


def test_a_folder_that_cannot_be_read_is_that_of_a_radar_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("east", "west"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "volume.h5").touch()
    iterdir = Path.iterdir

    def broken(folder: Path) -> Iterator[Path]:
        if folder.name == "east":
            raise OSError(errno.EIO, "Input/output error")
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", broken)
    found = list_input(Input(str(tmp_path)), {})
    assert found.paths == [tmp_path / "west" / "volume.h5"] and found.folders == ("east", "west")
    assert found.unlooked == "east, which cannot be read: Input/output error"
