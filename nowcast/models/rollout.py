"""From observed frames to a forecast: the model's corrections, summed up on top of Lagrangian extrapolation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from nowcast import units
from nowcast.errors import InputError, UsageError
from nowcast.gaussians import advect
from nowcast.gaussians.shape import quaternion_product
from nowcast.models.features import HISTORY, Frame, Snapshot, describe
from nowcast.models.gaumamba import GauMamba, Memory, ModelConfig, Rates
from nowcast.models.initiation import with_candidates
from nowcast.models.noise import NoiseFields
from nowcast.motion import MAX_STEP_S
from nowcast.types import GaussianSequence, GaussianSet
from nowcast_kernels.voxelize import rotation_matrices


@dataclass(frozen=True)
class Correction:
    """What the model has added to the extrapolation so far: zero throughout and the unit quaternion at the start.

    ``moved [N, 3]`` m; ``grown [N, C]`` and ``stretched [N, 2]`` (horizontally and vertically) natural logarithms;
    ``started [N, C]`` what idle Gaussians have come up to, in the channel's unit; ``turned [N, 4]`` a quaternion
    (w, x, y, z) in grid axes.
    """

    moved: Tensor
    grown: Tensor
    started: Tensor
    stretched: Tensor
    turned: Tensor

    @staticmethod
    def none(like: GaussianSet) -> Correction:
        """No correction to these Gaussians."""
        still = torch.zeros_like(like.quats)
        still[:, 0] = 1.0
        moved, grown = torch.zeros_like(like.means), torch.zeros_like(like.intensities)
        return Correction(moved, grown, grown, moved[:, :2], still)

    def advance(self, rates: Rates, minutes: float) -> Correction:
        """The correction after ``minutes`` more at these rates."""
        return Correction(
            moved=self.moved + rates.drift * (60 * minutes),
            grown=self.grown + rates.growth * minutes,
            started=(self.started + rates.start * minutes) * torch.exp(rates.growth * minutes),
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
            intensities=base.intensities * torch.exp(self.grown) + self.started,
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
    For each lead time all N Gaussians, in the order of ``sequence``, then those that were idle beside the strongest
    and may have become active, as many as the model's ``candidates`` at most. Without echo all stays idle.

    Raises
    ------
    UsageError
        The lead times are none, not positive or not rising.
    InputError
        The sequence has other channels than the model.
    """
    return roll_out_ensemble(model, sequence, lead_seconds, 0)[0]


def roll_out_ensemble(
    model: GauMamba, sequence: GaussianSequence, lead_seconds: Sequence[float], members: int, seed: int = 0
) -> tuple[list[GaussianSet], list[list[GaussianSet]]]:
    """What :func:`roll_out` gives, the one forecast, and the same for each of ``members`` of an ensemble around it.

    The model runs once. The members differ by noise, of ``seed``, on the rates at which it corrects the extrapolation,
    as much of it as the model has learnt to be right for each Gaussian; no member is the one forecast itself.
    """
    with torch.no_grad():
        steps = forecast_steps(lead_seconds)
        sequence = with_candidates(sequence, model.config.candidates)
        unrolled = unroll(model, sequence, extrapolation(model.config, sequence, steps), steps)
        ensemble = unrolled.members(members, seed) if members else []
        asked = [steps.index(lead) for lead in map(float, lead_seconds)]
        one, *others = ([sets[k] for k in asked] for sets in (unrolled.forecast(), *ensemble))
    return one, others


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


@dataclass(frozen=True)
class Unrolled:
    """A forecast at every step, and what it was made of.

    Attributes
    ----------
    base
        The extrapolation of all Gaussians to each step.
    kept
        ``[K]`` the Gaussians that are active at any observed time or may become so; the others are as in ``base``.
    start
        Those at the newest observed time.
    rates
        Theirs from the step before to each step; empty where there are none.
    steps
        Seconds after the last frame.
    since
        The frame that is corrected is so many seconds older than the last.
    """

    base: Sequence[GaussianSet]
    kept: Tensor
    start: GaussianSet
    rates: Sequence[Rates]
    steps: Sequence[float]
    since: float = 0.0

    def forecast(self) -> list[GaussianSet]:
        """All Gaussians at every step."""
        return self._corrected(self.rates)

    def members(self, count: int, seed: int) -> list[list[GaussianSet]]:
        """The same for each of ``count`` members, with noise of ``seed``."""
        noise = NoiseFields(self.start.means[:, :2] / 1e3, count, seed)
        middles = [(before + step) / 120 for before, step in pairwise([0.0, *self.steps])]
        drawn = [(rates, noise.at(minutes)) for rates, minutes in zip(self.rates, middles, strict=False)]
        return [self._corrected([rates.member(fields[m]) for rates, fields in drawn]) for m in range(count)]

    def _corrected(self, rates: Sequence[Rates]) -> list[GaussianSet]:
        if not rates:
            return list(self.base)
        correction, out = Correction.none(self.start), []
        for whole, rate, (before, step) in zip(self.base, rates, pairwise([-self.since, *self.steps]), strict=True):
            correction = correction.advance(rate, (step - before) / 60)
            out.append(_put(whole, self.kept, correction.apply(whole.take(self.kept))))
        return out


def extrapolation(config: ModelConfig, sequence: GaussianSequence, steps: Sequence[float]) -> list[GaussianSet]:
    """What a model of these settings corrects: the Gaussians of a frame at each step, moved with the newest flow."""
    since = _since(config, sequence)
    if since:
        sequence = replace(sequence.select([0]), velocities=sequence.velocities[-1:])
    if not config.motion_prior:
        return [sequence.at(-1)] * len(steps)
    return advect(sequence, [since + step for step in steps])


def _since(config: ModelConfig, sequence: GaussianSequence) -> float:
    """Seconds between the frame that is corrected and the last."""
    return 0.0 if config.changes_from == "last" else units.seconds(sequence.times[-1] - sequence.times[0])


def unroll(
    model: GauMamba,
    sequence: GaussianSequence,
    base: Sequence[GaussianSet],
    steps: Sequence[float],
    axes: Tensor | None = None,
) -> Unrolled:
    """The forecast at every step, differentiable in the model's weights.

    Parameters
    ----------
    model
        As in :func:`roll_out`.
    sequence
        The observed frames, with candidates where the model may wake any.
    base
        The :func:`extrapolation` of ``sequence`` to each step.
    steps
        Seconds after the last frame, rising.
    axes
        ``[2, 2]`` orthogonal: the horizontal axes the model sees; None for east and north.
    """
    if len(sequence.channels) != model.config.channels:
        expected = model.config.channels
        raise InputError(f"the model forecasts {expected} channels, the sequence has {len(sequence.channels)}")
    (kept,) = torch.nonzero((sequence.intensities != 0).any(dim=2).any(dim=0) | (sequence.ids < 0), as_tuple=True)
    start = sequence.at(-1).take(kept)
    if len(kept) == 0:
        return Unrolled(base, kept, start, [], steps)
    axes = torch.eye(2, dtype=sequence.means.dtype, device=sequence.means.device) if axes is None else axes
    read = _read(model, sequence.take(kept), axes)
    rates = [model.rates(read, (before + step) / 2, axes) for before, step in pairwise([0.0, *steps])]
    idle = ~start.active[:, None]
    rates = [replace(rate, start=rate.start * idle) for rate in rates]
    return Unrolled(base, kept, start, rates, steps, _since(model.config, sequence))


def _read(model: GauMamba, sequence: GaussianSequence, axes: Tensor) -> Tensor:
    """The model's reading of all frames; without memory the newest alone, and what changed until it."""
    frames = observed_frames(sequence)
    if not (model.config.pairs and model.config.memory):
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
