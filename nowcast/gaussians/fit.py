"""STC-GS: a sequence of volumes as the same Gaussians at every time.

Bidirectional and causal. The newest observed volume is fitted from scratch; a backward pass carries its Gaussians
along the flow to the earlier volumes and adds what only those hold; a forward pass then fits every volume again,
starting from the backward pass and held to where the flow carries the Gaussians of the volume before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from nowcast import units
from nowcast.errors import InputError
from nowcast.gaussians.coherence import CoherenceTerm
from nowcast.gaussians.config import FitConfig
from nowcast.gaussians.energy import DensityTerm
from nowcast.gaussians.flow import HISTORY, carry, motions, velocities
from nowcast.gaussians.optimise import Result, minimise
from nowcast.gaussians.quality import render
from nowcast.gaussians.seed import parked, seeds_on_echo, seeds_on_residual
from nowcast.gaussians.state import Limits, State
from nowcast.gaussians.terms import AmplitudeTerm, ImageTerm, Term
from nowcast.types import REFLECTIVITY, Bool, Float32, GaussianSequence, GaussianSet, GridSpec, VolumeSequence

Progress = Callable[[int, int], None]


def fit_sequence(
    volumes: VolumeSequence, config: FitConfig | None = None, *, progress: Progress | None = None
) -> GaussianSequence:
    """Fit the volumes with ``config.gaussians`` Gaussians that persist over all times.

    Parameters
    ----------
    volumes
        The volumes to fit, all of them input: a forecast from the result is issued at the last time. Voxels that
        were not observed count for nothing.
    config
        Settings.
    progress
        Called with (passes done, passes to do).

    Returns
    -------
    GaussianSequence
        Ids are 0..N-1. ``velocities`` at each time use the volumes up to and including it, and are 0 at the first.
        Depends on nothing but the arguments, to the bit.
    """
    config = config or FitConfig()
    fitter = Fitter(volumes, config, progress or _silent)
    states = fitter.run()
    moving = velocities(states, fitter.motions, fitter.steps_s, volumes.grid)
    return sequence_of(states, moving, volumes, torch.arange(config.gaussians))


def extend_fit(
    sequence: GaussianSequence, volumes_after: VolumeSequence, config: FitConfig | None = None
) -> GaussianSequence:
    """Continue a fit forward onto later volumes: the same Gaussians and ids, nothing earlier touched.

    Gaussians that are idle stay idle, and none is moved to new echo: what is learnt from the continuation is how
    the Gaussians at hand went on. For the flow, the fitted Gaussians stand in for the earlier volumes.

    Parameters
    ----------
    sequence
        A fit.
    volumes_after
        Later volumes on the same grid.
    config
        Settings; the number of Gaussians is that of ``sequence``.

    Returns
    -------
    GaussianSequence
        The times of ``sequence``, then those of ``volumes_after``; velocities at each from the times up to it.

    Raises
    ------
    InputError
        The grid or channels differ, or a volume is not later than the last fitted time.
    """
    config = replace(config or FitConfig(), gaussians=sequence.means.shape[1])
    if not sequence.grid.matches(volumes_after.grid) or sequence.channels != volumes_after.channels:
        raise InputError("the volumes to go on with have another grid or other channels than the fit")
    if len(volumes_after) == 0:
        return sequence
    if volumes_after.times[0] <= sequence.times[-1]:
        raise InputError(f"the volume at {volumes_after.times[0]} is not later than the fit at {sequence.times[-1]}")
    joined, known = _with_rendered(sequence, volumes_after)
    now = state_of(sequence.at(-1))
    active = (now.intensities != 0).any(axis=1)
    fitter = Fitter(joined, config, _silent, first=known)
    fitter.states = [now.take(active)] * len(joined)
    for t in range(known, len(joined)):
        fitter.forward(t, from_backward=False)
    states, moving = fitter.states[known - 1 :], fitter.motions[known - 1 :]
    found = velocities(states, moving, fitter.steps_s[known - 1 :], joined.grid)
    later = [_among_idle(now, active, state) for state in states[1:]]
    drift = [np.zeros_like(now.means) for _ in later]
    for whole, part in zip(drift, found[1:], strict=True):
        whole[active] = part
    return joined_sequences(sequence, sequence_of(later, drift, volumes_after, sequence.ids))


class Fitter:
    """The passes over one sequence. All times hold the same rows at any moment."""

    def __init__(self, volumes: VolumeSequence, config: FitConfig, progress: Progress, first: int = 1) -> None:
        self.grid, self.config, self.progress = volumes.grid, config, progress
        self.images = [image_term(volumes, t, config) for t in range(len(volumes))]
        self.motions = motions(volumes, first)
        self.steps_s = [units.seconds(step) for step in np.diff(volumes.times)]
        self.limits = limits(volumes.grid, volumes.channels, config)
        self.rng = np.random.default_rng(config.seed)
        self.states = [State.empty(len(volumes.channels))] * len(volumes)

    def run(self) -> list[State]:
        """The Gaussians at every time."""
        newest, count = self._newest_observed(), len(self.images)
        total = count + newest
        self._from_scratch(newest)
        self.progress(1, total)
        for t in range(newest - 1, -1, -1):
            self._backward(t, newest)
            self.progress(1 + newest - t, total)
        for t in range(1, count):
            self.forward(t)
            self.progress(newest + t + 1, total)
        idle = parked(self.config.gaussians - len(self.states[0]), self.limits.least.size, self.grid)
        return [state.join(idle) for state in self.states]

    def _newest_observed(self) -> int:
        seen = [t for t, image in enumerate(self.images) if image.root_weight.any()]
        return seen[-1] if seen else len(self.images) - 1

    def _from_scratch(self, t: int) -> None:
        """Fit one volume with nothing to start from."""
        config, image = self.config, self.images[t]
        count = config.gaussians - (int(config.reserve * config.gaussians) if t > 0 else 0)
        first = max(1, round(config.first_share * count))
        result = self._minimise(
            t, seeds_on_echo(image.target, image.root_weight, self.grid, first, self.rng), config.seed_steps
        )
        for k in range(config.rounds):
            room = (count - len(result.state)) // (config.rounds - k)
            seeds = self._seeds(t, result, room)
            result = self._minimise(t, result.state.join(seeds), config.round_steps)
        self._keep(t, self._minimise(t, result.state, config.polish_steps).state)

    def _backward(self, t: int, newest: int) -> None:
        """Fit volume ``t`` with the Gaussians of the one after it, and give it some of its own."""
        config = self.config
        after = self.states[t + 1]
        reference = replace(after, means=carry(after.means, self.motions[t + 1], -self.steps_s[t]))
        result = self._minimise(t, reference, config.backward_steps, reference)
        seeds = self._seeds(t, result, (config.gaussians - len(after)) // (t + 1))
        if len(seeds):
            result = self._minimise(t, result.state.join(seeds), config.round_steps, reference.join(seeds))
            self._add_idle(seeds, t, newest)
        self._keep(t, result.state)

    def _add_idle(self, seeds: State, t: int, newest: int) -> None:
        """Give the times after ``t`` the same rows: without echo, moving along."""
        moved = replace(seeds, intensities=np.zeros_like(seeds.intensities))
        for later in range(t + 1, newest + 1):
            moved = replace(moved, means=carry(moved.means, self.motions[later], self.steps_s[later - 1]))
            self.states[later] = self.states[later].join(moved)

    def forward(self, t: int, *, from_backward: bool = True) -> None:
        """Fit volume ``t``, held to the one before, starting from what the backward pass left there if there is any."""
        before = self.states[t - 1]
        reference = replace(before, means=carry(before.means, self.motions[t], self.steps_s[t - 1]))
        start = self.states[t] if from_backward and len(self.states[t]) == len(before) else reference
        steps = self.config.last_steps if t == len(self.images) - 1 else self.config.forward_steps
        self._keep(t, self._minimise(t, start, steps, reference).state)

    def _keep(self, t: int, state: State) -> None:
        self.states[t] = state

    def _seeds(self, t: int, result: Result, count: int) -> State:
        residual = -result.linears[0].residual.reshape(self.images[t].target.shape)
        noise = self.config.noise_dbz / units.MODEL_SCALE_DBZ
        return seeds_on_residual(residual, self.grid, count, noise, self.rng)

    def _minimise(self, t: int, state: State, steps: int, reference: State | None = None) -> Result:
        config, spacing = self.config, self.grid.spacing_m
        terms: list[Term] = [self.images[t], AmplitudeTerm(config.amplitude_cost, spacing)]
        if reference is not None and len(reference):
            terms.append(CoherenceTerm(reference, spacing, config.stiffness))
        if config.density.weight > 0 and len(state):
            terms.append(DensityTerm(self.images[t], len(state), config.density))
        return minimise(terms, state, limits=self.limits, spacing_m=spacing, steps=steps, tolerance=config.plateau)


def image_term(volumes: VolumeSequence, t: int, config: FitConfig) -> ImageTerm:
    """The image term of one volume: nothing unobserved, strong echo with more weight."""
    values, mask = volumes.values[t], volumes.mask[t]
    target = np.where(mask, np.nan_to_num(values), 0.0).astype(np.float32)
    weight = np.broadcast_to(mask, target.shape).astype(np.float32)
    for c, name in enumerate(volumes.channels):
        weight[c] *= np.isfinite(values[c])
        if name == REFLECTIVITY:
            low, high = config.strong_dbz
            weight[c] *= 1.0 + config.strong_weight * np.clip((target[c] - low) / (high - low), 0.0, 1.0)
    return ImageTerm(units.dbz_to_model(target), np.sqrt(weight), volumes.grid)


def limits(grid: GridSpec, channels: tuple[str, ...], config: FitConfig) -> Limits:
    """Bounds of scales and amplitudes; amplitudes of other channels than reflectivity are free."""
    dz, dy, dx = grid.spacing_m
    across, up = config.largest_scale_m
    low = np.log(config.least_scale_voxels * np.array([dx, dy, dz]))
    high = np.maximum(np.log([across, across, up]), low)
    least, most = np.full(len(channels), -np.inf), np.full(len(channels), np.inf)
    least[0] = -config.carving_dbz / units.MODEL_SCALE_DBZ
    most[0] = units.MAX_DBZ / units.MODEL_SCALE_DBZ
    return Limits(*(a.astype(np.float32) for a in (low, high, least, most)))


def sequence_of(
    states: list[State], moving: list[Float32], volumes: VolumeSequence, ids: torch.Tensor
) -> GaussianSequence:
    """The states as the type that leaves the fit: physical units, torch."""

    def stacked(arrays: list[Float32]) -> torch.Tensor:
        return torch.from_numpy(np.stack(arrays))

    return GaussianSequence(
        means=stacked([s.means for s in states]),
        log_scales=stacked([s.log_scales for s in states]),
        quats=stacked([s.quats for s in states]),
        intensities=stacked([units.model_to_dbz(s.intensities) for s in states]),
        velocities=stacked(moving),
        ids=ids,
        times=volumes.times,
        grid=volumes.grid,
        channels=volumes.channels,
    )


def state_of(gaussians: GaussianSet) -> State:
    """The inner form of a set of Gaussians."""
    quats = gaussians.quats / gaussians.quats.norm(dim=1, keepdim=True)
    return State(
        gaussians.means.numpy().copy(),
        gaussians.log_scales.numpy().copy(),
        quats.numpy(),
        units.dbz_to_model(gaussians.intensities.numpy()),
    )


def joined_sequences(before: GaussianSequence, after: GaussianSequence) -> GaussianSequence:
    """One sequence of the same Gaussians."""
    return replace(
        before,
        means=torch.cat([before.means, after.means]),
        log_scales=torch.cat([before.log_scales, after.log_scales]),
        quats=torch.cat([before.quats, after.quats]),
        intensities=torch.cat([before.intensities, after.intensities]),
        velocities=torch.cat([before.velocities, after.velocities]),
        times=np.concatenate([before.times, after.times]),
    )


def _with_rendered(sequence: GaussianSequence, volumes: VolumeSequence) -> tuple[VolumeSequence, int]:
    """The volumes with the last fitted times, rendered, before them; and how many those are."""
    known = min(len(sequence), HISTORY - 1)
    fields = [render(sequence.at(t), sequence.grid) for t in range(len(sequence) - known, len(sequence))]
    seen = np.broadcast_to(volumes.mask[:1], (known, *volumes.grid.shape))
    values = np.where(seen[:, None], np.stack(fields), np.float32(np.nan))
    return (
        replace(
            volumes,
            values=np.concatenate([values, volumes.values]),
            mask=np.concatenate([seen, volumes.mask]),
            times=np.concatenate([sequence.times[-known:], volumes.times]),
            sources=(),
        ),
        known,
    )


def _among_idle(last: State, active: Bool, state: State) -> State:
    """All rows again: idle Gaussians as they were."""
    arrays = [array.copy() for array in last.arrays()]
    for whole, part in zip(arrays, state.arrays(), strict=True):
        whole[active] = part
    return State(*arrays)


def _silent(done: int, total: int) -> None:
    pass
