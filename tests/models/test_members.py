"""Ensembles: members that differ smoothly in space and time, around a forecast that stays as it is."""

from __future__ import annotations

import pytest
import torch
from gaussian_cases import drifting, lively

from nowcast.gaussians import advect
from nowcast.models import GauMamba, roll_out, roll_out_ensemble
from nowcast.models.noise import COMPONENTS, KINDS, NoiseFields
from nowcast.models.rollout import unroll

LEADS = [600.0, 1800.0, 3600.0]


def test_noise_is_standard_normal_and_as_smooth_as_it_says() -> None:
    length, minutes = KINDS[1]
    places = torch.tensor([[0.0, 0.0], [0.5 * length, 0.0], [0.0, length], [20 * length, 3 * length]])
    draws = torch.cat([NoiseFields(places, 200, seed).at(0.0)[:, :, 1] for seed in range(40)])  # [8000, 4, 3]
    later = torch.cat([NoiseFields(places, 200, seed).at(minutes)[:, :, 1] for seed in range(40)])
    assert draws.shape == (8000, 4, COMPONENTS)
    assert float(draws.mean().abs()) < 0.03 and float(draws.std()) == pytest.approx(1.0, abs=0.03)

    def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
        return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])

    for place, expected in ((1, 0.8825), (2, 0.6065), (3, 0.0)):
        assert correlation(draws[:, 0], draws[:, place]) == pytest.approx(expected, abs=0.05)
    assert correlation(draws[:, 0], later[:, 0]) == pytest.approx(0.6065, abs=0.05)
    assert correlation(draws[:, 0, 0], draws[:, 0, 1]) == pytest.approx(0.0, abs=0.05)


def test_members_differ_more_and_more_and_repeat_with_their_seed() -> None:
    sequence = drifting()
    members = roll_out_ensemble(lively(), sequence, LEADS, 8, seed=3)[1]
    again = roll_out_ensemble(lively(), sequence, LEADS, 8, seed=3)[1]
    other = roll_out_ensemble(lively(), sequence, LEADS, 8, seed=4)[1]
    apart = []
    for lead in range(len(LEADS)):
        means = torch.stack([member[lead].means for member in members])
        assert torch.equal(means, torch.stack([member[lead].means for member in again]))
        assert not torch.equal(means, torch.stack([member[lead].means for member in other]))
        apart.append(float(means.std(dim=0)[:, :2].mean()))
        assert torch.equal(means[0, :, 2], means[1, :, 2])  # heights are not perturbed
    assert apart[0] > 50.0 and apart[0] < apart[1] < apart[2]


def test_idle_gaussians_stay_idle_in_every_member() -> None:
    for member in roll_out_ensemble(lively(), drifting(idle=7), LEADS, 3)[1]:
        assert (member[-1].intensities[-7:] == 0).all() and (member[-1].intensities[:-7] != 0).all()


def test_the_spread_learns_alone_and_leaves_the_forecast() -> None:
    model, sequence = lively(), drifting()
    base = advect(sequence, LEADS)
    members = unroll(model, sequence, base, LEADS).members(2, seed=0)
    members[0][-1].means.sum().backward()
    learning = {name for name, p in model.named_parameters() if p.grad is not None and bool((p.grad != 0).any())}
    assert learning == {"spread.weight", "spread.bias"}
    one = roll_out(model, sequence, LEADS)[-1]
    with torch.no_grad():
        model.spread.weight.add_(1.0)
    assert torch.equal(roll_out(model, sequence, LEADS)[-1].means, one.means)


def test_without_echo_all_members_are_dry() -> None:
    sequence = drifting(5, idle=5)
    for member in roll_out_ensemble(GauMamba(), sequence, LEADS, 3)[1]:
        assert (member[-1].intensities == 0).all()
