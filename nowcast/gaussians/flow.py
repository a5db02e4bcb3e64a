"""The flow: where the air carries each Gaussian, and how fast the fit found it to go."""

from __future__ import annotations

import numpy as np

from nowcast.gaussians.coherence import neighbour_average
from nowcast.gaussians.state import State, volume_in_voxels
from nowcast.motion import MotionConfig, MotionField, estimate_motion
from nowcast.types import Bool, Float32, GridSpec, VolumeSequence

HISTORY = 4
"""Number of newest volumes that a motion is estimated from."""
NEIGHBOURS = 64
REACH_M = 30e3
FADING = 0.7
"""Weight of a step's own displacement relative to that of the next newer step."""


def motions(volumes: VolumeSequence, config: MotionConfig, first: int = 1) -> list[MotionField]:
    """The motion at each time, from the volumes up to and including it; none before ``first``, which is at least 1.

    Where nothing was observed, the motion is that of the time before.
    """
    filled, seen = volumes.filled(), observed_times(volumes)
    found = [MotionField.still(volumes.grid)] * first
    for t in range(first, len(volumes)):
        newest = np.flatnonzero(seen[: t + 1])[-HISTORY:]
        if not seen[t] or len(newest) < 2:
            found.append(found[-1])
            continue
        some = filled[newest], volumes.times[newest], volumes.grid
        found.append(estimate_motion(*some, mask=volumes.mask[newest], config=config))
    return found


def observed_times(volumes: VolumeSequence) -> Bool:
    """``[T]`` whether a volume observed anything."""
    return np.asarray(volumes.mask.reshape(len(volumes), -1).any(axis=1))


def filled_in(found: list[MotionField], volumes: VolumeSequence) -> list[MotionField]:
    """The motions with those of times that have no two observed volumes behind them replaced by the first that has.

    For passes over a whole sequence, which may look ahead within it.
    """
    known = np.cumsum(observed_times(volumes)) >= 2
    first = int(np.argmax(known)) if known.any() else 0
    return [found[max(t, first)] for t in range(len(found))]


def carry(means: Float32, motion: MotionField, seconds: float) -> Float32:
    """``[N, 3]`` centres after ``seconds`` of motion, which may be negative; heights stay."""
    halfway = means.copy()
    halfway[:, :2] += motion.sample(means) * np.float32(0.5 * seconds)
    moved = means.copy()
    moved[:, :2] += motion.sample(halfway) * np.float32(seconds)
    return moved


def velocities(states: list[State], motions: list[MotionField], steps_s: list[float], grid: GridSpec) -> list[Float32]:
    """``[N, 3]`` m/s at each time: the flow, corrected by what the tracked Gaussians did against it.

    The correction is the displacement against the flow, averaged over neighbours and over the last steps: that of
    one Gaussian alone says more about how echo was shared out than about the air. Heights are held.
    """
    found = [np.zeros_like(states[0].means)]
    against, total = np.zeros((len(states[0]), 2)), 0.0
    for t in range(1, len(states)):
        state, motion, step = states[t], motions[t], steps_s[t - 1]
        away = (state.means - carry(states[t - 1].means, motion, step))[:, :2] / step
        against, total = FADING * against + away, FADING * total + 1.0
        strength = ((state.intensities.astype(np.float64) ** 2).sum(axis=1)) * volume_in_voxels(state, grid.spacing_m)
        average = neighbour_average(state.means, strength, NEIGHBOURS, REACH_M)
        velocity = np.zeros_like(state.means)
        velocity[:, :2] = motion.sample(state.means) + average @ against / total
        found.append(velocity)
    return found
