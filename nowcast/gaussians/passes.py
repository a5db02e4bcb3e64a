"""The passes of the fit over a sequence: from scratch at the newest volume, backward, forward."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nowcast import units
from nowcast.channels import amplitude_limits
from nowcast.gaussians.amplitudes import solve_amplitudes
from nowcast.gaussians.budget import Budget
from nowcast.gaussians.coherence import CoherenceTerm
from nowcast.gaussians.compute import Compute
from nowcast.gaussians.config import FitConfig
from nowcast.gaussians.flow import aligned, carry, filled_in, motions
from nowcast.gaussians.on_cpu import CPU
from nowcast.gaussians.optimise import Result, minimise
from nowcast.gaussians.quality import peak_signal_to_noise
from nowcast.gaussians.seed import idle_gaussians, seeds_on_echo, seeds_on_residual
from nowcast.gaussians.state import Limits, State, volume_in_voxels
from nowcast.gaussians.terms import AmplitudeTerm, ImageLinear, ImageTerm, Term
from nowcast.motion import MotionField
from nowcast.types import REFLECTIVITY, Bool, Float32, GridSpec, Progress, VolumeSequence

CANCELLED = 0.8
"""Share of the strongest echo from which on a Gaussian's amplitude counts as one that others must cancel."""


class Fitter:
    """The passes over one sequence. All times hold the same rows at any moment."""

    def __init__(
        self, volumes: VolumeSequence, config: FitConfig, progress: Progress, first: int = 1, compute: Compute = CPU
    ) -> None:
        self.grid, self.config, self.progress, self.compute = volumes.grid, config, progress, compute
        self.volumes = volumes
        self._take_channels(volumes.channels)
        self.motions = motions(volumes, config.motion, first)
        self.flow = filled_in(self.motions, volumes) if first == 1 else self.motions
        self.steps_s = [units.seconds(step) for step in np.diff(volumes.times)]
        self.rng = np.random.default_rng(config.seed)
        self.budget = Budget(config)
        self.states = [State.empty(len(volumes.channels))] * len(volumes)

    def _take_channels(self, channels: tuple[str, ...]) -> None:
        chosen = self.volumes.with_channels(channels)
        self.images = [image_term(chosen, t, self.config, self.compute) for t in range(len(chosen))]
        self.limits = limits(self.grid, channels, self.config)

    def run(self) -> list[State]:
        """The Gaussians at every time: by reflectivity first, which is quick, then by all channels together."""
        channels = self.volumes.channels
        if len(channels) > 1:
            self._take_channels((REFLECTIVITY,))
            self.states = [State.empty(1)] * len(self.states)
        newest, count = self._newest_observed(), len(self.images)
        total = count + newest + (count if len(channels) > 1 else 0)
        self._from_scratch(newest)
        self.in_all = self.budget.in_all(len(self.states[newest]))
        self.progress(1, total)
        for t in range(newest - 1, -1, -1):
            self._backward(t, newest)
            self.progress(1 + newest - t, total)
        for t in range(1, count):
            self.forward(t)
            self.progress(newest + t + 1, total)
        if len(channels) > 1:
            self._take_channels(channels)
            self._all_together(lambda t: self.progress(newest + count + t + 1, total))
        return [state.join(self._idle(self.budget.idle(len(state)))) for state in self.states]

    def _idle(self, count: int) -> State:
        return idle_gaussians(count, self.limits.least.size, self.grid)

    def _all_together(self, done: Callable[[int], None]) -> None:
        """Give what reflectivity placed amplitudes in the other channels, then fit all channels, oldest time first."""
        others = np.zeros((len(self.states[0]), len(self.limits.least) - 1), np.float32)
        for t, state in enumerate(self.states):
            wide = replace(state, intensities=np.concatenate([state.intensities, others], axis=1))
            self.states[t] = self._with_best_amplitudes(t, wide)
        for t in range(len(self.states)):
            if t > 0:
                self.forward(t)
            else:
                first = self._minimise(0, self.states[0], self.config.forward_steps).state
                self.states[0] = self._with_best_amplitudes(0, first)
            done(t)

    def _with_best_amplitudes(self, t: int, state: State) -> State:
        """The amplitudes of all channels but reflectivity solved for."""
        return solve_amplitudes(self.images[t], state, self._price(t, state), self.limits, self.config.amplitude_steps)

    def _price(self, t: int, state: State) -> Float32:
        return np.float32(self.config.amplitude_cost) * (self.images[t].weight_at(state.means) > 0)

    def _newest_observed(self) -> int:
        seen = [t for t, image in enumerate(self.images) if image.root_weight.any()]
        return seen[-1] if seen else len(self.images) - 1

    def _from_scratch(self, t: int) -> None:
        """Fit one volume with nothing to start from."""
        config, image = self.config, self.images[t]
        count = config.gaussians - (int(config.reserve * config.gaussians) if t > 0 else 0)
        first = self.budget.first(count)
        seeds = seeds_on_echo(image.target, image.root_weight, self.grid, first, self.rng, self.compute)
        result = self._minimise(t, seeds, config.seed_steps)
        result, _ = self._with_seeds(t, result, count, config.rounds, config.round_steps)
        self.states[t] = self._minimise(t, result.state, config.polish_steps).state

    def _with_seeds(
        self, t: int, result: Result, count: int, rounds: int, steps: int, reference: State | None = None
    ) -> tuple[Result, State | None]:
        """Add Gaussians where the residual is largest, round by round, until they are ``count`` or draw well enough."""
        for left in self.budget.rounds(rounds):
            seeds = self._seeds(t, result, self._room(t, result, count, left))
            if len(seeds) == 0:
                break
            reference = None if reference is None else reference.join(seeds)
            result = self._minimise(t, result.state.join(seeds), self.budget.steps(steps), reference)
        return result, reference

    def _room(self, t: int, result: Result, count: int, rounds: int) -> int:
        psnr_db = self._psnr(t, result) if self.budget.by_content else math.nan
        return self.budget.room(len(result.state), count, rounds, psnr_db)

    def _psnr(self, t: int, result: Result) -> float:
        """Of the observed reflectivity, dB."""
        image, drawn = self.images[t], result.linears[0]
        assert isinstance(drawn, ImageLinear)
        parts = (drawn.field, image.target, image.root_weight)
        field, target, root_weight = (self.compute.to_host(part[0]) for part in parts)
        error = units.clip_dbz(units.model_to_dbz(field)) - units.model_to_dbz(target)
        return peak_signal_to_noise(error[root_weight > 0])

    def _backward(self, t: int, newest: int) -> None:
        """Fit volume ``t`` with the Gaussians of the one after it, and give it some of its own."""
        config = self.config
        after = self.states[t + 1]
        reference = self._carried(after, t, self.flow[t + 1], -self.steps_s[t])
        result = self._minimise(t, reference, config.backward_steps, reference)
        have = len(after)
        share = (self.in_all - have) // (t + 1)
        seeds = self._seeds(t, result, self._room(t, result, have + share, 1))
        if len(seeds):
            result = self._minimise(t, result.state.join(seeds), config.round_steps, reference.join(seeds))
            self._add_idle(seeds, t, newest)
        self.states[t] = result.state

    def _add_idle(self, seeds: State, t: int, newest: int) -> None:
        """Give the times after ``t`` the same rows: without echo, moving along."""
        moved = replace(seeds, intensities=np.zeros_like(seeds.intensities))
        for later in range(t + 1, newest + 1):
            moved = replace(moved, means=carry(moved.means, self.flow[later], self.steps_s[later - 1]))
            self.states[later] = self.states[later].join(moved)

    def forward(self, t: int, *, from_backward: bool = True) -> None:
        """Fit volume ``t``, held to the one before, starting from what the backward pass left there if there is any."""
        before = self.states[t - 1]
        reference = self._carried(before, t, self.flow[t], self.steps_s[t - 1])
        start = self.states[t] if from_backward and len(self.states[t]) == len(before) else reference
        steps = self.config.last_steps if t == len(self.images) - 1 else self.config.forward_steps
        found = self._minimise(t, start, steps, reference).state
        self.states[t] = self._with_best_amplitudes(t, found)

    def renew(self, t: int) -> tuple[State, Bool]:
        """Fit volume ``t`` from the one before, those Gaussians renewed that draw least.

        Returns the state, and ``[N]`` which Gaussians of the volume before go on. They come first in the state; the
        others there are new, or idle where none was needed.
        """
        config, before = self.config, self.states[t - 1]
        going_on = np.ones(len(before), np.bool_)
        reference = self._carried(before, t, self.flow[t], self.steps_s[t - 1])
        if not self.images[t].root_weight.any():
            return reference, going_on
        drawing = (before.intensities != 0).any(axis=1)
        moved = reference.take(drawing)
        going_on[~drawing] = False
        going_on[drawing] = self._strongest(self._minimise(t, moved, config.renewal_steps, moved).state, t)
        reference = reference.take(going_on)
        start = self._minimise(t, reference, config.renewal_steps, reference)
        count, rounds, steps = config.gaussians, config.renewal_rounds, config.renewal_steps
        result, held_to = self._with_seeds(t, start, count, rounds, steps, reference)
        softer = replace(config, stiffness=config.renewal_stiffness, plateau=config.renewal_plateau)
        state = self._minimise(t, result.state, config.renewal_polish, held_to, softer).state
        state = self._with_best_amplitudes(t, state)
        return state.join(self._idle(self.budget.idle(len(state)))), going_on

    def _strongest(self, state: State, t: int) -> Bool:
        """``[N]`` the share of Gaussians that draw most; never those that others must cancel.

        A single Gaussian nearly as strong as the strongest echo stands on others of the opposite sign. Carried from
        volume to volume such pairs grow, and slow the fit down.
        """
        worth = (state.intensities.astype(np.float64) ** 2).sum(axis=1) * volume_in_voxels(state, self.grid.spacing_m)
        strongest_echo = self.compute.to_host(self.images[t].target[0].max())
        worth[np.abs(state.intensities[:, 0]) > CANCELLED * strongest_echo] = 0.0
        count = len(state) - int(self.config.renewed * len(state))
        strongest = np.zeros(len(state), np.bool_)
        strongest[np.argsort(-worth, kind="stable")[:count]] = True
        return strongest & (worth > 0)

    def _carried(self, state: State, t: int, flow: MotionField, seconds: float) -> State:
        """Where the Gaussians of a neighbouring time are expected at ``t``."""
        moved = replace(state, means=carry(state.means, flow, seconds))
        return aligned(moved, self.images[t], self.grid, seconds, self.config.local_motion)

    def _seeds(self, t: int, result: Result, count: int) -> State:
        if count == 0:
            return State.empty(self.limits.least.size)
        residual = -result.linears[0].residual.reshape(self.images[t].target.shape)
        noise = units.dbz_to_model(self.config.noise_dbz)
        return seeds_on_residual(residual, self.grid, count, noise, self.rng, self.compute)

    def _minimise(
        self, t: int, state: State, steps: int, reference: State | None = None, config: FitConfig | None = None
    ) -> Result:
        config, spacing = config or self.config, self.grid.spacing_m
        image = self.images[t]
        terms: list[Term] = [image, AmplitudeTerm(self._price(t, state), spacing)]
        if reference is not None and len(reference):
            terms.append(CoherenceTerm(reference, spacing, config.stiffness, image.weight_for_steps(reference.means)))
        return minimise(terms, state, limits=self.limits, spacing_m=spacing, steps=steps, tolerance=config.plateau)


def image_term(volumes: VolumeSequence, t: int, config: FitConfig, compute: Compute = CPU) -> ImageTerm:
    """The image term of one volume: nothing in voxels where a channel has no value, strong echo with more weight."""
    target, root_weight = compute.observed(volumes, t, config.strong_dbz, config.strong_weight)
    return ImageTerm(target, root_weight, volumes.grid, compute)


def limits(grid: GridSpec, channels: tuple[str, ...], config: FitConfig) -> Limits:
    """Bounds of scales and amplitudes."""
    dz, dy, dx = grid.spacing_m
    across, up = config.largest_scale_m
    low = np.log(config.least_scale_voxels * np.array([dx, dy, dz]))
    high = np.maximum(np.log([across, across, up]), low)
    least, most = amplitude_limits(channels)
    least[0] = -units.dbz_to_model(config.carving_dbz)
    most[0] = units.dbz_to_model(units.MAX_DBZ)
    return Limits(*(a.astype(np.float32) for a in (low, high, least, most)))
