"""The matrix products of the model, in bfloat16 where a training asks for it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Linear(nn.Linear):
    """A linear layer whose product may be taken in bfloat16 (``in_bfloat16 = True``); it gives what dtype it was given.

    The weights stay as they are. Autocast spans the product alone: coordinates in metres, scans over thousands of
    tokens and losses need all their digits.
    """

    in_bfloat16 = False

    def forward(self, x: Tensor) -> Tensor:
        """``[..., in]`` to ``[..., out]``."""
        if not self.in_bfloat16:
            return super().forward(x)
        with torch.autocast(x.device.type, torch.bfloat16):
            return super().forward(x).to(x.dtype)
