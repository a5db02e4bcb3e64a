"""Mamba-2's state-space duality and the depthwise causal convolution before it."""

from __future__ import annotations

from nowcast_kernels.ssd.api import ssd
from nowcast_kernels.ssd.conv import causal_conv1d

__all__ = ["causal_conv1d", "ssd"]
