"""Many simulated events straight to grids."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nowcast.cli import app
from nowcast.errors import InputError, UsageError
from nowcast.io.volumes import read_volumes
from nowcast.radar.gridding import GridConfig
from nowcast.simulate import CorpusPlan, read_truth, simulate_corpus

COARSE = GridConfig(spacing_m=10_000.0, extent_m=120_000.0, level_spacing_m=2000.0)
PLAN = CorpusPlan(events=3, volumes=3, mix={"cells": 1, "stratiform": 1}, seed=4, grid=COARSE)


def test_the_files_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    one, two = (simulate_corpus(PLAN, tmp_path / str(jobs), jobs=jobs) for jobs in (1, 2))
    assert [p.name for p in one] == [p.name for p in two]
    for first, second in zip(one, two, strict=True):
        a, b = read_volumes(first), read_volumes(second)
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_array_equal(a.times, b.times)
        assert (first.parent / "truth" / first.name).read_bytes() == (
            second.parent / "truth" / second.name
        ).read_bytes()


def test_an_event_does_not_depend_on_how_many_there_are() -> None:
    many = replace(PLAN, events=1000)
    few, some = PLAN.event(2), many.event(2)
    assert few.name == some.name
    np.testing.assert_array_equal(few.volumes().filled(), some.volumes().filled())
    assert many.event(7).scene.cells.start_s[0] != few.scene.cells.start_s[0]


@pytest.mark.parametrize("first", [0, 37])
def test_every_stretch_of_events_has_the_shares_asked_for(first: int) -> None:
    plan = CorpusPlan(events=1000, mix={"cells": 5, "line": 3, "dry": 2, "stratiform": 0})
    kinds = Counter(plan.kind(n) for n in range(first, first + 60))
    assert kinds["stratiform"] == 0
    assert [kinds[k] / 6 for k in ("cells", "line", "dry")] == pytest.approx([5, 3, 2], abs=0.4)


def test_diverse_events_differ_in_step_and_spacing_and_lack_volumes() -> None:
    plan = replace(PLAN, events=60, volumes=13, diverse=True)
    events = [plan.event(n) for n in range(plan.events)]
    steps = {np.diff(e.times).min() for e in events}
    assert len(steps) >= 4
    assert len({e.grid.spacing_m[2] for e in events}) >= 3
    assert len({e.grid.shape for e in events}) == 1
    lacking = np.mean([13 - len(e.times) for e in events]) / 13
    assert 0.01 < lacking < 0.1
    assert all(e.times[0] == e.start for e in events)


def test_the_command_writes_events_that_can_be_read(tmp_path: Path) -> None:
    size = ["--spacing", "10000", "--extent", "50000", "--levels", "1000,9000,4000", "--volumes", "2", "--jobs", "1"]
    kinds = ["--kind", "dry=1", "--kind", "line=3"]
    result = CliRunner().invoke(
        app, ["simulate", "-o", str(tmp_path), "--grids", "--events", "4", *kinds, *size, "--json"]
    )
    assert result.exit_code == 0, result.output
    events = json.loads(result.stdout)["events"]
    assert Counter(e["kind"] for e in events) == {"line": 3, "dry": 1}
    for event in events:
        volumes = read_volumes(event["volumes"])
        assert volumes.grid.shape == (3, 11, 11)
        assert (np.nanmax(volumes.values) > 0) == (event["kind"] != "dry")
        truth = read_truth(Path(event["volumes"]).parent / "truth" / Path(event["volumes"]).name)
        np.testing.assert_array_equal(truth.times, volumes.times)


@pytest.mark.parametrize("option", ["--kind=line=much", "--kind=line=-1", "--kind=hail=1"])
def test_senseless_shares_are_refused(option: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["simulate", "-o", str(tmp_path / "x"), "--grids", option])
    assert result.exit_code == 2
    assert not (tmp_path / "x").exists()


def test_grid_options_without_grids_are_refused(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["simulate", "-o", str(tmp_path / "x"), "--diverse"]).exit_code == 2


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.nc").touch()
    with pytest.raises(InputError, match=r"mine\.nc"):
        simulate_corpus(PLAN, tmp_path, jobs=1)
    with pytest.raises(UsageError, match="counted from 0"):
        PLAN.event(3)
