"""The state-space model as its equation reads, one token after the other.

With the letters of Dao and Gu, "Transformers are SSMs" (arXiv 2405.21060), for each head::

    h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_t^T        h [head_dim, d_state]
    y_t = h_t C_t + D x_t                             y [head_dim]
"""

from __future__ import annotations

import torch
from torch import Tensor


def ssd_reference(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, h0: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Output [batch, length, heads, head_dim] and last state; arguments as in `api.ssd`."""
    batch, _, heads, head_dim = x.shape
    h = x.new_zeros(batch, heads, head_dim, B.shape[-1]) if h0 is None else h0
    outputs = []
    for x_t, dt_t, B_t, C_t in zip(x.unbind(1), dt.unbind(1), B.unbind(1), C.unbind(1), strict=True):
        decay = torch.exp(dt_t * A)[..., None, None]
        h = decay * h + (dt_t[..., None] * x_t)[..., None] * B_t[:, None, None, :]
        y_t = (h * C_t[:, None, None, :]).sum(-1)
        outputs.append(y_t if D is None else y_t + D[:, None] * x_t)
    return (torch.stack(outputs, dim=1) if outputs else torch.zeros_like(x)), h
