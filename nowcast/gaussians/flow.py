"""The flow: where the air carries each Gaussian."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nowcast import units
from nowcast.gaussians.state import State
from nowcast.gaussians.terms import ImageTerm
from nowcast.motion import MotionConfig, MotionField, estimate_motion
from nowcast.types import Bool, Float32, GridSpec, VolumeSequence
from nowcast_kernels.parallel import run_parallel

HISTORY = 4
"""Number of newest volumes that a motion is estimated from."""


def motions(volumes: VolumeSequence, config: MotionConfig, first: int = 1) -> list[MotionField]:
    """The motion at each time, from the volumes up to and including it; none before ``first``, which is at least 1.

    Where nothing was observed, the motion is that of the time before. Still until there are two observed volumes.
    """
    filled, seen = volumes.filled(), observed_times(volumes)
    count = len(volumes)
    newest = [np.flatnonzero(seen[: t + 1])[-HISTORY:] for t in range(count)]
    told = [t for t in range(first, count) if (seen[t] or t == first) and len(newest[t]) > 1]
    estimated: dict[int, MotionField] = {}

    def estimate(k: int) -> None:
        used = newest[told[k]]
        some = filled[used], volumes.times[used], volumes.grid
        estimated[told[k]] = estimate_motion(*some, mask=volumes.mask[used], config=config)

    run_parallel(estimate, len(told))
    found = [MotionField.still(volumes.grid)] * first
    for t in range(first, count):
        found.append(estimated.get(t, found[-1]))  # that of the time before where nothing has come since
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


def aligned(reference: State, image: ImageTerm, grid: GridSpec, step_s: float, config: MotionConfig) -> State:
    """The reference moved on by the motion that is left between what it draws and what was observed.

    The flow is as smooth as a forecast needs it; cells that split, merge or pass each other go ways of their own. One
    motion for all levels, from the strongest reflectivity of each column; left out where it does not bring the two
    closer.
    """
    seen = image.root_weight[0] > 0
    if not seen.any() or len(reference) == 0:
        return reference
    here = image.at(reference)
    pair = np.stack([image.compute.columns(field[0], seen) for field in (here.field, image.target)])
    columns = units.clip_dbz(units.model_to_dbz(pair))
    times = np.array([0, round(abs(step_s) * 1e9)]).astype("datetime64[ns]")
    mask = np.broadcast_to(image.compute.to_host(seen.any(axis=0)), columns.shape)
    left = estimate_motion(columns, times, grid, mask=mask, config=config)
    moved = replace(reference, means=carry(reference.means, left, abs(step_s)))
    there = image.at(moved)
    return moved if float((there.residual**2).sum()) < float((here.residual**2).sum()) else reference


def drift(state: State, motion: MotionField) -> Float32:
    """``[N, 3]`` m/s: the flow where the Gaussians are; heights are held.

    What the Gaussians did against the flow is left out: averaged over neighbours and steps it changed no score of a
    forecast, followed closely it made them worse.
    """
    velocity = np.zeros_like(state.means)
    velocity[:, :2] = motion.sample(state.means)
    return velocity
