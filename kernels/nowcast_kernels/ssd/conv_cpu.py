"""Depthwise causal convolution on the CPU: sixteen channels at a time, one pass forward and one back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nowcast_kernels.jit import kernel
from nowcast_kernels.parallel import run_parallel
from nowcast_kernels.simd import LANES, add, load, mul_add, scratch, splat, store

Floats = NDArray[np.float32]


def conv_numba(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve float32 tensors on the CPU; arguments as in `conv.causal_conv1d`."""
    channels = x.shape[2]
    taps = weight.T
    if channels % LANES:  # channels of zeros fill the last vector
        x, taps, bias = (F.pad(tensor, (0, -channels % LANES)) for tensor in (x, taps, bias))
    y: Tensor = _Convolution.apply(*(tensor.contiguous() for tensor in (x, taps, bias)))
    return y[..., :channels]


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, taps)
        return torch.from_numpy(_convolve(x.numpy(), taps.numpy(), bias.numpy()))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, ...]:
        x, taps = (tensor.numpy() for tensor in ctx.saved_tensors)
        return tuple(torch.from_numpy(gradient) for gradient in _convolve_back(x, taps, g.contiguous().numpy()))


def _convolve(x: Floats, taps: Floats, bias: Floats) -> Floats:
    """Output [batch, length, channels] from taps [width, channels]."""
    y = np.empty_like(x)
    vectors = x.shape[2] // LANES

    def work(item: int) -> None:
        _convolve_vector(x, taps, bias, y, item // vectors, item % vectors * LANES)

    run_parallel(work, x.shape[0] * vectors)
    return y


def _convolve_back(x: Floats, taps: Floats, g: Floats) -> tuple[Floats, Floats, Floats]:
    """Gradients of x, taps and bias from that of the output."""
    batch, _, channels = x.shape
    vectors = channels // LANES
    g_x = np.empty_like(x)
    # One sum for each batch element, so that no two threads write to one place; the last row is the bias.
    sums = np.empty((batch, len(taps) + 1, channels), dtype=np.float32)

    def work(item: int) -> None:
        _convolve_vector_back(x, taps, g, g_x, sums, item // vectors, item % vectors * LANES)

    run_parallel(work, batch * vectors)
    total = sums.sum(axis=0)
    return g_x, total[:-1], total[-1]


@kernel
def _convolve_vector(x, taps, bias, y, b, channel):  # type: ignore[no-untyped-def]
    """Sixteen channels of one batch element."""
    _, length, channels = x.shape
    before = len(taps) - 1
    for t in range(length):
        here = (b * length + t) * channels + channel
        y_t = load(bias, channel)
        for back in range(min(t, before) + 1):
            y_t = mul_add(load(taps, (before - back) * channels + channel), load(x, here - back * channels), y_t)
        store(y, here, y_t)


@kernel
def _convolve_vector_back(x, taps, g, g_x, sums, b, channel):  # type: ignore[no-untyped-def]
    """Gradients of sixteen channels of one batch element."""
    _, length, channels = x.shape
    width = len(taps)
    zero = splat(np.float32(0.0))
    g_taps, g_bias = scratch(width * LANES), zero
    g_taps[:] = 0.0
    for t in range(length):
        here = (b * length + t) * channels + channel
        x_t, g_x_t = load(x, here), zero
        g_bias = add(g_bias, load(g, here))
        for ahead in range(min(length - 1 - t, width - 1) + 1):
            tap = width - 1 - ahead
            g_ahead = load(g, here + ahead * channels)
            g_x_t = mul_add(load(taps, tap * channels + channel), g_ahead, g_x_t)
            store(g_taps, tap * LANES, mul_add(x_t, g_ahead, load(g_taps, tap * LANES)))
        store(g_x, here, g_x_t)
    for tap in range(width):
        store(sums, (b * (width + 1) + tap) * channels + channel, load(g_taps, tap * LANES))
    store(sums, (b * (width + 1) + width) * channels + channel, g_bias)
