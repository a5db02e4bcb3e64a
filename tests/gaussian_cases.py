"""Gaussians with a known course, for tests of the model and of training."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from helpers import small_grid

from nowcast.gaussians import render
from nowcast.models import GauMamba, ModelConfig
from nowcast.types import FittedWindow, GaussianSequence, GridSpec, VolumeSequence

START = np.datetime64("2020-01-01T00:00", "ns")


def times(count: int, step_s: float = 600.0) -> np.ndarray:
    return START + (np.arange(count) * step_s * 1e9).astype("timedelta64[ns]")


def drifting(
    n: int = 60,
    count: int = 4,
    *,
    seed: int = 0,
    growth_per_min: float | torch.Tensor = 0.0,
    step_s: float = 600.0,
    grid: GridSpec | None = None,
    idle: int = 0,
) -> GaussianSequence:
    """``n`` Gaussians within 40 km that drift together and grow exponentially; the last ``idle`` carry no echo.

    Coordinates are whole multiples of 1/16 m, so that shifting by whole kilometres is exact in float32.
    """
    g = torch.Generator().manual_seed(seed)
    spread = torch.tensor([8e4, 8e4, 8e3])
    first = torch.rand(n, 3, generator=g) * spread - spread / 2 + torch.tensor([0.0, 0.0, 5e3])
    velocity = torch.tensor([8.0, 4.0, 0.0]).expand(n, 3)
    age = torch.arange(count)[:, None, None] * step_s
    means = torch.round((first + velocity * age) * 16) / 16
    scales = torch.log(torch.rand(n, 3, generator=g) * 3000 + 1500)
    quats = torch.randn(n, 4, generator=g)
    amplitude = torch.rand(n, 1, generator=g) * 25 + 10
    amplitude[n - idle :] = 0
    growth = torch.as_tensor(growth_per_min).reshape(-1, 1)
    return GaussianSequence(
        means=means,
        log_scales=scales.expand(count, n, 3).clone(),
        quats=quats.expand(count, n, 4).clone(),
        intensities=amplitude * torch.exp(growth * age / 60),
        velocities=velocity.expand(count, n, 3).clone(),
        ids=torch.arange(100, 100 + n),
        times=times(count, step_s),
        grid=grid or small_grid(),
    )


def window(event: str, *, seed: int, inputs: int = 3, future: int = 3, n: int = 40) -> FittedWindow:
    """A window whose echo grows (odd seed) or decays (even), 1 to 2% a minute, and the volumes of its Gaussians.

    Each event has a day of its own.
    """
    g = torch.Generator().manual_seed(seed)
    growth = (0.01 + 0.01 * torch.rand((), generator=g)) * (1 if seed % 2 else -1)
    gaussians = drifting(n, inputs + future, seed=seed, growth_per_min=growth, grid=small_grid((4, 24, 24), 5e3))
    day = np.timedelta64(zlib.crc32(event.encode()) % 10_000, "D")
    gaussians = replace(gaussians, times=gaussians.times + day)
    fields = np.stack([render(gaussians.at(t), gaussians.grid) for t in range(len(gaussians))])
    mask = np.ones((len(gaussians), *gaussians.grid.shape), bool)
    volumes = VolumeSequence(fields.astype(np.float32), mask, gaussians.times, gaussians.grid)
    return FittedWindow(gaussians, inputs, event, volumes)


SMALL: dict[str, Any] = {"d_model": 16, "d_state": 8, "head_dim": 16, "candidates": 0}
"""Settings of a small model that starts no new echo."""


def untrained(**config: Any) -> GauMamba:
    """A model that corrects nothing and starts no new echo."""
    return GauMamba(ModelConfig(**{"candidates": 0, **config}))


def lively(seed: int = 0, **config: Any) -> GauMamba:
    """A small model with random weights everywhere, the last layer too."""
    model = GauMamba(ModelConfig(**{**SMALL, **config}), seed=seed)
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.head.parameters():
            p.copy_(0.1 * torch.randn(p.shape, generator=g))
    return model
