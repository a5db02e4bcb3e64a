"""From observed frames to a forecast: the model's corrections, summed up on top of Lagrangian extrapolation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from nowcast import units
from nowcast.errors import InputError, UsageError
from nowcast.gaussians import advect
from nowcast.gaussians.shape import quaternion_product
from nowcast.models.features import HISTORY, Frame, Snapshot, describe
from nowcast.models.gaumamba import GauMamba, Memory, Rates
from nowcast.motion import MAX_STEP_S
from nowcast.types import GaussianSequence, GaussianSet
from nowcast_kernels.voxelize import rotation_matrices


@dataclass(frozen=True)
class Correction:
    """What the model has added to the extrapolation so far: zero, zero, zero and the unit quaternion at the start.

    ``moved [N, 3]`` m; ``grown [N, C]`` and ``stretched [N, 2]`` (horizontally and vertically) natural logarithms;
    ``turned [N, 4]`` a quaternion (w, x, y, z) in grid axes.
    """

    moved: Tensor
    grown: Tensor
    stretched: Tensor
    turned: Tensor

    @staticmethod
    def none(like: GaussianSet) -> Correction:
        """No correction to these Gaussians."""
        still = torch.zeros_like(like.quats)
        still[:, 0] = 1.0
        moved, grown = torch.zeros_like(like.means), torch.zeros_like(like.intensities)
        return Correction(moved, grown, moved[:, :2], still)

    def advance(self, rates: Rates, minutes: float) -> Correction:
        """The correction after ``minutes`` more at these rates."""
        return Correction(
            moved=self.moved + rates.drift * (60 * minutes),
            grown=self.grown + rates.growth * minutes,
            stretched=self.stretched + rates.stretch * minutes,
            turned=quaternion_product(_rotation(rates.turn * minutes), self.turned),
        )

    def apply(self, base: GaussianSet) -> GaussianSet:
        """The extrapolated Gaussians, corrected; bit for bit themselves where the correction is none.

        A Gaussian stretches along its own axes, each by how much of it is horizontal and how much vertical.
        """
        upright = rotation_matrices(base.quats)[:, 2].square()
        horizontal, vertical = self.stretched[:, :1], self.stretched[:, 1:]
        return GaussianSet(
            means=base.means + self.moved,
            log_scales=base.log_scales + (horizontal * (1 - upright) + vertical * upright),
            quats=quaternion_product(self.turned, base.quats),
            intensities=base.intensities * torch.exp(self.grown),
        )


def _rotation(vector: Tensor) -> Tensor:
    """Quaternion of a small rotation vector ``[N, 3]``, to second order; no angle gives exactly (1, 0, 0, 0)."""
    half = vector / 2
    return torch.cat([1 - half.square().sum(-1, keepdim=True) / 2, half], dim=-1)


def roll_out(model: GauMamba, sequence: GaussianSequence, lead_seconds: Sequence[float]) -> list[GaussianSet]:
    """Forecast the Gaussians.

    Parameters
    ----------
    model
        Trained or not; an untrained one gives :func:`nowcast.gaussians.advect` bit for bit.
    sequence
        The observed frames, fitted; the forecast starts from the last.
    lead_seconds
        Lead times after the last frame, rising, any number and any distance.

    Returns
    -------
    For each lead time all N Gaussians, in the order of ``sequence``. One that is idle stays idle.

    Raises
    ------
    UsageError
        The lead times are none, not positive or not rising.
    InputError
        The sequence has other channels than the model.
    """
    with torch.no_grad():
        steps = forecast_steps(lead_seconds)
        sets = unroll(model, sequence, advect(sequence, steps), steps)
    wanted = set(lead_seconds)
    return [gaussians for step, gaussians in zip(steps, sets, strict=True) if step in wanted]


def forecast_steps(lead_seconds: Sequence[float]) -> list[float]:
    """The lead times, and times between them where they are more than ``MAX_STEP_S`` apart."""
    leads = [0.0, *map(float, lead_seconds)]
    if len(leads) < 2 or any(not later > earlier for earlier, later in pairwise(leads)):
        raise UsageError(f"lead times {list(lead_seconds)} s: expected at least one, positive and rising")
    steps: list[float] = []
    for earlier, later in pairwise(leads):
        parts = math.ceil((later - earlier) / MAX_STEP_S - 1e-6)
        steps += [earlier + (later - earlier) * k / parts for k in range(1, parts)]
        steps.append(later)
    return steps


def unroll(
    model: GauMamba,
    sequence: GaussianSequence,
    base: Sequence[GaussianSet],
    steps: Sequence[float],
    axes: Tensor | None = None,
) -> list[GaussianSet]:
    """The forecast at every step, differentiable in the model's weights.

    Parameters
    ----------
    model, sequence
        As in :func:`roll_out`.
    base
        The extrapolation of ``sequence`` to each step.
    steps
        Seconds after the last frame, rising.
    axes
        ``[2, 2]`` orthogonal: the horizontal axes the model sees; None for east and north.
    """
    if len(sequence.channels) != model.config.channels:
        expected = model.config.channels
        raise InputError(f"the model forecasts {expected} channels, the sequence has {len(sequence.channels)}")
    kept = torch.nonzero((sequence.intensities != 0).any(dim=2).any(dim=0)).squeeze(1)  # active at any time
    if len(kept) == 0:
        return list(base)
    axes = torch.eye(2, dtype=sequence.means.dtype, device=sequence.means.device) if axes is None else axes
    read = _read(model, sequence.take(kept), axes)
    correction, start, out = Correction.none(base[0].take(kept)), 0.0, []
    for whole, step in zip(base, steps, strict=True):
        rates = model.rates(read, (start + step) / 2, axes)
        correction, start = correction.advance(rates, (step - start) / 60), step
        out.append(_put(whole, kept, correction.apply(whole.take(kept))))
    return out


def _read(model: GauMamba, sequence: GaussianSequence, axes: Tensor) -> Tensor:
    """The model's reading of all frames; without memory only the newest is read, and those its changes are from."""
    frames = observed_frames(sequence)
    if not model.config.pairs:
        return model([describe(frame, axes) for frame in frames[-HISTORY:]], None)[0]
    history: list[Snapshot] = []
    memory: Memory | None = None
    for frame in frames:
        history = [*history[1 - HISTORY :], describe(frame, axes)]
        read, memory = model(history, memory)
    return read


def observed_frames(sequence: GaussianSequence) -> list[Frame]:
    """The frames of a sequence, timed from its last."""
    ages = [units.seconds(time - sequence.times[-1]) for time in sequence.times]
    return [
        Frame(sequence.at(t), sequence.velocities[t], ages[t], sequence.grid.origin_alt) for t in range(len(sequence))
    ]


def _put(whole: GaussianSet, kept: Tensor, part: GaussianSet) -> GaussianSet:
    """``whole`` with the rows ``kept`` replaced by ``part``."""
    return GaussianSet(
        whole.means.index_copy(0, kept, part.means),
        whole.log_scales.index_copy(0, kept, part.log_scales),
        whole.quats.index_copy(0, kept, part.quats),
        whole.intensities.index_copy(0, kept, part.intensities),
    )
