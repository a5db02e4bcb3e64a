"""Idle Gaussians that a forecast may wake: where echo may come up that no Gaussian tracks yet.

A model that only moves and scales what is there cannot forecast a new cell, and new cells come up beside old ones: on
their outflow, and where the storm feeds. So each of the strongest Gaussians gets an idle companion beside it, which
moves with it, draws nothing, and sees the same neighbourhood; the model says how fast it starts.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from nowcast.types import GaussianSequence
from nowcast_kernels.voxelize import rotation_matrices

_DISTANCE = 2.0  # standard deviations of its host: beside it, where the host draws a seventh of its peak
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))  # successive companions lie in directions that never repeat


def with_candidates(sequence: GaussianSequence, count: int) -> GaussianSequence:
    """The Gaussians, then idle companions of the strongest of them, told by their negative ids.

    At most ``count``, and one for each Gaussian that is active at the newest time: of those with the largest
    reflectivity there. A companion has its host's shape and velocity at every time and lies at a fixed horizontal
    distance from it, twice the host's width at the newest time. Nothing is drawn at random.
    """
    newest = sequence.at(-1)
    (active,) = torch.nonzero(newest.active, as_tuple=True)
    strength = newest.intensities[active, 0]
    hosts = active[torch.argsort(strength, descending=True, stable=True)[:count]]
    companions = sequence.take(hosts)
    idle = replace(
        companions,
        means=companions.means + _beside(companions),
        intensities=torch.zeros_like(companions.intensities),
        ids=-1 - torch.arange(len(hosts), device=companions.ids.device),
    )
    return sequence.join(idle)


def _beside(hosts: GaussianSequence) -> Tensor:
    """Horizontal offsets ``[K, 3]`` in metres from the hosts, one direction after the other."""
    newest = hosts.at(-1)
    axes = rotation_matrices(newest.quats) * torch.exp(newest.log_scales)[:, None]
    width = torch.sqrt(axes[:, :2].square().sum(dim=(1, 2)) / 2)
    angle = _GOLDEN_ANGLE * torch.arange(len(width), dtype=width.dtype, device=width.device)
    return torch.stack([angle.cos(), angle.sin(), torch.zeros_like(angle)], dim=1) * (_DISTANCE * width[:, None])
