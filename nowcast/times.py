"""Rules about the times of volumes, the same in every part: the usual step, gaps, and which time stands for another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.datetime64]
Positions = NDArray[np.int64]

LARGEST_GAP = 2.5
"""A gap is longer than so many nominal steps: one volume may be missing, not two in a row."""
EVENT_GAP = np.timedelta64(6, "h")
"""A longer silence of an archive starts a new event; what is less apart in time, at one place, is of one event."""
MATCH_SHARE = 0.3
"""A time stands for another within this share of a step. Half a step would let a neighbour stand for a missing one."""
MATCH_LIMIT = np.timedelta64(5, "m")
"""Nor farther than this, however long the step: in five minutes echo moves by several voxels."""


def nominal_step(times: NDArray[np.datetime64] | NDArray[np.timedelta64]) -> np.timedelta64:
    """The median step of rising times or lead times, ns; 0 for a single one."""
    steps = np.diff(times).astype("timedelta64[ns]").astype(np.int64)
    return np.timedelta64(round(float(np.median(steps))) if len(steps) else 0, "ns")


def breaks(times: Times) -> Positions:
    """Positions of the times that come after a gap."""
    return np.flatnonzero(np.diff(times) > LARGEST_GAP * nominal_step(times)) + 1


def event_numbers(starts: Times, ends: Times) -> Positions:
    """Number of the event, from 0, of each of the stretches of time at one place, given in order of their starts.

    One that starts more than ``EVENT_GAP`` after the end of all before it starts a new event.
    """
    until = np.maximum.accumulate(ends)
    return np.concatenate([[0], np.cumsum(starts[1:] - until[:-1] > EVENT_GAP)]).astype(np.int64)[: len(starts)]


def match_tolerance(step: np.timedelta64) -> np.timedelta64:
    """How far a time may lie from the one that it stands for, among times so far apart."""
    return min(MATCH_SHARE * step, MATCH_LIMIT)


def nearest(times: Times, wanted: np.datetime64, tolerance: np.timedelta64) -> int | None:
    """Position of the time nearest to the wanted one, None when it is farther than the tolerance."""
    if len(times) == 0:
        return None
    distance = np.abs(times - wanted)
    k = int(np.argmin(distance))
    return k if distance[k] <= tolerance else None
