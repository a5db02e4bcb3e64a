"""Makes the CPU scan a differentiable torch operation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nowcast_kernels.simd import LANES
from nowcast_kernels.ssd import cpu


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(*tensors)
        x, dt, A, B, C, D, h0 = (tensor.numpy() for tensor in tensors)
        y, last = cpu.scan(x, dt, A, B, C, D, h0)
        return torch.from_numpy(y), torch.from_numpy(last)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        x, dt, A, B, C, D, h0 = (tensor.numpy() for tensor in ctx.saved_tensors)
        g_y, g_last = (gradient.contiguous().numpy() for gradient in gradients)
        return tuple(torch.from_numpy(g) for g in cpu.scan_back(x, dt, A, B, C, D, h0, g_y, g_last))


def ssd_numba(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, h0: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Run float32 tensors on the CPU; arguments as in `api.ssd`."""
    batch, _, heads, head_dim = x.shape
    D = torch.zeros_like(A) if D is None else D
    state = x.new_zeros(batch, heads, B.shape[-1], head_dim) if h0 is None else h0.mT
    if head_dim % LANES:  # channels of zeros fill the last vector
        x, state = (F.pad(tensor, (0, -head_dim % LANES)) for tensor in (x, state))
    y, last = _Scan.apply(*(tensor.contiguous() for tensor in (x, dt, A, B, C, D, state)))
    return y[..., :head_dim], last[..., :head_dim].mT
