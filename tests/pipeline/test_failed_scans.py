"""A scan that failed reads as clear air: it must not become an all-clear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import moving_cells, small_grid

from nowcast.pipeline.failed_scans import without_failed_scans
from nowcast.types import VolumeSequence

GRID = small_grid((6, 24, 28))


def emptied(volumes: VolumeSequence, *positions: int) -> VolumeSequence:
    values = volumes.values.copy()
    values[list(positions)] = 0.0
    return replace(volumes, values=values)


def test_volumes_that_lost_all_echo_at_once_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    volumes = emptied(moving_cells(GRID, steps=5), 2, 4)
    assert list(without_failed_scans(volumes).times) == list(volumes.times[[0, 1, 3]])
    assert "no echo at all" in caplog.text


def test_dry_weather_stays(caplog: pytest.LogCaptureFixture) -> None:
    dry = emptied(moving_cells(GRID, steps=4), 0, 1, 2, 3)
    small_shower = moving_cells(GRID, steps=2, cells=1, peak_dbz=21.0)
    for volumes in (dry, emptied(small_shower, 1)):
        assert len(without_failed_scans(volumes)) == len(volumes)
    after_a_gap = emptied(moving_cells(GRID, steps=2, step_s=3600.0), 1)
    assert len(without_failed_scans(after_a_gap)) == 2
    nothing = replace(dry, coverage=np.zeros(GRID.shape, np.bool_))
    assert len(without_failed_scans(nothing)) == 4 and "no voxel of any volume holds a value" in caplog.text


def test_no_volume_is_judged_by_a_later_one() -> None:
    volumes = emptied(moving_cells(GRID, steps=5), 0, 3)
    for newest in range(1, 6):
        kept = without_failed_scans(volumes.select(slice(0, newest))).times
        assert list(kept) == [t for t in volumes.times[[0, 1, 2, 4]] if t <= volumes.times[newest - 1]]
