"""The voxels of the fit on a processor: numpy and numba."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from nowcast.channels import to_model
from nowcast.gaussians.compute import BLUR_REACH, CLIPS, RESIDUAL_BLUR, Indices
from nowcast.gaussians.state import State
from nowcast.types import Bool, Float32, VolumeSequence
from nowcast_kernels.jit import kernel
from nowcast_kernels.voxelize import VoxelGrid, cpu
from nowcast_kernels.voxelize.tangent import push_forward

Plan = tuple[cpu.Plan, Float32, Float32]


class OnCpu:
    """Numpy and numba."""

    def observed(
        self, volumes: VolumeSequence, t: int, strong_dbz: Sequence[float], strong_weight: float
    ) -> tuple[Float32, Float32]:
        """See :class:`Compute`."""
        values, mask = volumes.values[t], volumes.mask[t]
        seen = np.isfinite(values) & mask
        target = np.where(seen, to_model(values, volumes.channels), np.float32(0.0))
        weight = seen.astype(np.float32)
        low, high = strong_dbz
        weight[0] *= 1.0 + strong_weight * np.clip((np.nan_to_num(values[0]) - low) / (high - low), 0.0, 1.0)
        return target, np.sqrt(weight)

    def plan(self, state: State, grid: VoxelGrid) -> Plan:
        """See :class:`Compute`."""
        return cpu.make_plan(state.means, state.log_scales, state.quats, grid), state.log_scales, state.quats

    def render(self, plan: Plan, intensities: Float32) -> Float32:
        """See :class:`Compute`."""
        return cpu.render(plan[0], intensities)

    def pull_back(self, plan: Plan, intensities: Float32, gradient: Float32) -> State:
        """See :class:`Compute`."""
        return State(*cpu.pull_back(*plan, intensities, gradient))

    def push_forward(self, plan: Plan, intensities: Float32, direction: State) -> Float32:
        """See :class:`Compute`."""
        return push_forward(*plan, intensities, *direction.arrays())

    def compare(self, field: Float32, target: Float32, root_weight: Float32) -> tuple[Float32, Float32]:
        """See :class:`Compute`."""
        residual, slope = np.empty_like(field), np.empty_like(field)
        for c in range(len(field)):
            low, high = CLIPS if c == 0 else (-np.inf, np.inf)
            parts = (a[c].reshape(-1) for a in (field, target, root_weight, residual, slope))
            _compare(np.float32(low), np.float32(high), *parts)
        return residual, slope

    def columns(self, reflectivity: Float32, seen: Bool) -> Float32:
        """See :class:`Compute`."""
        return np.asarray(np.where(seen, reflectivity, np.float32(0.0)).max(axis=0))

    def missing(self, residual: Float32, noise: float) -> Float32:
        """See :class:`Compute`."""
        blurred = gaussian_filter(residual, RESIDUAL_BLUR, truncate=BLUR_REACH)
        return np.where(np.abs(blurred) > noise, blurred**2, 0.0)

    def draw(self, weights: Float32, count: int, rng: np.random.Generator) -> Indices:
        """See :class:`Compute`."""
        flat = weights.reshape(-1)
        candidates = np.flatnonzero(flat > 0)
        keys = rng.exponential(size=len(candidates)) / flat[candidates]
        order = np.argsort(keys, kind="stable")[:count]
        return np.stack(np.unravel_index(candidates[order], weights.shape), axis=1)

    def values_at(self, field: Float32, voxels: Indices) -> Float32:
        """See :class:`Compute`."""
        values: Float32 = field[:, voxels[:, 0], voxels[:, 1], voxels[:, 2]].T
        return values

    def to_host(self, values: Any) -> Any:
        """See :class:`Compute`."""
        return values


CPU = OnCpu()


@kernel
def _compare(floor, ceiling, field, target, root_weight, residual, slope):  # type: ignore[no-untyped-def]
    """Weighted difference, one-sided where the target sits at a clip."""
    for i in range(len(field)):
        difference = field[i] - target[i]
        free = (target[i] <= floor and difference < 0.0) or (target[i] >= ceiling and difference > 0.0)
        w = np.float32(0.0) if free else root_weight[i]
        slope[i] = w
        residual[i] = w * difference if w > 0.0 else np.float32(0.0)
