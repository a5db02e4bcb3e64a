"""Loss terms with answers that can be worked out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from gaussian_cases import drifting
from hypothesis import given, settings
from hypothesis import strategies as st

from nowcast.train.config import LossConfig
from nowcast.train.losses import (
    Scores,
    almost_fair_crps,
    parameter_loss,
    relative_crps,
    relative_mae,
    render_reflectivity,
    threshold_losses,
)

CONFIG = LossConfig()
SHARP = LossConfig(thresholds_dbz=(35.0,), softness_dbz=0.01)


def soft_csi_loss(forecast, observed, config):
    return threshold_losses(forecast, observed, config)[0]


def area_loss(forecast, observed, config):
    return threshold_losses(forecast, observed, config)[1]


def test_sharp_sigmoids_make_it_the_csi():
    observed = torch.tensor([50.0] * 60 + [0.0] * 140)
    forecast = torch.tensor([0.0] * 20 + [50.0] * 60 + [10.0] * 120)
    assert soft_csi_loss(forecast, observed, SHARP).item() == pytest.approx(1 - 40 / 80, abs=1e-4)


def test_the_area_error_follows_from_the_frequency_bias():
    observed, twice = torch.tensor([50.0] * 40 + [0.0] * 60), torch.tensor([0.0] * 20 + [50.0] * 80)
    assert area_loss(twice, observed, SHARP).item() == pytest.approx(((2 - 1) / (2 + 1)) ** 2, abs=1e-4)
    assert area_loss(observed.flip(0), observed, SHARP).item() == pytest.approx(0, abs=1e-6)


def test_a_perfect_forecast_loses_nothing():
    field = torch.rand(500) * 60
    assert area_loss(field, field, CONFIG).item() == pytest.approx(0, abs=1e-6)
    assert soft_csi_loss(field, field, CONFIG).item() == pytest.approx(0, abs=1e-6)
    assert relative_mae(field, field) == 0


def test_dry_is_no_error_and_dry_voxels_count_nothing():
    dry = torch.zeros(500)
    assert soft_csi_loss(dry, dry, CONFIG) == 0
    assert relative_mae(dry, dry) == 0
    field, other = torch.rand(500) * 60, torch.rand(500) * 60
    more = [torch.cat([f, torch.zeros(10_000)]) for f in (field, other)]
    torch.testing.assert_close(soft_csi_loss(field, other, CONFIG), soft_csi_loss(*more, CONFIG))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 80), st.floats(0, 80)), min_size=1, max_size=50))
def test_the_loss_lies_between_0_and_1(pairs):
    forecast, observed = torch.tensor(pairs).T
    loss = soft_csi_loss(forecast, observed, CONFIG)
    assert -1e-6 <= loss <= 1 + 1e-6
    assert soft_csi_loss(observed, forecast, CONFIG) == pytest.approx(loss.item(), abs=1e-6)
    assert 0 <= relative_mae(forecast, observed) <= 2 + 1e-6


def test_dimming_costs_where_squared_error_would_reward_it():
    """Of a cell forecast in the wrong place half of the time, the soft CSI keeps the strength."""
    observed = torch.zeros(400)
    observed[:100] = 50
    forecast = torch.zeros(400)
    forecast[50:150] = 50
    dimmed = forecast * 0.5
    assert (dimmed - observed).square().mean() < (forecast - observed).square().mean()
    assert soft_csi_loss(dimmed, observed, CONFIG) > soft_csi_loss(forecast, observed, CONFIG)


def test_parameter_loss_counts_only_what_lives_in_both():
    target = drifting(10, idle=5).at(-1)
    assert parameter_loss(target, target) == pytest.approx(0, abs=1e-6)
    moved = replace(target, means=target.means + torch.arange(10)[:, None].ge(5) * 1e5)
    assert parameter_loss(moved, target) == pytest.approx(0, abs=1e-6)
    everywhere = replace(target, means=target.means + 2000.0)
    assert parameter_loss(everywhere, target).item() == pytest.approx(0.5 / 4, abs=1e-4)


def test_a_quaternion_and_its_negative_are_one_rotation():
    target = drifting(10).at(-1)
    assert parameter_loss(replace(target, quats=-3 * target.quats), target) == pytest.approx(0, abs=1e-5)


def test_the_rendered_loss_has_gradients_for_every_parameter():
    sequence = drifting(20)
    observed = render_reflectivity(sequence.at(-1), sequence.grid)
    fields = {k: getattr(sequence.at(0), k).clone().requires_grad_() for k in ("means", "log_scales", "quats")}
    fields["intensities"] = sequence.at(0).intensities.clone().requires_grad_()
    forecast = render_reflectivity(replace(sequence.at(0), **fields), sequence.grid)
    (soft_csi_loss(forecast, observed, CONFIG) + relative_mae(forecast, observed)).backward()
    assert all(p.grad.abs().max() > 0 for p in fields.values())


def test_scores_are_pooled_counts():
    scores = Scores((35.0,))
    scores.add(torch.tensor([40.0, 40, 0, 0]), torch.tensor([40.0, 0, 40, 0]))
    scores.add(torch.tensor([40.0, 40]), torch.tensor([40.0, 0]))
    assert scores.summary() == {"mae_dbz": 20.0, "csi_35": 2 / 5, "bias_35": pytest.approx(4 / 3)}


def test_scores_of_nothing_are_left_out():
    scores = Scores((35.0,))
    assert scores.summary() == {}
    scores.add(torch.zeros(3), torch.zeros(3))
    assert scores.summary() == {"mae_dbz": 0.0}


def test_the_crps_is_that_of_all_pairs_and_fair() -> None:
    rng = torch.Generator().manual_seed(0)
    members, observed = 10 * torch.rand(5, 40, generator=rng), 10 * torch.rand(40, generator=rng)
    pairs = (members[:, None] - members[None]).abs().sum(dim=(0, 1))
    expected = (members - observed).abs().mean(dim=0) - (1 - 0.05 / 5) / (2 * 5 * 4) * pairs
    torch.testing.assert_close(almost_fair_crps(members, observed), expected)
    same = observed.expand(3, -1)
    assert float(almost_fair_crps(same, observed).abs().max()) == 0.0
    # Of draws from the truth's own distribution the expected score hardly depends on how many there are.
    truth = torch.randn(200_000, generator=rng)
    few, many = (almost_fair_crps(torch.randn(m, 200_000, generator=rng), truth).mean() for m in (2, 10))
    assert float(few) == pytest.approx(float(many), rel=0.06)


def test_the_crps_of_the_fields_counts_observed_voxels_and_nearness() -> None:
    rng = torch.Generator().manual_seed(0)
    observed = torch.zeros(2, 20, 20)
    observed[:, 8:10, 8:10] = 50.0
    mask = torch.ones(2, 20, 20, dtype=torch.bool)
    perfect = observed.expand(2, -1, -1, -1)
    assert float(relative_crps(perfect, observed, mask, CONFIG)) == 0.0
    near, far = (torch.stack([observed.roll(by, dims=2), observed.roll(-by, dims=1)]) for by in (1, 5))
    assert 0.1 < float(relative_crps(near, observed, mask, CONFIG)) < float(relative_crps(far, observed, mask, CONFIG))
    mask[:] = False
    assert float(relative_crps(50 * torch.rand(2, 2, 20, 20, generator=rng), observed, mask, CONFIG)) == 0.0


@pytest.mark.parametrize(("share", "sign"), [(0.15, 1), (0.05, 0), (0.01, -1)])
def test_the_crps_pulls_the_area_of_strong_echo_to_the_observed_one(share: float, sign: int) -> None:
    rng = torch.Generator().manual_seed(0)
    shape, softness = (2, 60, 60), CONFIG.softness_dbz
    observed = 30.0 + 20.0 * (torch.rand(shape, generator=rng) < 0.05)
    shares = torch.tensor(share, requires_grad=True)
    # A voxel of a member is strong with the given probability, softly, so that there is a gradient to see.
    drawn = torch.rand(4, *shape, generator=rng)
    members = 30.0 + 20.0 * torch.sigmoid((shares - drawn) / (0.1 * share))
    config = LossConfig(thresholds_dbz=(45.0,), softness_dbz=softness)
    score = relative_crps(members, observed, torch.ones(shape, dtype=torch.bool), config)
    (pull,) = torch.autograd.grad(score, shares)
    assert abs(float(pull)) < 0.1 if sign == 0 else sign * float(pull) > 0.5


def test_the_share_of_thresholds_in_the_crps_is_small_where_hardly_any_voxel_passes() -> None:
    observed = torch.full((1, 20, 20), 25.0)
    mask = torch.ones(1, 20, 20, dtype=torch.bool)
    one = observed.clone()
    one[0, 5, 5] = 50.0
    several = observed.clone()
    several[0, 5:9, 5:10] = 50.0
    a, b = (float(relative_crps(f.expand(2, -1, -1, -1), observed, mask, CONFIG)) for f in (one, several))
    assert a < b / 5
