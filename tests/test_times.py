"""The rules about times, by hand."""

from __future__ import annotations

import numpy as np

from nowcast.times import breaks, match_tolerance, nearest, nominal_step

MINUTE = np.timedelta64(1, "m")


def at(*minutes: float) -> np.ndarray:
    return np.datetime64("2020-01-01T00:00", "ns") + (np.array(minutes) * 60e9).astype("timedelta64[ns]")


def test_one_missing_volume_is_no_gap_and_two_are() -> None:
    times = at(0, 10, 20, 40, 50, 80, 90)
    assert nominal_step(times) == 10 * MINUTE and nominal_step(at(5)) == 0 * MINUTE
    assert list(breaks(times)) == [5]
    assert len(breaks(at(5))) == 0


def test_a_neighbour_never_stands_for_a_missing_volume() -> None:
    tolerance = match_tolerance(10 * MINUTE)
    assert tolerance == 3 * MINUTE and match_tolerance(60 * MINUTE) == 5 * MINUTE
    times = at(0, 10, 30)
    assert nearest(times, at(12)[0], tolerance) == 1 and nearest(times, at(20)[0], tolerance) is None
    assert nearest(times[:0], at(0)[0], tolerance) is None
