"""The gated memory belongs to the Gaussian, whatever its place in the reading order."""

from __future__ import annotations

import torch

from nowcast.models.memory import GatedPair
from nowcast.models.ssd_block import SSDPair


def gated(seed: int = 0) -> GatedPair:
    torch.manual_seed(seed)
    return GatedPair(SSDPair(d_model=16, d_state=8, head_dim=8, expand=2, conv_width=4), 16)


class Doubling(torch.nn.Module):
    """A pair that does not mix tokens, so that each must come back to where it was."""

    def forward(self, u):
        return 2 * u


def test_the_first_frame_is_the_pair_alone():
    pair, x = gated(), torch.randn(30, 16)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(3))
    back = torch.argsort(order)
    torch.testing.assert_close(pair(x, order, None), pair.pair(x[order][None])[0][back])


def test_tokens_and_memory_stay_with_their_gaussian():
    pair, x, memory = gated(), torch.randn(30, 16), torch.randn(30, 16)
    pair.pair = Doubling()
    one = pair(x, torch.arange(30), memory)
    other = pair(x, torch.randperm(30, generator=torch.Generator().manual_seed(3)), memory)
    torch.testing.assert_close(one, other)


def test_gates_choose_between_memory_and_the_new():
    pair, x, memory = gated(), torch.randn(30, 16), torch.randn(30, 16)
    order = torch.arange(30)
    with torch.no_grad():
        pair.gates.weight.zero_()
        pair.gates.bias[:16] = -100.0  # nothing new
    torch.testing.assert_close(pair(x, order, memory), memory)
    with torch.no_grad():
        pair.gates.bias[:16] = 100.0  # all new
        pair.gates.bias[16:] = -100.0  # and the past is not read
    torch.testing.assert_close(pair(x, order, memory), pair(x, order, None))
