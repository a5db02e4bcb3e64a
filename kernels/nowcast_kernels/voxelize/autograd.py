"""Makes the CPU kernels a differentiable torch operation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nowcast_kernels.voxelize import cpu
from nowcast_kernels.voxelize.grid import VoxelGrid


class _VoxelizeNumba(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, means: Tensor, log_scales: Tensor, quats: Tensor, intensities: Tensor, grid: VoxelGrid
    ) -> Tensor:
        plan = cpu.make_plan(means.numpy(), log_scales.numpy(), quats.numpy(), grid)
        ctx.plan = plan
        ctx.save_for_backward(log_scales, quats, intensities)
        return torch.from_numpy(cpu.render(plan, intensities.numpy()))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        log_scales, quats, intensities = (tensor.numpy() for tensor in ctx.saved_tensors)
        gradients = cpu.pull_back(ctx.plan, log_scales, quats, intensities, grad.numpy())
        return (*(torch.from_numpy(gradient) for gradient in gradients), None)


def voxelize_numba(means: Tensor, log_scales: Tensor, quats: Tensor, intensities: Tensor, grid: VoxelGrid) -> Tensor:
    """Render float32 tensors on the CPU; see `api.voxelize`."""
    parameters = (tensor.contiguous() for tensor in (means, log_scales, quats, intensities))
    field: Tensor = _VoxelizeNumba.apply(*parameters, grid)
    return field
