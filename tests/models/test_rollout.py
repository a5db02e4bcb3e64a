"""Forecasts of the model: what must hold for any weights, and for none."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from gaussian_cases import drifting, lively, untrained
from hypothesis import given, settings
from hypothesis import strategies as st

from nowcast.errors import InputError, UsageError
from nowcast.gaussians import advect
from nowcast.models import GauMamba, roll_out
from nowcast.models.features import Frame, describe
from nowcast.models.gaumamba import Rates, Spread, token_orders
from nowcast.models.rollout import Correction, forecast_steps, unroll
from nowcast.models.ssd_block import SSDBlock
from nowcast.types import GaussianSet

LEADS = [600.0, 1200.0, 1800.0]
FIELDS = ("means", "log_scales", "quats", "intensities")


def same(one: GaussianSet, other: GaussianSet) -> bool:
    return all(torch.equal(getattr(one, k), getattr(other, k)) for k in FIELDS)


def close(one: GaussianSet, other: GaussianSet, means_m: float = 0.5, other_tolerance: float = 1e-3) -> None:
    for k in FIELDS:
        tolerance = means_m if k == "means" else other_tolerance
        torch.testing.assert_close(getattr(one, k), getattr(other, k), atol=tolerance, rtol=1e-4)


def test_untrained_is_extrapolation_bit_for_bit():
    sequence = drifting(idle=7)
    for ours, advected in zip(roll_out(untrained(), sequence, LEADS), advect(sequence, LEADS), strict=True):
        assert same(ours, advected)


def test_trained_is_something_else():
    sequence = drifting()
    forecast, base = roll_out(lively(), sequence, LEADS)[-1], advect(sequence, LEADS)[-1]
    for k in FIELDS:
        assert (getattr(forecast, k) - getattr(base, k)).abs().max() > 1e-3, k


def test_a_forecast_repeats_bit_for_bit():
    sequence = drifting()
    assert all(map(same, roll_out(lively(), sequence, LEADS), roll_out(lively(), sequence, LEADS)))


def test_memory_is_causal():
    """A frame changes what is remembered from it on, nothing before; and earlier frames do matter."""
    sequence, model = drifting(), lively()
    changed = replace(sequence, intensities=sequence.intensities.clone())
    changed.intensities[0] *= 1.5
    memories = {}
    for name, s in (("as is", sequence), ("changed", changed)):
        kept: list[torch.Tensor] = []
        hook = model.pairs[0].register_forward_hook(lambda _, __, out, kept=kept: kept.append(out))
        roll_out(model, s.select(slice(0, 3)), LEADS[:1])
        roll_out(model, s, LEADS[:1])
        hook.remove()
        memories[name] = kept
    prefix, whole = memories["as is"][:3], memories["as is"][3:]
    assert all(map(torch.equal, prefix, whole))
    differ = [not torch.equal(a, b) for a, b in zip(whole, memories["changed"][3:], strict=True)]
    assert differ == [True] * 4


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000))
def test_the_numbering_of_gaussians_does_not_matter(seed):
    order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
    sequence, model = drifting(), lively()
    straight, mixed = (roll_out(model, s, LEADS) for s in (sequence, sequence.take(order)))
    for one, other in zip(straight, mixed, strict=True):
        close(GaussianSet(*(getattr(one, k)[order] for k in FIELDS)), other)


def test_a_shifted_storm_gets_the_shifted_forecast():
    sequence, model = drifting(), lively()
    shift = torch.tensor([32_000.0, -16_000.0, 0.0])
    there = replace(sequence, means=sequence.means + shift)
    for one, other in zip(roll_out(model, sequence, LEADS), roll_out(model, there, LEADS), strict=True):
        close(replace(one, means=one.means + shift), other, means_m=5.0, other_tolerance=2e-3)


def test_the_model_does_not_see_the_grid():
    sequence, model = drifting(), lively()
    elsewhere = replace(sequence.grid, origin_lat=10.0, shape=(3, 5, 7), first_m=(0.0, 0.0, 0.0))
    base = advect(sequence, LEADS)
    with torch.no_grad():
        here, there = (unroll(model, s, base, LEADS).forecast() for s in (sequence, replace(sequence, grid=elsewhere)))
    assert all(map(same, here, there))


def test_mirrored_axes_give_the_forecast_of_the_mirrored_storm():
    sequence, model = drifting(), lively()
    mirror, full = torch.tensor([[-1.0, 0.0], [0.0, 1.0]]), torch.tensor([-1.0, 1.0, 1.0])
    flip = torch.tensor([1.0, 1.0, -1.0, -1.0])  # a rotation seen in a mirror along x
    mirrored = replace(
        sequence,
        means=sequence.means * full,
        velocities=sequence.velocities * full,
        quats=sequence.quats * flip,
    )
    with torch.no_grad():
        seen = unroll(model, sequence, advect(sequence, LEADS), LEADS, mirror).forecast()
        expected = unroll(model, mirrored, advect(mirrored, LEADS), LEADS).forecast()
    for one, other in zip(seen, expected, strict=True):
        close(GaussianSet(one.means * full, one.log_scales, one.quats * flip, one.intensities), other)


def test_steady_rates_do_not_depend_on_the_step():
    sequence, model = drifting(), untrained()
    with torch.no_grad():
        model.head.bias.copy_(torch.tensor([-0.1, 0.2, -0.1, 0.05, 0.1, -0.2, 0.0, 0.0, 0.3]))

    def correction(leads):
        forecast, base = roll_out(model, sequence, leads)[-1], advect(sequence, leads)[-1]
        growth = torch.log(forecast.intensities / base.intensities)
        return forecast.means - base.means, forecast.log_scales - base.log_scales, growth

    coarse, fine = correction([600.0]), correction([150.0, 300.0, 450.0, 600.0])
    for one, other, tolerance in zip(coarse, fine, (0.1, 1e-3, 1e-5), strict=True):  # m, then logarithms
        torch.testing.assert_close(one, other, atol=tolerance, rtol=0)
    torch.testing.assert_close(fine[2], torch.full((60, 1), 10 * 0.05 * math.tanh(-0.1)), atol=1e-5, rtol=0)


def test_far_lead_times_are_stepped_to():
    assert forecast_steps([600, 2400]) == [600, 1200, 1800, 2400]
    assert forecast_steps([360.0, 720.0]) == [360, 720]
    sequence, model = drifting(), lively()
    far = roll_out(model, sequence, [2400.0])
    assert len(far) == 1
    assert same(far[0], roll_out(model, sequence, [600.0, 1200.0, 1800.0, 2400.0])[-1])


@pytest.mark.parametrize("leads", [[], [0.0], [600.0, 600.0], [600.0, 300.0], [-1.0], [math.nan]])
def test_odd_lead_times_are_refused(leads):
    with pytest.raises(UsageError, match="lead times"):
        roll_out(GauMamba(), drifting(), leads)


@pytest.mark.parametrize("changes", [{"pairs": 0}, {"memory": False}], ids=str)
def test_without_memory_the_newest_changes_are_all_that_counts(changes):
    sequence, model = drifting(count=5), lively(**changes)
    older = replace(sequence, intensities=sequence.intensities.clone())
    older.intensities[:2] *= 1.5
    assert all(map(same, roll_out(model, sequence, LEADS), roll_out(model, older, LEADS)))


@pytest.mark.parametrize("order", ["hilbert", "shuffled"])
def test_the_order_of_reading_matters_and_is_of_the_place_not_of_the_number(order):
    sequence, model = drifting(), lively(order=order)
    forecast = roll_out(model, sequence, LEADS)[-1]
    assert not same(forecast, roll_out(lively(), sequence, LEADS)[-1])
    mixed = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    again = roll_out(model, sequence.take(mixed), LEADS)[-1]
    close(GaussianSet(*(getattr(forecast, k)[mixed] for k in FIELDS)), again)


def test_layer_pairs_read_along_different_curves_when_shuffled():
    snapshot = describe(Frame(drifting().at(-1), torch.zeros(60, 3), 0.0), torch.eye(2))
    orders = token_orders(snapshot, "shuffled", 5)
    assert len({tuple(order.tolist()) for order in orders}) == 4
    assert torch.equal(orders[0], orders[4])


def test_without_the_motion_prior_nothing_moves_before_it_is_corrected():
    sequence = drifting()
    for forecast in roll_out(untrained(motion_prior=False), sequence, LEADS):
        assert same(forecast, sequence.at(-1))
    assert not same(roll_out(lively(motion_prior=False), sequence, LEADS)[-1], sequence.at(-1))


def test_changes_may_be_counted_from_the_first_frame():
    """It is then the first frame that is moved along and grown, for as long as has passed since."""
    sequence = drifting(growth_per_min=0.01)
    first = replace(sequence.select([0]), velocities=sequence.velocities[-1:])
    model = untrained(changes_from="first")
    for forecast, advected in zip(
        roll_out(model, sequence, LEADS), advect(first, [1800 + lead for lead in LEADS]), strict=True
    ):
        assert same(forecast, advected)
    still = untrained(changes_from="first", motion_prior=False)
    with torch.no_grad():
        still.head.bias[0] = math.atanh(0.01 / 0.05)
    grown = roll_out(still, sequence, [600.0])[0]
    torch.testing.assert_close(grown.intensities, sequence.intensities[0] * math.exp(0.01 * 40))


def test_one_frame_is_enough():
    forecast = roll_out(lively(), drifting(count=1), LEADS)
    assert all(torch.isfinite(getattr(f, k)).all() for f in forecast for k in FIELDS)


def test_dry_stays_dry():
    for idle in (60, 59):
        for forecast in roll_out(lively(), drifting(idle=idle), LEADS):
            assert not forecast.intensities[60 - idle :].any()


def test_idle_gaussians_disturb_nobody():
    active = drifting(40)
    extra = drifting(20, seed=9, idle=20)
    names = ("means", "log_scales", "quats", "intensities", "velocities")
    both = replace(
        active,
        **{k: torch.cat([getattr(active, k), getattr(extra, k)], dim=1) for k in names},
        ids=torch.arange(60),
    )
    alone, among = roll_out(lively(), active, LEADS), roll_out(lively(), both, LEADS)
    for one, other in zip(alone, among, strict=True):
        assert same(one, GaussianSet(*(getattr(other, k)[:40] for k in FIELDS)))


def test_backends_of_the_state_space_agree():
    sequence, forecasts = drifting(150), []
    for backend in ("reference", "chunked", "numba"):
        model = lively()
        for module in model.modules():
            if isinstance(module, SSDBlock):
                module.backend = backend
        forecasts.append(roll_out(model, sequence, LEADS))
    for reference, *others in zip(*forecasts, strict=True):
        for other in others:
            close(reference, other, means_m=1.0)


def test_corrections_do_what_they_say():
    """A tall Gaussian that stretches upwards, drifts east, grows, and turns about the vertical."""
    base = GaussianSet(
        torch.tensor([[0.0, 0.0, 5e3]]),
        torch.log(torch.tensor([[1e3, 2e3, 3e3]])),
        torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        torch.tensor([[20.0]]),
    )
    rates = Rates(
        growth=torch.tensor([[0.01]]),
        start=torch.tensor([[0.0]]),
        drift=torch.tensor([[2.0, 0.0, 0.0]]),
        stretch=torch.tensor([[0.0, 0.02]]),
        turn=torch.tensor([[0.0, 0.0, 0.01]]),
        spread=Spread(*(torch.zeros(1, width) for width in (1, 3, 3))),
    )
    after = Correction.none(base).advance(rates, minutes=10).apply(base)
    torch.testing.assert_close(after.means, torch.tensor([[1200.0, 0.0, 5e3]]))
    torch.testing.assert_close(after.intensities, torch.tensor([[20 * math.exp(0.1)]]))
    torch.testing.assert_close(after.log_scales - base.log_scales, torch.tensor([[0.0, 0.0, 0.2]]))
    expected = torch.tensor([[math.cos(0.05), 0, 0, math.sin(0.05)]])
    torch.testing.assert_close(after.quats, expected, atol=3e-5, rtol=0)  # to second order in the angle


def test_gradients_reach_every_weight():
    sequence, model = drifting(), lively()
    forecast = unroll(model, sequence, advect(sequence, LEADS), LEADS).forecast()
    weights = torch.randn(60, 11, generator=torch.Generator().manual_seed(0))
    total = sum(
        (torch.cat([f.means / 1e3, f.log_scales, f.quats, f.intensities], dim=1) * weights).sum() for f in forecast
    )
    total.backward()
    silent = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0}
    assert silent == {"spread.weight", "spread.bias"}  # of the members alone


def test_other_channels_are_refused():
    sequence = drifting()
    with pytest.raises(InputError, match="1 channels, the sequence has 2"):
        roll_out(
            GauMamba(),
            replace(
                sequence,
                intensities=sequence.intensities.expand(4, 60, 2),
                channels=("reflectivity", "velocity"),
            ),
            LEADS,
        )


def test_making_a_model_leaves_the_random_state_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    one, other = GauMamba(seed=5), GauMamba(seed=5)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(map(torch.equal, one.parameters(), other.parameters()))
    assert not torch.equal(one.encoder[0].weight, GauMamba(seed=6).encoder[0].weight)
    assert np.isfinite([p.detach().abs().max().item() for p in one.parameters()]).all()
