"""Intervals over events."""

from __future__ import annotations

import numpy as np
import pytest

from nowcast.times import event_numbers
from nowcast.verify import bootstrap, mean_absolute_error


def sums_of(errors: np.ndarray) -> np.ndarray:
    """``[E, 4]`` sums of 100 voxels each."""
    return np.stack([np.full_like(errors, 100.0), 0 * errors, 100 * errors, 0 * errors], axis=-1)


def test_interval_of_a_mean_is_that_of_theory() -> None:
    errors = np.random.default_rng(2).normal(3.0, 0.5, 200)
    low, high = bootstrap.interval(mean_absolute_error(bootstrap.resampled(sums_of(errors))))
    half = 1.96 * errors.std(ddof=1) / np.sqrt(200)
    assert low == pytest.approx(errors.mean() - half, abs=0.15 * half)
    assert high == pytest.approx(errors.mean() + half, abs=0.15 * half)


def test_equal_events_leave_no_doubt_and_methods_meet_the_same_draws() -> None:
    same = bootstrap.interval(mean_absolute_error(bootstrap.resampled(sums_of(np.full(5, 2.0)))))
    assert same == pytest.approx([2.0, 2.0])
    hard = np.array([1.0, 2.0, 8.0, 3.0])
    worse = mean_absolute_error(bootstrap.resampled(sums_of(hard + 0.1)))
    assert bootstrap.interval(worse - mean_absolute_error(bootstrap.resampled(sums_of(hard)))) == pytest.approx(
        [0.1, 0.1]
    )


def test_what_is_never_defined_stays_undefined() -> None:
    empty = mean_absolute_error(bootstrap.resampled(np.zeros((3, 4))))
    assert np.isnan(bootstrap.interval(empty)).all()


def test_a_note_says_what_few_events_are_worth() -> None:
    assert "no interval" in bootstrap.note(1)
    assert "too narrow" in bootstrap.note(3)
    assert "too narrow" not in bootstrap.note(30)


def test_events_are_six_hours_apart() -> None:
    hours = np.array([0, 1, 2, 9, 10, 30])
    starts = np.datetime64("2020-01-01", "ns") + hours * np.timedelta64(1, "h")
    two_hours = np.timedelta64(2, "h")
    assert event_numbers(starts, starts + two_hours).tolist() == [0, 0, 0, 0, 0, 1]
    assert event_numbers(starts, starts).tolist() == [0, 0, 0, 1, 1, 2]
    assert event_numbers(starts[:1], starts[:1]).tolist() == [0]
