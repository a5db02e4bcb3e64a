"""STC-GS: a sequence of volumes as the same Gaussians at every time.

Bidirectional and causal. The newest observed volume is fitted from scratch; a backward pass carries its Gaussians
along the flow to the earlier volumes and adds what only those hold; a forward pass then fits every volume again,
starting from the backward pass and held to where the flow carries the Gaussians of the volume before.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from nowcast.errors import InputError
from nowcast.gaussians.compute import Compute
from nowcast.gaussians.config import FitConfig
from nowcast.gaussians.device import computed
from nowcast.gaussians.flow import HISTORY, drift
from nowcast.gaussians.passes import Fitter
from nowcast.gaussians.sequences import by_importance, sequence_of, state_of
from nowcast.gaussians.state import State
from nowcast.motion import MotionField
from nowcast.types import GaussianSequence, Progress, VolumeSequence


def fit_sequence(
    volumes: VolumeSequence, config: FitConfig | None = None, *, progress: Progress | None = None
) -> GaussianSequence:
    """Fit the volumes with ``config.gaussians`` Gaussians that persist over all times.

    Parameters
    ----------
    volumes
        The volumes to fit, all of them input: a forecast from the result is issued at the last time. Voxels that
        were not observed count for nothing, and so does a channel where it has no value. Reflectivity places the
        Gaussians; all channels together shape them.
    config
        Settings.
    progress
        Called with (passes done, passes to do).

    Returns
    -------
    GaussianSequence
        Most important first, see :func:`~nowcast.gaussians.sequences.by_importance`: a prefix is a coarser volume. Ids
        are 0..N-1, N being ``config.gaussians``, or what it takes where ``config.psnr_db`` says how well to draw. The
        flow in ``velocities`` comes at each time from the volumes up to and including it, and is 0 at the first;
        heights are held. Depends on nothing but the arguments, to the bit.
    """
    config = config or FitConfig()
    held = volumes.with_channels(_held(volumes))

    def fit(compute: Compute) -> tuple[list[State], list[MotionField]]:
        fitter = Fitter(held, config, progress or _silent, compute=compute)
        return fitter.run(), fitter.motions

    states, motions = computed(config, held, fit)
    moving = [np.zeros_like(states[0].means), *map(drift, states[1:], motions[1:])]
    fitted = sequence_of(states, moving, held, torch.arange(len(states[0]))).with_channels(volumes.channels)
    ordered = by_importance(fitted, config)
    return replace(ordered, ids=torch.arange(len(ordered.ids)))


def _held(volumes: VolumeSequence) -> list[str]:
    """The channels that have a value: the others would take time and come out as nothing."""
    names = enumerate(volumes.channels)
    return [name for c, name in names if c == 0 or np.isfinite(volumes.values[:, c]).any()]


def extend_fit(
    sequence: GaussianSequence, volumes: VolumeSequence, config: FitConfig | None = None
) -> GaussianSequence:
    """Continue a fit forward onto later volumes: the same Gaussians and ids, nothing earlier touched.

    Gaussians that are idle stay idle, and none is moved to new echo: what is learnt from the continuation is how
    the Gaussians at hand went on.

    Parameters
    ----------
    sequence
        A fit.
    volumes
        The volumes it was fitted to, then the later ones, on the same grid.
    config
        Settings; whatever they say, the number of Gaussians is that of ``sequence``.

    Returns
    -------
    GaussianSequence
        The times of ``sequence``, then those after it; velocities at each from the times up to it.

    Raises
    ------
    InputError
        The grid, the channels or the first times differ.
    """
    fitted = len(sequence)
    if not sequence.grid.matches(volumes.grid) or sequence.channels != volumes.channels:
        raise InputError("the volumes to go on with have another grid or other channels than the fit")
    if not np.array_equal(sequence.times, volumes.times[:fitted]):
        raise InputError("the volumes to go on with do not begin with those that were fitted")
    if len(volumes) == fitted:
        return sequence
    first = max(fitted - HISTORY, 0)
    recent, known = volumes.select(slice(first, None)), fitted - first
    now, active = state_of(sequence.at(-1), sequence.channels), sequence.at(-1).active.numpy()
    config = config or FitConfig()

    def fit(compute: Compute) -> tuple[list[State], list[MotionField]]:
        fitter = Fitter(recent, config, _silent, known, compute)
        fitter.states = [now.take(active)] * len(recent)
        for t in range(known, len(recent)):
            fitter.forward(t, from_backward=False)
        return fitter.states[known:], fitter.motions[known:]

    states, motions = computed(config, recent, fit)
    later = [now.put(active, state) for state in states]  # idle ones stay as they were
    moving = list(map(drift, later, motions))
    after = volumes.select(slice(fitted, None))
    return sequence.concat(sequence_of(later, moving, after, sequence.ids))


def _silent(done: int, total: int) -> None:
    pass
