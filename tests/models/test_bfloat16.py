"""Matrix products in bfloat16, as on CUDA: a little coarser, and nothing else changes."""

from __future__ import annotations

import copy

import torch
from gaussian_cases import drifting, lively, untrained, window

from nowcast.gaussians import advect
from nowcast.models import GauMamba, roll_out
from nowcast.train import LossConfig
from nowcast.train.windows import Example

LEADS = [600.0, 1200.0]


def rounded(model: GauMamba) -> GauMamba:
    coarse = copy.deepcopy(model)
    coarse.use_bfloat16()
    return coarse


def test_the_correction_is_the_same_to_two_digits():
    model, sequence = lively(pairs=1), drifting()
    fine, coarse = (roll_out(m, sequence, LEADS)[-1] for m in (model, rounded(model)))
    base = advect(sequence, LEADS)[-1]
    assert coarse.means.dtype == coarse.intensities.dtype == torch.float32
    assert not torch.equal(coarse.means, fine.means)
    assert (coarse.means - fine.means).norm() < 0.03 * (fine.means - base.means).norm()


def test_an_untrained_model_is_the_extrapolation_bit_for_bit():
    sequence = drifting()
    for one, base in zip(roll_out(rounded(untrained()), sequence, LEADS), advect(sequence, LEADS), strict=True):
        assert torch.equal(one.means, base.means) and torch.equal(one.intensities, base.intensities)


def test_gradients_point_the_same_way_and_stay_float32():
    example, found = Example(window("storm", seed=1)), []
    model = lively(pairs=1)
    for m in (model, rounded(model)):
        example.losses(example.forecast(m, 2), range(2), LossConfig(), seed=3)["loss"].backward()
        assert all(p.dtype == torch.float32 and p.grad is not None for p in m.parameters())
        found.append(torch.cat([p.grad.flatten() for p in m.parameters()]))
    assert torch.cosine_similarity(found[0], found[1], dim=0) > 0.99
