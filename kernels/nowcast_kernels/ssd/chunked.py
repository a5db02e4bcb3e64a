"""The state-space model as matrix products over chunks of tokens (arXiv 2405.21060, section 6).

Within a chunk, unrolling the recurrence gives a lower-triangular matrix between its tokens; what came before the chunk
enters through one state. With a_t the running sum of dt A from the chunk's start::

    y_t = sum_(s <= t) exp(a_t - a_s) (C_t . B_s) dt_s x_s  +  exp(a_t) h C_t
    h  <- exp(a_Q) h + sum_s exp(a_Q - a_s) dt_s x_s B_s^T

Every exponent is of a sum of non-positive numbers, so nothing overflows however long the sequence.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def ssd_chunked(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, h0: Tensor | None, chunk: int
) -> tuple[Tensor, Tensor]:
    """Output [batch, length, heads, head_dim] and last state; arguments as in `api.ssd`."""
    length = x.shape[1]
    chunk = max(1, min(chunk, length))
    # Tokens with dt = 0 leave the state as it is, so the last chunk is filled up with them.
    fill = -length % chunk
    u = dt[..., None] * x
    u, dA, B, C = (_split(t, fill, chunk) for t in (u, dt * A, B, C))  # [batch, n, chunk, ...]
    u = u.transpose(2, 3)  # [batch, n, heads, chunk, head_dim]
    a = dA.transpose(2, 3).cumsum(-1)  # [batch, n, heads, chunk]
    B, C = B.unsqueeze(2), C.unsqueeze(2)  # [batch, n, 1, chunk, d_state]

    later = torch.ones(chunk, chunk, dtype=torch.bool, device=x.device).triu(1)
    decay = (a[..., :, None] - a[..., None, :]).masked_fill(later, -torch.inf).exp()  # [batch, n, heads, t, s]
    y = (C @ B.mT * decay) @ u
    written = (u * (a[..., -1:] - a).exp()[..., None]).mT @ B  # [batch, n, heads, head_dim, d_state]
    before, last = _carry(written, a[..., -1].exp(), h0)
    y = y + C @ before.mT * a.exp()[..., None]
    y = y.transpose(2, 3).flatten(1, 2)[:, :length]
    return (y if D is None else y + D[:, None] * x), last


def _split(tensor: Tensor, fill: int, chunk: int) -> Tensor:
    """Pad the token axis (1) with zeros and cut it into chunks."""
    if fill:
        tensor = F.pad(tensor, (0, 0) * (tensor.ndim - 2) + (0, fill))
    return tensor.unflatten(1, (-1, chunk))


def _carry(written: Tensor, decay: Tensor, h0: Tensor | None) -> tuple[Tensor, Tensor]:
    """State before each chunk [batch, n, heads, head_dim, d_state] and after the last one."""
    h = torch.zeros_like(written[:, 0]) if h0 is None else h0
    states = []
    for written_c, decay_c in zip(written.unbind(1), decay[..., None, None].unbind(1), strict=True):
        states.append(h)
        h = decay_c * h + written_c
    return torch.stack(states, dim=1), h
