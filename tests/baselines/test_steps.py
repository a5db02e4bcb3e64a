"""pysteps' STEPS as a method of ours: an ensemble in our units, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import moving_cells, small_grid

from nowcast.baselines import extrapolation_levels, has_pysteps, steps
from nowcast.errors import UsageError

LEADS = np.array([10, 20], "timedelta64[m]").astype("timedelta64[ns]")
VOLUMES = moving_cells(small_grid((3, 48, 48)), cells=8, steps=4)


@pytest.mark.skipif(not has_pysteps(), reason="pysteps is not installed")
def test_members_differ_follow_the_motion_and_come_again(capsys: pytest.CaptureFixture[str]) -> None:
    first, again, other = (steps(VOLUMES, LEADS, 4, seed) for seed in (1, 1, 2))
    assert first.shape == (4, 2, *VOLUMES.grid.shape) and first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])
    still, moved = VOLUMES.filled()[-1], extrapolation_levels(VOLUMES, LEADS)[-1]
    mean = first[:, -1].mean(axis=0)
    assert np.abs(mean - moved).mean() < 0.7 * np.abs(mean - still).mean()
    assert capsys.readouterr().out == ""  # stdout belongs to the answers


@pytest.mark.skipif(not has_pysteps(), reason="pysteps is not installed")
def test_a_dry_level_is_extrapolated_in_all_members() -> None:
    values = VOLUMES.values.copy()
    values[:, :, 2] = 0.0
    values[:, :, 2, 20:23, 20:23] = 30.0
    some = type(VOLUMES)(values, VOLUMES.mask, VOLUMES.times, VOLUMES.grid)
    found = steps(some, LEADS, 3)
    expected = extrapolation_levels(some, LEADS)[:, 2]
    assert all(np.array_equal(member[:, 2], expected) for member in found)
    assert not np.array_equal(found[0, :, 0], found[1, :, 0])


@pytest.mark.skipif(not has_pysteps(), reason="pysteps is not installed")
def test_too_little_is_told() -> None:
    with pytest.raises(UsageError, match="2 volumes"):
        steps(VOLUMES.select([0, 1]), LEADS, 4)
    with pytest.raises(UsageError, match="1 members"):
        steps(VOLUMES, LEADS, 1)
