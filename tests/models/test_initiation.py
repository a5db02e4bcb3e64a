"""New echo: idle Gaussians beside the strongest, which a model may wake."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gaussian_cases import drifting, lively, window

from nowcast.gaussians import advect, render
from nowcast.models import GauMamba, ModelConfig, load_checkpoint, roll_out, roll_out_ensemble, save_checkpoint
from nowcast.models.initiation import with_candidates
from nowcast.models.rollout import unroll
from nowcast.train import TrainConfig, train
from nowcast.train.augment import View
from nowcast.train.config import LossConfig
from nowcast.train.windows import Example
from nowcast.types import FittedWindow

LEADS = [600.0, 1200.0, 1800.0]


def waking(out: float = 0.5) -> GauMamba:
    """A model that corrects nothing but wakes every candidate at the same rate."""
    model = GauMamba(ModelConfig(d_model=16, d_state=8, head_dim=16, candidates=8))
    with torch.no_grad():
        model.head.bias[-1] = out
    return model


def test_candidates_lie_idle_beside_the_strongest_and_move_with_them() -> None:
    sequence = drifting(idle=7)
    shown = with_candidates(sequence, 8)
    assert shown.ids[:60].tolist() == sequence.ids.tolist() and shown.ids[60:].tolist() == [*range(-1, -9, -1)]
    assert torch.equal(shown.means[:, :60], sequence.means) and not shown.intensities[:, 60:].any()
    hosts = sequence.intensities[-1, :, 0].argsort(descending=True)[:8]
    offsets = shown.means[:, 60:] - sequence.means[:, hosts]
    torch.testing.assert_close(offsets, offsets[-1:].expand_as(offsets), atol=0.1, rtol=0)  # m
    assert not offsets[..., 2].any() and len({tuple(o) for o in offsets[-1].round().tolist()}) == 8
    for name in ("log_scales", "quats", "velocities"):
        assert torch.equal(getattr(shown, name)[:, 60:], getattr(sequence, name)[:, hosts])
    field = render(sequence.at(-1).take(hosts), sequence.grid).max()
    assert field > 0  # hosts draw; their companions do not
    assert not render(shown.at(-1).take(torch.arange(60, 68)), sequence.grid).any()


@pytest.mark.parametrize(("count", "idle", "expected"), [(0, 0, 0), (8, 60, 0), (8, 57, 3), (100, 0, 60)])
def test_there_are_as_many_as_asked_for_or_as_have_a_host(count: int, idle: int, expected: int) -> None:
    assert len(with_candidates(drifting(idle=idle), count).ids) == 60 + expected


def test_an_untrained_model_wakes_nobody() -> None:
    sequence = drifting()
    base = advect(with_candidates(sequence, 8), LEADS)
    for one, advected in zip(roll_out(waking(0.0), sequence, LEADS), base, strict=True):
        assert torch.equal(one.intensities, advected.intensities) and torch.equal(one.means, advected.means)


def test_idle_gaussians_rise_at_the_rate_told_and_nobody_else() -> None:
    sequence = drifting(idle=7)
    was_active = replace(sequence, intensities=sequence.intensities.clone())
    was_active.intensities[:-1, -1] = 12.0  # one that has died may start again
    base = advect(with_candidates(was_active, 8), LEADS)
    for lead, one, advected in zip(LEADS, roll_out(waking(), was_active, LEADS), base, strict=True):
        risen = one.intensities - advected.intensities
        expected = 0.5 * math.tanh(0.5) * lead / 60
        torch.testing.assert_close(risen[59:], torch.full((9, 1), expected))
        assert not risen[:59].any()
    for one, advected in zip(roll_out(waking(-0.5), was_active, LEADS), base, strict=True):
        assert torch.equal(one.intensities, advected.intensities)


def test_one_that_stays_idle_can_still_learn_to_start() -> None:
    model, sequence = waking(-0.5), with_candidates(drifting(), 8)
    unroll(model, sequence, advect(sequence, LEADS), LEADS).forecast()[-1].intensities.sum().backward()
    assert model.head.bias.grad is not None and model.head.bias.grad[-1] > 0


def test_new_echo_grows_from_when_it_started() -> None:
    """With growth g and start s the intensity is the solution of a' = g a + s, in steps."""
    model = waking()
    with torch.no_grad():
        model.head.bias[0] = math.atanh(0.4)  # 0.02 a minute
    risen = roll_out(model, drifting(), [60.0 * k for k in range(1, 61)])[-1].intensities[60:]
    start = 0.5 * math.tanh(0.5)
    torch.testing.assert_close(risen, torch.full((8, 1), start / 0.02 * (math.exp(1.2) - 1)), rtol=0.02, atol=0.0)


def test_without_echo_there_is_nobody_to_wake() -> None:
    one, members = roll_out_ensemble(waking(), drifting(5, idle=5), LEADS, 3)
    assert all(len(s) == 5 and not s.intensities.any() for s in (*one, *members[0]))


def test_only_reflectivity_starts() -> None:
    sequence = drifting()
    two = replace(sequence, intensities=sequence.intensities.expand(-1, -1, 2), channels=("reflectivity", "velocity"))
    model = GauMamba(ModelConfig(channels=2, d_model=16, d_state=8, head_dim=16, candidates=4))
    with torch.no_grad():
        model.head.bias[-1] = 0.5
    started = roll_out(model, two, LEADS)[-1].intensities[60:]
    assert (started[:, 0] > 0).all() and not started[:, 1].any()


def test_members_wake_them_more_or_less() -> None:
    members = roll_out_ensemble(waking(), drifting(), LEADS, 6)[1]
    echo = torch.stack([member[-1].intensities[60:] for member in members])
    assert (echo > 0).all() and bool((echo.std(dim=0) > 0).all())


def test_it_is_kept_with_the_weights(tmp_path: Path) -> None:
    model = lively(candidates=5)
    save_checkpoint(tmp_path / "m.safetensors", model)
    loaded = load_checkpoint(tmp_path / "m.safetensors")
    assert loaded.config.candidates == 5
    one, other = (roll_out(m, drifting(), LEADS)[-1] for m in (model, loaded))
    assert torch.equal(one.intensities, other.intensities)


def test_training_teaches_it_where_echo_comes_up(tmp_path: Path) -> None:
    """Of storms with a new cell beside the old ones it learns to wake; of the same without it does not."""
    risen = {}
    for name, comes in (("comes", True), ("stays away", False)):
        windows = [_with_new_echo(f"storm {k}", 20 * k + i, comes) for k in range(3) for i in range(4)]
        small = ModelConfig(d_model=16, d_state=8, head_dim=16, pairs=0, candidates=40)
        config = TrainConfig(epochs=4, learning_rate=1e-2, held_out=0.34, turn_axes=False, model=small)
        report = train(windows, config, tmp_path / name)
        assert report.best_loss <= report.untrained_loss
        model = load_checkpoint(report.checkpoint)
        last = roll_out(model, windows[0].gaussians.select(slice(0, 3)), LEADS)[-1]
        risen[name] = float(last.intensities[40:].mean())
    assert risen["comes"] > 2 * risen["stays away"] and risen["comes"] > 0.5


def _with_new_echo(event: str, seed: int, comes: bool) -> FittedWindow:
    """A window whose volumes hold, if it ``comes``, what its candidates would draw at 0.4 dBZ a minute."""
    made = window(event, seed=2 * seed)
    shown = with_candidates(made.gaussians.select(slice(0, 3)), 40)
    if not comes or made.volumes is None:
        return made
    values = made.volumes.values.copy()
    for lead, base in enumerate(advect(shown, [600.0, 1200.0, 1800.0], spread=False)):
        base.intensities[40:] = 4.0 * (lead + 1)
        values[3 + lead] = (values[3 + lead] + render(base.take(torch.arange(40, 80)), shown.grid)).clip(0, 80)
    return replace(made, volumes=replace(made.volumes, values=values))


def test_a_window_shown_otherwise_has_candidates_of_its_own_storm() -> None:
    example, model = Example(window("a", seed=1, inputs=4)), lively(candidates=6)
    with torch.no_grad():
        model.head.bias[-1] = 0.5
    forecast = example.forecast(model, 2, View(frames=[1, 3], strength=1.1))
    assert len(forecast.forecast()[0]) == 46
    losses = example.losses(forecast, range(2), LossConfig(), strength=1.1)
    losses["loss"].backward()
    assert model.head.bias.grad is not None and model.head.bias.grad[-1] != 0
