"""Windows shown otherwise: always a storm that could be, inputs and targets in keeping, the draws repeatable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from gaussian_cases import lively, untrained, window

from nowcast.gaussians import advect, render
from nowcast.models import ModelConfig
from nowcast.train import TrainConfig, train
from nowcast.train.augment import View, draw_start, draw_view
from nowcast.train.config import LossConfig
from nowcast.train.windows import Example

AS_IT_WAS = {"dropped": 0.0, "thinned": 0.0, "pace": 0.0, "strength": 0.0, "later_starts": 0.0, "turn_axes": False}


@pytest.fixture
def example() -> Example:
    return Example(window("a", seed=1, inputs=4))


def test_a_stronger_storm_is_stronger_in_inputs_targets_and_volumes(example):
    """A perfect forecast of it stays perfect."""
    view, loss = View(strength=1.1), LossConfig(crps=0.0)
    shown, was = view.of(example.inputs), example.inputs
    torch.testing.assert_close(shown.intensities, 1.1 * was.intensities)
    base = example.forecast(untrained(), 3, view).forecast()
    torch.testing.assert_close(base[2].intensities, 1.1 * example.base(untrained().config)[2].intensities)
    truth = [view.stronger(example.window.gaussians.at(4 + k)) for k in range(3)]
    perfect = replace(example.forecast(untrained(), 3), base=truth)
    right, wrong = (example.losses(perfect, range(3), loss, strength=s) for s in (1.1, 1.0))
    assert right["loss"] < 1e-3 < 0.05 < wrong["loss"]


def test_a_faster_storm_is_the_same_pictures_in_less_time(example):
    view = View(pace=1.25)
    shown, was = view.of(example.inputs), example.inputs
    assert (np.diff(shown.times) == np.timedelta64(480, "s")).all()
    assert shown.times[-1] == was.times[-1]
    moved = (shown.means[1:] - shown.means[:-1]) / 480
    torch.testing.assert_close(shown.velocities[1:], moved, atol=1e-3, rtol=0)
    unrolled = example.forecast(untrained(), 3, view)
    assert unrolled.steps == [480.0, 960.0, 1440.0]
    for ours, anew in zip(unrolled.forecast(), advect(shown, unrolled.steps), strict=True):
        torch.testing.assert_close(ours.means, anew.means, atol=5.0, rtol=0)


def test_draws_stay_within_the_settings_and_repeat():
    config = TrainConfig(pace=0.2, strength=0.05, thinned=0.5, dropped=0.2, later_starts=0.5)
    views = [draw_view(4, config, np.random.default_rng([7, k])) for k in range(200)]
    assert all(1 / 1.2 <= view.pace <= 1.2 and 0.95 <= view.strength <= 1.05 for view in views)
    assert {tuple(view.frames) for view in views} >= {(0, 1, 2, 3), (1, 3), (3,), (0, 2, 3)}
    again = draw_view(4, config, np.random.default_rng([7, 0]))
    assert (again.pace, again.strength, again.frames) == (views[0].pace, views[0].strength, views[0].frames)
    assert {draw_start(3, config, np.random.default_rng(k)) for k in range(50)} == {0, 1, 2}
    assert {draw_start(1, config, np.random.default_rng(k)) for k in range(50)} == {0}


def test_nothing_asked_for_is_the_window_itself(example):
    config = TrainConfig(**AS_IT_WAS)
    view, model = draw_view(4, config, np.random.default_rng(0)), lively()
    assert draw_start(3, config, np.random.default_rng(0)) == 0
    for one, other in zip(
        example.forecast(model, 3, view).forecast(), example.forecast(model, 3).forecast(), strict=True
    ):
        assert torch.equal(one.means, other.means) and torch.equal(one.intensities, other.intensities)


def test_a_later_start_sees_as_many_frames_and_compares_with_the_right_volumes():
    whole = Example(window("a", seed=1, inputs=3, future=5))
    assert [len(start.steps) for start in whole.starts] == [5, 4, 3]
    last = whole.starts[2]
    assert len(last.inputs) == 3
    assert last.inputs.times[-1] == whole.window.gaussians.times[4]
    field, _ = last.observed(0)
    np.testing.assert_allclose(field, render(whole.window.gaussians.at(5), whole.window.gaussians.grid)[0], atol=1e-4)


def test_what_is_corrected_is_that_of_the_frames_shown(example):
    shown, was = View(frames=[1, 3]), example.inputs
    first = example.forecast(untrained(changes_from="first"), 1, shown)
    moving = replace(was.select([1]), velocities=was.velocities[3:])
    assert first.since == 1200.0
    assert torch.equal(first.forecast()[0].means, advect(moving, [1800.0])[0].means)
    still = example.forecast(untrained(motion_prior=False), 1, shown)
    assert torch.equal(still.forecast()[0].means, was.means[3])


def test_shown_otherwise_it_learns_as_well(tmp_path):
    """What is varied by default costs little of what storms held out gain."""
    windows = [window(f"storm {k}", seed=10 * k + i) for k in range(3) for i in range(4)]
    small = ModelConfig(d_model=16, d_state=8, head_dim=16, pairs=1)
    config = TrainConfig(epochs=3, learning_rate=1e-2, held_out=0.34, model=small)
    plain = replace(config, thinned=0.0, pace=0.0, strength=0.0)
    varied, straight = (train(windows, c, tmp_path / name) for c, name in ((config, "varied"), (plain, "plain")))
    gain = [1 - report.best_loss / report.untrained_loss for report in (varied, straight)]
    assert gain[0] > 0.8 * gain[1]
    more = train(windows, replace(config, later_starts=0.5), tmp_path / "later")
    assert more.best_loss < more.untrained_loss
