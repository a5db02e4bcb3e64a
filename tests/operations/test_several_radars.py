"""A desk of several radars: folders that are renamed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import xarray as xr
from desk import RADAR, START, Desk, simulate_feed

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
