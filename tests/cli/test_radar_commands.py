"""``nowcast info``, ``grid`` and ``clutter`` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from radar_files import SITE, START, ground_clutter, nothing, polar_volume, storm, write_odim
from typer.testing import CliRunner, Result

from nowcast.cli import app
from nowcast.io.atomic import file_digest
from nowcast.io.volumes import read_volumes

GRID = ("--spacing", "10000", "--extent", "80000", "--levels", "1000,5000,1000")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Four dry volumes with clutter, then a storm, every ten minutes; the files hold no position."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for k in range(5):
        field = storm() if k == 4 else nothing
        volume = ground_clutter(polar_volume(field, gates=90, time=START + np.timedelta64(10 * k, "m")))
        write_odim(volume, folder / f"{k}.h5", site=None)
    return folder


SITE_OPTION = f"--site={SITE.lat},{SITE.lon},{SITE.alt}"


def test_grid_writes_a_volume_sequence(archive: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "volumes.nc"
    done = run("grid", archive, SITE_OPTION, *GRID, "-o", output, "--json")
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["output"] == str(output)
    assert answer["times"][-1] == "2020-01-01T00:40:00Z"
    assert answer["shape"] == [5, 17, 17]
    volumes = read_volumes(output)
    assert len(volumes) == 5
    assert np.nanmax(volumes.reflectivity[4]) > 30.0
    assert np.nanmax(volumes.reflectivity[3]) < 5.0
    with netCDF4.Dataset(output) as file:
        told = json.loads(file.provenance)
    assert told["input_sha256"] == {name: file_digest(archive / name) for name in told["input_files"]}


def test_grid_takes_the_newest_of_an_earlier_time(archive: Path, tmp_path: Path) -> None:
    output = tmp_path / "volumes.nc"
    done = run("grid", archive, SITE_OPTION, *GRID, "--at", "2020-01-01T00:25", "--frames", "2", "-o", output)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(output)
    assert read_volumes(output).sources == ("1.h5", "2.h5")


def test_grid_without_a_position_asks_for_it(archive: Path, tmp_path: Path) -> None:
    done = run("grid", archive, *GRID, "-o", tmp_path / "volumes.nc")
    assert done.exit_code == 3
    assert "--site" in done.stderr
    assert not (tmp_path / "volumes.nc").exists()


def test_clutter_learns_from_the_dry_volumes(archive: Path, tmp_path: Path) -> None:
    output = tmp_path / "map.nc"
    done = run("clutter", archive, SITE_OPTION, "-o", output, "--json")
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert (answer["radar"], len(answer["times"]), answer["with_rain"]) == ("TEST", 4, 1)
    assert answer["clutter_gates"][0] > 1000
    facts = json.loads(run("info", output, "--json").stdout)["files"][0]
    assert facts["format"] == "clutter"
    with_map = run("grid", archive, SITE_OPTION, *GRID, "--clutter", output, "-o", tmp_path / "v.nc")
    assert with_map.exit_code == 0, with_map.output


def test_info_for_people(archive: Path) -> None:
    done = run("info", archive / "4.h5")
    assert done.exit_code == 0, done.output
    assert "radar: TEST" in done.stdout
    assert "time: 2020-01-01T00:40:00Z" in done.stdout
    assert "sweep: elevation_deg 0.5, rays 360, gates 90" in done.stdout
    assert "site" not in done.stdout


def test_info_as_json(archive: Path) -> None:
    done = run("info", archive / "4.h5", "--json")
    (facts,) = json.loads(done.stdout)["files"]
    assert (facts["format"], facts["radar"], facts["site"]) == ("odim", "TEST", None)
    assert len(facts["sweeps"]) == 15


def test_info_goes_on_after_a_bad_file(archive: Path, tmp_path: Path) -> None:
    bad = tmp_path / "a[b].h5"
    bad.write_text("text")
    done = run("info", bad, archive / "4.h5")
    assert done.exit_code == 4
    assert "radar: TEST" in done.stdout
    assert "a[b].h5 is a text file" in done.stderr
    alone = run("info", bad)
    assert alone.exit_code == 3
