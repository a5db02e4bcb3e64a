"""Training and held-out windows share no event."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gaussian_cases import drifting
from hypothesis import given
from hypothesis import strategies as st

from nowcast.errors import InputError
from nowcast.train.split import event_names, split_events, split_windows
from nowcast.types import FittedWindow

NAMES = st.lists(st.text(min_size=1, max_size=5), min_size=2, unique=True)


@given(NAMES, st.floats(0.01, 0.99), st.integers(0, 99))
def test_the_parts_are_disjoint_and_whole(names, fraction, seed):
    train, held = split_events([*names, names[0]], fraction, seed)
    assert train and held
    assert not set(train) & set(held)
    assert set(train) | set(held) == set(names)
    assert (train, held) == split_events(names[::-1], fraction, seed)


def test_the_fraction_is_of_events():
    _, held = split_events([str(i) for i in range(20)], 0.2, 0)
    assert len(held) == 4


def test_the_seed_chooses():
    names = [str(i) for i in range(20)]
    assert split_events(names, 0.5, 0) != split_events(names, 0.5, 1)


def test_one_event_is_refused_with_a_hint():
    with pytest.raises(InputError, match=r"1 event \(storm\), expected at least 2.*fit another storm"):
        split_events(["storm", "storm"], 0.2, 0)


def window(event: str, hours: float, east_deg: float = 0.0) -> FittedWindow:
    """Half an hour from so many hours after the start, seen so far east of the usual radar."""
    gaussians = drifting(4, 4)
    grid = replace(gaussians.grid, origin_lon=gaussians.grid.origin_lon + east_deg)
    times = gaussians.times + np.timedelta64(round(hours * 3600), "s")
    return FittedWindow(replace(gaussians, grid=grid, times=times), 2, event)


def test_windows_go_with_their_event():
    windows = [window(f"day {day}", 24 * day + hour) for day in range(5) for hour in (0, 0.5, 1)]
    train, held = split_windows(windows, 0.4, 0)
    assert len(train) == 9 and len(held) == 6
    assert not {w.event for w in train} & {w.event for w in held}
    assert {id(w) for w in [*train, *held]} == {id(w) for w in windows}


@pytest.mark.parametrize("seed", range(4))
def test_halves_of_an_archive_stay_on_one_side(seed):
    halves = [*(window("part1", h) for h in (0, 1, 2)), *(window("part2", h) for h in (3, 4, 5))]
    train, held = split_windows([*halves, window("other", 60)], 0.5, seed)
    assert sorted(map(len, (train, held))) == [1, 6]


def test_a_copy_with_a_rounded_position_is_the_same_event():
    names = event_names([window("raw", 0), window("gridded", 0.2, east_deg=0.003), window("other", 30)])
    assert names == ["gridded + raw", "gridded + raw", "other"]


def test_a_short_window_within_a_long_one_does_not_break_the_event():
    long = window("long", 0)
    long = replace(long, gaussians=replace(long.gaussians, times=long.gaussians.times + 1200 * np.arange(4) * 10**10))
    assert len(set(event_names([long, window("short", 1), window("late", 12)]))) == 1


def test_another_radar_another_day_or_an_evening_later_is_another_event():
    assert len(set(event_names([window("a", 0), window("b", 0, east_deg=2.0), window("c", 7), window("d", 40)]))) == 4


def test_one_name_is_one_event_whenever_and_wherever():
    assert len(set(event_names([window("a", 0), window("a", 100), window("a", 0, east_deg=5.0)]))) == 1


def test_two_halves_alone_are_refused():
    with pytest.raises(InputError, match=r"1 event \(part1 \+ part2\)"):
        split_windows([window("part1", 0), window("part2", 1)], 0.5, 0)
