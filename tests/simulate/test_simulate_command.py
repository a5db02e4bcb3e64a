"""``nowcast simulate`` as a user or a program runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nowcast.cli import app
from nowcast.pipeline.inputs import list_inputs
from nowcast.simulate import read_truth


def test_an_event_can_be_listed_as_input(tmp_path: Path) -> None:
    folder = tmp_path / "a[b]"
    arguments = ["--volumes", "2", "--step", "5", "--kind", "dry", "--site=10,20,30", "--start", "2020-02-03T04:00"]
    result = CliRunner().invoke(app, ["simulate", "-o", str(folder), *arguments, "--json"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    (event,) = answer["events"]
    assert event["kind"] == "dry"
    assert event["directory"] == str(folder)
    assert [Path(p).name for p in event["volumes"]] == ["SIMR_20200203_040000.nc", "SIMR_20200203_040500.nc"]
    expected = np.array(["2020-02-03T04:00", "2020-02-03T04:05"], "datetime64[ns]")
    np.testing.assert_array_equal(list_inputs(folder), expected)
    np.testing.assert_array_equal(read_truth(event["truth"]).times, expected)


def test_an_unknown_kind_is_a_usage_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["simulate", "-o", str(tmp_path / "x"), "--kind", "hail"])
    assert result.exit_code == 2
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("option", ["--volumes=0", "--events=0", "--step=0", "--seed=-1"])
def test_senseless_numbers_are_refused(option: str, tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["simulate", "-o", str(tmp_path / "x"), option]).exit_code == 2
