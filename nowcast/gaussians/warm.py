"""Warm start: the Gaussians of the last cycle go on to the volumes that have come since.

What draws most goes on and keeps its identity; the rest is renewed where the new volume is not yet drawn well. So a
cycle costs a fraction of a fit from nothing, and a storm keeps its Gaussians as long as it lives.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from nowcast.errors import InputError
from nowcast.gaussians.compute import Compute
from nowcast.gaussians.config import FitConfig
from nowcast.gaussians.device import computed
from nowcast.gaussians.flow import carry, drift
from nowcast.gaussians.passes import Fitter
from nowcast.gaussians.sequences import by_importance, sequence_of, state_of
from nowcast.gaussians.state import State
from nowcast.motion import MotionField
from nowcast.types import GaussianSequence, VolumeSequence

IDS_A_SECOND = 1 << 20
"""More than there are Gaussians: an id tells when a Gaussian was new, and none is given twice."""
MOST_NEW = 2
"""With more new volumes than this a fit from nothing is as quick."""


def why_not_continue(previous: GaussianSequence, volumes: VolumeSequence, config: FitConfig) -> str | None:
    """Why a fit cannot go on to these volumes, in words; None when it can.

    Parameters
    ----------
    previous
        The fit of an earlier cycle.
    volumes
        The volumes of this cycle, newest last.
    config
        Settings of this cycle.
    """
    fresh = int((volumes.times > previous.times[-1]).sum())
    known = volumes.times[: len(volumes) - fresh]
    if not previous.grid.matches(volumes.grid):
        return "it is on another grid"
    count = previous.means.shape[1]
    if previous.channels != volumes.channels:
        return "it has other channels"
    if count > config.gaussians or (config.psnr_db is None and count < config.gaussians):
        return f"it has another number of Gaussians, {count}"
    if volumes.times[-1] < previous.times[-1]:
        return "it is of a later time"
    if fresh > MOST_NEW:
        return f"{fresh} volumes have come since"
    if len(known) == 0 or not np.isin(known, previous.times).all():
        return "it was fitted to other volumes"
    return None


def continue_fit(
    previous: GaussianSequence, volumes: VolumeSequence, config: FitConfig | None = None
) -> GaussianSequence:
    """Fit new volumes starting from the fit of the ones before.

    Parameters
    ----------
    previous
        The fit of an earlier cycle, by :func:`~nowcast.gaussians.fit_sequence` or by this function.
    volumes
        Some of the volumes it was fitted to, at least one, then the new ones, if any.
    config
        Settings: as many Gaussians as ``previous`` has, or at least that many where the content sets their number.

    Returns
    -------
    GaussianSequence
        The times of ``volumes``, most important Gaussians first. Those that went on keep their id; renewed ones are
        idle at the times before, and their id is one that no cycle before has used and none after will: it counts from
        their first time. Depends on nothing but the arguments, to the bit.

    Raises
    ------
    InputError
        The fit cannot go on to these volumes: :func:`why_not_continue`.
    """
    config = config or FitConfig(gaussians=previous.means.shape[1])
    reason = why_not_continue(previous, volumes, config)
    if reason is not None:
        raise InputError(f"the fit cannot be continued: {reason}")
    at = [int(np.flatnonzero(previous.times == time)[0]) for time in volumes.times if time <= previous.times[-1]]
    if len(at) == len(volumes) and at[-1] - at[0] == len(at) - 1:
        return previous.select(slice(at[0], at[-1] + 1))
    return computed(config, volumes, lambda compute: _renewed(previous, volumes, config, at, compute))


def _renewed(
    previous: GaussianSequence, volumes: VolumeSequence, config: FitConfig, at: list[int], compute: Compute
) -> GaussianSequence:
    """The fit with the volumes after its times ``at`` added one by one."""
    fitter = Fitter(volumes, config, lambda done, total: None, len(at), compute)
    states = [state_of(previous.at(t), previous.channels) for t in at]
    moving = [previous.velocities[t].numpy() for t in at]
    ids = previous.ids.numpy()
    for t in range(len(at), len(volumes)):
        fitter.states[:t] = states
        newest, going_on = fitter.renew(t)
        motion = fitter.motions[t]
        new = newest.take(slice(int(going_on.sum()), None))
        earlier = _backdated(new, motion, fitter.steps_s[:t])
        states = [*(state.take(going_on).join(born) for state, born in zip(states, earlier, strict=True)), newest]
        moving = [np.concatenate([v[going_on], drift(born, motion)]) for v, born in zip(moving, earlier, strict=True)]
        moving.append(drift(newest, motion))
        ids = np.concatenate([ids[going_on], _first_id(volumes.times[t]) + np.arange(len(new))])
    return by_importance(sequence_of(states, moving, volumes, torch.from_numpy(ids)), config)


def _backdated(new: State, motion: MotionField, steps_s: list[float]) -> list[State]:
    """New Gaussians at the earlier times, oldest first: idle, where the motion has them come from."""
    idle = replace(new, intensities=np.zeros_like(new.intensities))
    found: list[State] = []
    for step in reversed(steps_s):
        idle = replace(idle, means=carry(idle.means, motion, -step))
        found.append(idle)
    return found[::-1]


def _first_id(time: np.datetime64) -> int:
    """From which the Gaussians count that are new at a time; above those of a fit from nothing."""
    return int(time.astype("datetime64[s]").astype(np.int64)) * IDS_A_SECOND
