"""Sequences from our own files of gridded volumes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import helpers
import numpy as np
import pytest

from nowcast.errors import InputError
from nowcast.io.volumes import read_volumes, write_volumes
from nowcast.pipeline.describe import describe
from nowcast.pipeline.inputs import load_sequence
from nowcast.types import REFLECTIVITY as R

STEP = np.timedelta64(10, "m")


def test_a_volume_sequence_file_and_a_folder_of_them(tmp_path: Path) -> None:
    cells = helpers.moving_cells(helpers.small_grid((4, 10, 10)), steps=4)
    write_volumes(cells, tmp_path / "all.nc")
    whole = load_sequence(tmp_path / "all.nc", at=cells.times[2], frames=2)
    np.testing.assert_array_equal(whole.times, cells.times[1:3])
    folder = tmp_path / "folder"
    folder.mkdir()
    write_volumes(cells.select([0, 1]), folder / "a.nc")
    write_volumes(cells.select([2, 3]), folder / "b.nc")
    parts = load_sequence(folder, at=cells.times[2], frames=2)
    np.testing.assert_array_equal(parts.values, whole.values)
    with pytest.raises(InputError, match="no volume at or before"):
        load_sequence(tmp_path / "all.nc", at=cells.times[0] - STEP)


def test_a_folder_of_volumes_gives_the_channels_asked_for_and_opens_each_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nowcast.pipeline.inputs as module

    cells = helpers.moving_cells(helpers.small_grid((4, 10, 10)), steps=4)
    two = replace(cells, values=cells.values * np.float32([1.0, 0.1])[:, None, None, None], channels=(R, "zdr"))
    write_volumes(two.select([0, 1]), tmp_path / "a.nc")
    write_volumes(two.select([2, 3]), tmp_path / "b.nc")
    opened: list[str] = []
    monkeypatch.setattr(
        module, "read_volumes", lambda path, channels: opened.append(path.name) or read_volumes(path, channels)
    )
    back = load_sequence(tmp_path, channels=(R, "zdr", "kdp"))
    np.testing.assert_allclose(back.values[:, :2], two.values, atol=0.0051)
    assert np.isnan(back.values[:, 2]).all()
    assert opened == ["b.nc", "a.nc"]
    assert load_sequence(tmp_path).channels == (R,)


def test_our_own_files_are_described(tmp_path: Path) -> None:
    cells = helpers.moving_cells(helpers.small_grid((4, 10, 10)), steps=2)
    write_volumes(cells, tmp_path / "v.nc")
    facts = describe(tmp_path / "v.nc")
    assert facts["format"] == "volumes"
    assert facts["grid"]["shape"] == [4, 10, 10]
    assert facts["observed_share"] == 1.0
