"""Depthwise causal convolution over tokens."""

from __future__ import annotations

import importlib.util

import torch
from torch import Tensor
from torch.nn import functional as F

from nowcast_kernels.errors import KernelInputError


def causal_conv1d(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve each channel with its own filter, looking only at this token and those before.

    ``y[b, t, c] = bias[c] + sum_k weight[c, k] x[b, t - (width - 1) + k, c]``, zeros before the first token.

    Parameters
    ----------
    x : Tensor
        Tokens [batch, length, channels], any floating dtype.
    weight : Tensor
        Filters [channels, width]; the last tap meets the token itself.
    bias : Tensor, optional
        [channels].

    Returns
    -------
    Tensor
        [batch, length, channels].

    Raises
    ------
    KernelInputError
        If the shapes do not belong together.

    Notes
    -----
    Compiled code does the work for float32 on the CPU, the causal-conv1d package on CUDA where it is installed (widths
    2 to 4), and torch otherwise.
    """
    channels = x.shape[-1]
    if x.ndim != 3 or weight.ndim != 2 or len(weight) != channels or (bias is not None and bias.shape != (channels,)):
        raise KernelInputError(
            "causal_conv1d takes x [batch, length, channels], weight [channels, width], bias [channels]; got "
            f"{list(x.shape)}, {list(weight.shape)}, {None if bias is None else list(bias.shape)}"
        )
    width = weight.shape[1]
    if x.is_cuda and 2 <= width <= 4 and importlib.util.find_spec("causal_conv1d") is not None:
        from causal_conv1d import causal_conv1d_fn

        fused: Tensor = causal_conv1d_fn(x.transpose(1, 2), weight, bias)
        return fused.transpose(1, 2)
    bias = x.new_zeros(channels) if bias is None else bias
    if x.device.type == "cpu" and x.dtype == weight.dtype == bias.dtype == torch.float32:
        from nowcast_kernels.ssd.conv_cpu import conv_numba  # numba loads only when it is used

        return conv_numba(x, weight, bias)
    padded = F.pad(x, (0, 0, width - 1, 0))
    y = bias.expand_as(x)
    for k in range(width):
        y = torch.addcmul(y, padded[:, k : k + x.shape[1]], weight[:, k])
    return y
