"""The Mamba-2 block and the pair that reads both ways."""

from __future__ import annotations

import torch

from nowcast.models.ssd_block import SSDBlock, SSDPair

SIZE = {"d_model": 16, "d_state": 8, "head_dim": 8, "expand": 2, "conv_width": 4}


def test_a_block_sees_only_what_came_before():
    torch.manual_seed(0)
    block, u = SSDBlock(**SIZE), torch.randn(1, 70, 16)
    changed = u.clone()
    changed[:, 40:] = 7.0
    before, after = block(u), block(changed)
    torch.testing.assert_close(before[:, :40], after[:, :40])
    assert (before[:, 40:] - after[:, 40:]).abs().max() > 0.1


def test_a_pair_sees_everything():
    torch.manual_seed(0)
    pair, u = SSDPair(**SIZE), torch.randn(1, 20, 16)
    changed = u.clone()
    changed[:, 10] = 7.0
    moved = (pair(u) - pair(changed)).abs().amax(dim=-1)[0]
    assert (moved[:10] > 0).any() and (moved[11:] > 0).any()


def test_a_pair_that_reads_one_way_sees_what_came_before_alone():
    torch.manual_seed(0)
    pair, u = SSDPair(**SIZE, both_ways=False), torch.randn(1, 20, 16)
    changed = u.clone()
    changed[:, 10] = 7.0
    moved = (pair(u) - pair(changed)).abs().amax(dim=-1)[0]
    assert not moved[:10].any() and (moved[11:] > 0).any()


def test_backends_agree():
    torch.manual_seed(0)
    block, u = SSDBlock(**SIZE), torch.randn(1, 130, 16)
    answers = []
    for backend in ("reference", "chunked", "numba"):
        block.backend = backend
        answers.append(block(u))
    for answer in answers[1:]:  # float32 sums of up to 130 terms in another order
        torch.testing.assert_close(answer, answers[0], atol=1e-5, rtol=1e-4)
