"""Between the inner form of the fit and the type that leaves it, and the order in which its Gaussians stand there."""

from __future__ import annotations

import math

import numpy as np
import torch

from nowcast.channels import scales_of
from nowcast.gaussians.config import FitConfig
from nowcast.gaussians.seed import idle_gaussians
from nowcast.gaussians.state import Doubles, State
from nowcast.types import Float32, GaussianSequence, GaussianSet, VolumeSequence


def sequence_of(
    states: list[State], moving: list[Float32], volumes: VolumeSequence | GaussianSequence, ids: torch.Tensor
) -> GaussianSequence:
    """The states as the type that leaves the fit: physical units, torch; times and channels as ``volumes`` has."""

    def stacked(arrays: list[Float32]) -> torch.Tensor:
        return torch.from_numpy(np.stack(arrays))

    return GaussianSequence(
        means=stacked([s.means for s in states]),
        log_scales=stacked([s.log_scales for s in states]),
        quats=stacked([s.quats for s in states]),
        intensities=stacked([s.intensities * scales_of(volumes.channels) for s in states]),
        velocities=stacked(moving),
        ids=ids,
        times=volumes.times,
        grid=volumes.grid,
        channels=volumes.channels,
    )


def by_importance(fitted: GaussianSequence, config: FitConfig) -> GaussianSequence:
    """The Gaussians most important first: what draws most at the last time, then what drew most before.

    A prefix is a coarser volume. Where the number follows the content, what never draws is left out.
    """
    energy = importance(fitted)
    order = torch.from_numpy(np.lexsort((-energy.sum(axis=0), -energy[-1])))
    if config.psnr_db is not None:
        order = order[: int((energy.sum(axis=0) > 0).sum())]
    return fitted.take(order)


def importance(fitted: GaussianSequence) -> Doubles:
    """``[T, N]`` the energy each Gaussian alone draws: the integral of its square in model scale, km^3."""
    scaled = fitted.intensities.numpy() / scales_of(fitted.channels)
    volume = np.exp(fitted.log_scales.numpy().sum(axis=-1, dtype=np.float64)) / 1e9
    return np.asarray(math.pi**1.5 * volume * np.square(scaled, dtype=np.float64).sum(axis=-1))


def with_idle(fitted: GaussianSequence, count: int) -> GaussianSequence:
    """The fit with ``count`` Gaussians, those added idle and with ids of their own."""
    missing = count - len(fitted.ids)
    if missing <= 0:
        return fitted
    idle = [idle_gaussians(missing, len(fitted.channels), fitted.grid)] * len(fitted)
    still = [np.zeros((missing, 3), np.float32)] * len(fitted)
    ids = int(max(fitted.ids.tolist(), default=-1)) + 1 + torch.arange(missing)
    return fitted.join(sequence_of(idle, still, fitted, ids))


def state_of(gaussians: GaussianSet, channels: tuple[str, ...]) -> State:
    """The inner form of a set of Gaussians."""
    quats = gaussians.quats / gaussians.quats.norm(dim=1, keepdim=True)
    return State(
        gaussians.means.numpy().copy(),
        gaussians.log_scales.numpy().copy(),
        quats.numpy(),
        np.asarray(gaussians.intensities.numpy() / scales_of(channels), np.float32),
    )
