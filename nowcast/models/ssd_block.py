"""The Mamba-2 block and the pair of them that reads the tokens both ways.

Which letter is which, after Dao and Gu, "Transformers are SSMs" (arXiv 2405.21060):

=========  ======================  =======================================================================
u          ``[B, L, d_model]``     tokens that enter and leave a block
z          ``[B, L, d_inner]``     gate
x          ``[B, L, H, P]``        what is written to the state; H heads of P channels, ``d_inner = H P``
B, C       ``[B, L, d_state]``     how it is written and how it is read, shared by the heads
dt         ``[B, L, H]``           step size, positive
A          ``[H]``                 decay, negative; stored as ``A_log = log(-A)``
D          ``[H]``                 skip
h          ``[B, H, P, d_state]``  state
y          ``[B, L, H, P]``        output
=========  ======================  =======================================================================

Token by token::

    h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_t^T
    y_t = h_t C_t + D x_t
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nowcast.models.linear import Linear
from nowcast_kernels.ssd import causal_conv1d, ssd

_START = 0.1
"""At the start a block adds little to its tokens: a model learns what a Gaussian tells of itself before its context."""


class SSDBlock(nn.Module):
    """Pre-norm Mamba-2 block with a residual: ``u + out_proj(norm(ssd(...) * silu(z)))``.

    Parameters
    ----------
    d_model, d_state, head_dim, expand, conv_width
        As in the paper; ``d_inner = expand * d_model`` is a multiple of ``head_dim``.
    """

    def __init__(self, d_model: int, d_state: int, head_dim: int, expand: int, conv_width: int) -> None:
        super().__init__()
        self.d_state, self.head_dim = d_state, head_dim
        self.d_inner = expand * d_model
        heads = self.d_inner // head_dim
        mixed = self.d_inner + 2 * d_state
        self.backend = "auto"
        self.norm = nn.RMSNorm(d_model)
        self.in_proj = Linear(d_model, self.d_inner + mixed + heads, bias=False)
        self.conv = nn.Conv1d(mixed, mixed, conv_width, groups=mixed)  # holds the weights and their start values
        # Steps from 0.001 to 0.1 and decays from 1 to 16, spread over the heads: memories of 1 to 1000 tokens.
        steps = torch.logspace(-3, -1, heads)
        self.dt_bias = nn.Parameter(steps + torch.log(-torch.expm1(-steps)))  # softplus(dt_bias) = steps
        self.A_log = nn.Parameter(torch.linspace(0.0, math.log(16.0), heads))
        self.D = nn.Parameter(torch.ones(heads))
        self.out_norm = nn.RMSNorm(self.d_inner)
        self.out_proj = Linear(self.d_inner, d_model, bias=False)
        with torch.no_grad():
            self.out_proj.weight.mul_(_START)

    def forward(self, u: Tensor) -> Tensor:
        """Tokens ``[B, L, d_model]`` to tokens; a token sees itself and those before it."""
        heads = len(self.D)
        z, xBC, dt = self.in_proj(self.norm(u)).split((self.d_inner, self.conv.in_channels, heads), dim=-1)
        xBC = F.silu(causal_conv1d(xBC, self.conv.weight.squeeze(1), self.conv.bias))
        x, B, C = xBC.split((self.d_inner, self.d_state, self.d_state), dim=-1)
        x = x.unflatten(-1, (heads, self.head_dim))
        dt = F.softplus(dt + self.dt_bias)
        A = -torch.exp(self.A_log)
        y = ssd(x, dt, A, B, C, self.D, backend=self.backend)
        return u + self.out_proj(self.out_norm(y.flatten(2) * F.silu(z)))


class SSDPair(nn.Module):
    """A block that reads the tokens forwards, then one that reads them backwards: every token sees every other.

    Without ``both_ways`` the second reads them forwards too: a token sees those before it.
    """

    def __init__(
        self, d_model: int, d_state: int, head_dim: int, expand: int, conv_width: int, both_ways: bool = True
    ) -> None:
        super().__init__()
        self.both_ways = both_ways
        self.onward = SSDBlock(d_model, d_state, head_dim, expand, conv_width)
        self.backward_ = SSDBlock(d_model, d_state, head_dim, expand, conv_width)

    def forward(self, u: Tensor) -> Tensor:
        """Tokens ``[B, L, d_model]`` to tokens."""
        if not self.both_ways:
            return self.backward_(self.onward(u))
        return self.backward_(self.onward(u).flip(1)).flip(1)
