"""The voxels of the fit on a CUDA device: torch and the Triton kernels of the voxelizer.

Every sum has one order, so the same inputs give the same bits on one kind of device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nowcast.channels import rests_of, scales_of
from nowcast.gaussians.compute import BLUR_REACH, CLIPS, RESIDUAL_BLUR, Indices
from nowcast.gaussians.state import State
from nowcast.types import Float32, VolumeSequence
from nowcast_kernels.voxelize import VoxelGrid
from nowcast_kernels.voxelize.tiles import Tiling, make_tiling
from nowcast_kernels.voxelize.triton_cuda import pull_back, push_forward, render


@dataclass(frozen=True)
class Plan:
    """Shapes of Gaussians on the device, and the tiles that they reach."""

    tiling: Tiling
    log_scales: Tensor
    quats: Tensor


@dataclass(frozen=True)
class OnCuda:
    """See :class:`nowcast.gaussians.compute.Compute`; without a GPU Triton's interpreter serves CPU tensors."""

    device: torch.device

    def _sent(self, *arrays: np.ndarray) -> tuple[Tensor, ...]:
        writable = (np.require(array, requirements=("C", "W")) for array in arrays)  # torch warns of others
        return tuple(torch.from_numpy(array).to(self.device) for array in writable)

    def observed(
        self, volumes: VolumeSequence, t: int, strong_dbz: Sequence[float], strong_weight: float
    ) -> tuple[Tensor, Tensor]:
        """Target and root of the weight of volume ``t``."""
        values, mask, rests, scales = self._sent(
            volumes.values[t], volumes.mask[t], rests_of(volumes.channels), scales_of(volumes.channels)
        )
        across = (-1, 1, 1, 1)
        seen = values.isfinite() & mask
        target = torch.where(seen, (values - rests.view(across)) / scales.view(across), 0.0)
        weight, (low, high) = seen.float(), strong_dbz
        weight[0] *= 1.0 + strong_weight * ((values[0].nan_to_num() - low) / (high - low)).clamp(0.0, 1.0)
        return target, weight.sqrt_()

    def plan(self, state: State, grid: VoxelGrid) -> Plan:
        """Tiles of these shapes."""
        means, log_scales, quats = self._sent(*state.arrays()[:3])
        return Plan(make_tiling(means, log_scales, quats, grid), log_scales, quats)

    def render(self, plan: Plan, intensities: Float32) -> Tensor:
        """The field ``[C, Z, Y, X]``."""
        return render(plan.tiling, *self._sent(intensities))

    def pull_back(self, plan: Plan, intensities: Float32, gradient: Tensor) -> State:
        """Gradient of the parameters."""
        (amplitudes,) = self._sent(intensities)
        gradients = pull_back(plan.tiling, plan.log_scales, plan.quats, amplitudes, gradient)
        return State(*map(self.to_host, gradients))

    def push_forward(self, plan: Plan, intensities: Float32, direction: State) -> Tensor:
        """Derivative of the field along a direction."""
        amplitudes, *directions = self._sent(intensities, *direction.arrays())
        return push_forward(plan.tiling, plan.log_scales, plan.quats, amplitudes, *directions)

    def compare(self, field: Tensor, target: Tensor, root_weight: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted difference and its derivative by the field."""
        residual, slope = field - target, root_weight.clone()
        floor, ceiling = (float(np.float32(clip)) for clip in CLIPS)
        dark, bright = target[0] <= floor, target[0] >= ceiling
        slope[0].masked_fill_((dark & (residual[0] < 0)) | (bright & (residual[0] > 0)), 0.0)
        residual *= slope
        return residual.masked_fill_(slope <= 0, 0.0), slope

    def columns(self, reflectivity: Tensor, seen: Tensor) -> Float32:
        """``[Y, X]`` the largest value of each column."""
        return self.to_host(torch.where(seen, reflectivity, 0.0).amax(dim=0))

    def missing(self, residual: Tensor, noise: float) -> Tensor:
        """``[Z, Y, X]`` weights for new Gaussians."""
        blurred = _blurred(residual)
        return torch.where(blurred.abs() > noise, blurred.square(), 0.0)

    def draw(self, weights: Tensor, count: int, rng: np.random.Generator) -> Indices:
        """At most ``count`` voxels ``[n, 3]``, first drawn first."""
        flat = weights.reshape(-1)
        candidates = (flat > 0).nonzero()[:, 0]
        (keys,) = self._sent(rng.exponential(size=len(candidates)))
        order = torch.sort(keys / flat[candidates], stable=True).indices[:count]
        return np.stack(np.unravel_index(self.to_host(candidates[order]), tuple(weights.shape)), axis=1)

    def values_at(self, field: Tensor, voxels: Indices) -> Float32:
        """``[n, C]`` the field at voxels."""
        z, y, x = self._sent(*voxels.T)
        return self.to_host(field[:, z, y, x].T)

    def to_host(self, values: Tensor) -> Any:
        """As a numpy array."""
        return values.cpu().numpy()


def _blurred(field: Tensor) -> Tensor:
    """The field ``[Z, Y, X]`` through a Gaussian filter, mirrored at its edges, as scipy does it."""
    radius = int(BLUR_REACH * RESIDUAL_BLUR + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / RESIDUAL_BLUR) ** 2)
    for axis, n in enumerate(field.shape):
        place = torch.arange(-radius, n + radius, device=field.device) % (2 * n)
        mirrored = torch.where(place < n, place, 2 * n - 1 - place)
        parts = (w * field.index_select(axis, mirrored[k : k + n]) for k, w in enumerate(weights / weights.sum()))
        field = sum(parts, torch.zeros_like(field))
    return field
