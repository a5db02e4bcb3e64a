"""The gated memory that carries a layer pair's tokens from one frame to the next.

A gated recurrent unit (Cho et al., arXiv 1406.1078) whose candidate is a layer pair instead of a tanh. With the
memory ``h_{t-1}`` of the previous frame and the tokens ``x_t`` of this one, both ``[N, d_model]``::

    z = sigmoid(W_z [x_t, h_{t-1}])          update: how much is new
    r = sigmoid(W_r [x_t, h_{t-1}])          reset: what of the past the pair reads
    y = pair(x_t + U (r * h_{t-1}))          candidate
    h_t = (1 - z) * h_{t-1} + z * y          memory, and what the next pair reads

The first frame has no past: ``h_t = pair(x_t)``. Memory belongs to a Gaussian, not to a place in the order of reading,
which changes from frame to frame: it comes and goes in the order of the Gaussians.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nowcast.models.linear import Linear
from nowcast.models.ssd_block import SSDPair


class GatedPair(nn.Module):
    """A layer pair with memory of the previous frame."""

    def __init__(self, pair: SSDPair, d_model: int) -> None:
        super().__init__()
        self.pair = pair
        self.gates = Linear(2 * d_model, 2 * d_model)
        self.recall = Linear(d_model, d_model, bias=False)
        with torch.no_grad():
            self.gates.bias[:d_model].fill_(2.0)  # at the start most of every token is new
            self.recall.weight.mul_(0.1)

    def forward(self, x: Tensor, order: Tensor, memory: Tensor | None) -> Tensor:
        """One frame.

        Parameters
        ----------
        x
            ``[N, d_model]`` tokens in the order of the Gaussians.
        order
            ``[N]`` the Gaussians in the order of reading: the pair reads ``x[order]``.
        memory
            ``[N, d_model]`` this function's answer for the previous frame, None for the first.

        Returns
        -------
        ``[N, d_model]`` in the order of the Gaussians: both the memory and the next pair's tokens.
        """
        if memory is None:
            return self._read(x, order)
        z, r = torch.sigmoid(self.gates(torch.cat([x, memory], dim=-1))).chunk(2, dim=-1)
        y = self._read(x + self.recall(r * memory), order)
        return (1 - z) * memory + z * y

    def _read(self, x: Tensor, order: Tensor) -> Tensor:
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order), device=order.device)
        return self.pair(x[order].unsqueeze(0)).squeeze(0)[back]
