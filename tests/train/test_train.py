"""Training on toy storms: it learns, it goes on after a kill, it repeats."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest
import torch
from gaussian_cases import lively, window
from safetensors.torch import load_file
from typer.testing import CliRunner

from nowcast.cli import app
from nowcast.errors import ConfigError, InputError
from nowcast.io.gaussians import write_windows
from nowcast.models import GauMamba, ModelConfig, load_checkpoint
from nowcast.train import TrainConfig, loop, read_log, train
from nowcast.train.augment import View
from nowcast.train.loop import schedule
from nowcast.train.windows import Example, examples, feature_statistics

CONFIG = TrainConfig(
    epochs=3,
    learning_rate=1e-2,
    held_out=0.34,
    device="cpu",
    model=ModelConfig(d_model=16, d_state=8, head_dim=16, pairs=1),
)


@pytest.fixture(scope="module")
def windows():
    return [window(f"storm {k}", seed=10 * k + i) for k in range(3) for i in range(4)]


@pytest.fixture(scope="module")
def trained(windows, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    return out, train(windows, CONFIG, out)


def test_it_beats_extrapolation_on_storms_held_out(trained):
    _, report = trained
    assert report.best_epoch > 0
    assert report.best_loss < 0.9 * report.untrained_loss
    assert report.best_scores["csi_35"] > report.untrained_scores["csi_35"]
    assert not set(report.train_events) & set(report.held_out_events)


def test_the_files_tell_how_it_went(trained):
    out, report = trained
    records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [r["epoch"] for r in records] == [0, 1, 2, 3]
    assert records[0]["loss"] == report.untrained_loss
    assert min(r["loss"] for r in records) == report.best_loss
    provenance = load_checkpoint(report.checkpoint).provenance
    assert provenance["held_out_events"] == report.held_out_events
    assert provenance["epoch"] == report.best_epoch
    assert provenance["held_out_loss"] == report.best_loss


def test_the_kept_model_has_the_kept_score(trained, windows):
    _, report = trained
    model = load_checkpoint(report.checkpoint)
    losses = []
    for example in examples([w for w in windows if w.event in report.held_out_events]):
        leads = len(example.steps)
        with torch.no_grad():
            losses.append(example.losses(example.forecast(model, leads), range(leads), CONFIG.loss)["loss"].item())
    assert sum(losses) / len(losses) == pytest.approx(report.best_loss, rel=1e-6)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("when", [2, 13])
def test_a_killed_run_goes_on_to_the_same_end(trained, windows, tmp_path, when, monkeypatch):
    monkeypatch.setattr("nowcast.train.loop._SAVE_EVERY_S", 0.0)

    def kill(done: int, total: int) -> None:
        if done >= when:
            raise Killed

    with pytest.raises(Killed):
        train(windows, CONFIG, tmp_path, progress=kill)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) < 4
    train(windows, CONFIG, tmp_path)
    whole, _ = trained
    for ours, theirs in zip(
        (tmp_path / "log.jsonl").read_text().splitlines(), (whole / "log.jsonl").read_text().splitlines(), strict=True
    ):
        assert json.loads(ours) | {"seconds": 0} == json.loads(theirs) | {"seconds": 0}
    one, other = (load_checkpoint(p / "model.safetensors").state_dict() for p in (tmp_path, whole))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_seed_alone_decides(windows, tmp_path):
    brief, weights = replace(CONFIG, epochs=1), []
    for run, seed in enumerate((0, 0, 1)):
        torch.manual_seed(run)
        train(windows, replace(brief, seed=seed), tmp_path / str(run))
        weights.append(load_file(tmp_path / str(run) / "train-state.safetensors"))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not torch.equal(weights[0]["model.head.weight"], weights[2]["model.head.weight"])


def test_what_is_kept_is_the_exponential_average_of_the_weights(windows, tmp_path, monkeypatch):
    path: list[torch.Tensor] = []

    def record(averaged: GauMamba, model: GauMamba, keep: float) -> None:
        path.append(model.head.weight.detach().clone())
        average(averaged, model, keep)

    average = loop._average
    monkeypatch.setattr(loop, "_average", record)
    report = train(windows, replace(CONFIG, epochs=1, ema=0.15), tmp_path)
    assert report.best_epoch == 1
    expected = torch.zeros_like(path[0])  # at the start the last layer is zero
    for keep, weights in zip((0.1, 0.15, 0.15, 0.15), path, strict=True):  # at first shorter: 1 / 10, 2 / 11, 3 / 12
        expected = keep * expected + (1 - keep) * weights
    torch.testing.assert_close(load_checkpoint(report.checkpoint).head.weight.detach(), expected)


def test_a_finished_run_is_not_repeated(trained, windows):
    out, report = trained
    calls: list[int] = []
    again = train(windows, CONFIG, out, progress=lambda done, total: calls.append(done))
    assert again == report == train(windows, replace(CONFIG, device="auto"), out)  # nor on another device
    assert calls == []


def test_progress_counts_windows(windows, tmp_path):
    calls: list[tuple[int, int]] = []
    train(windows, replace(CONFIG, epochs=1), tmp_path, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(2, 8), (4, 8), (6, 8), (8, 8)]


def test_other_settings_do_not_go_on_from_a_state(trained, windows):
    out, _ = trained
    with pytest.raises(InputError, match=r"other settings or data.*--no-resume"):
        train(windows, replace(CONFIG, seed=9), out)


def test_other_data_under_the_same_names_do_not_go_on_from_a_state(trained, windows):
    out, _ = trained
    first = windows[0]
    stronger = replace(first.gaussians, intensities=first.gaussians.intensities * 1.01)
    with pytest.raises(InputError, match=r"other settings or data"):
        train([replace(first, gaussians=stronger), *windows[1:]], CONFIG, out)


def test_a_damaged_state_is_told(windows, tmp_path):
    (tmp_path / "train-state.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"train-state\.safetensors is damaged"):
        train(windows, CONFIG, tmp_path)


def test_windows_without_a_future_are_skipped_or_refused(windows, caplog):
    blunt = replace(windows[0], inputs=6)
    with caplog.at_level(logging.WARNING):
        assert len(examples([blunt, windows[1]])) == 1
    assert "1 of 2 windows" in caplog.text
    with pytest.raises(InputError, match="none of 1 windows"):
        examples([blunt])


def test_windows_without_volumes_train_on_parameters(windows, tmp_path):
    bare = [replace(w, volumes=None) for w in windows]
    report = train(bare, CONFIG, tmp_path)
    assert report.best_loss < report.untrained_loss
    assert report.best_scores == report.untrained_scores == {}


def test_dry_windows_are_no_trouble(windows, tmp_path):
    def dried(w):
        gaussians = replace(w.gaussians, intensities=torch.zeros_like(w.gaussians.intensities))
        return replace(w, gaussians=gaussians, volumes=replace(w.volumes, values=0 * w.volumes.values))

    report = train([dried(w) for w in windows], replace(CONFIG, epochs=1), tmp_path)
    assert report.best_loss == report.untrained_loss == 0
    assert report.best_epoch == 0


def test_features_are_normalised_over_the_training_windows(windows):
    mean, std = feature_statistics([Example(w) for w in windows])
    assert torch.isfinite(mean).all() and (std > 0).all()
    assert (mean[-1], std[-1]) == (0, 1)  # lead time: 0 in observed frames


def test_the_rate_rises_and_falls():
    rates = [schedule(step, 100, 0.1) for step in range(100)]
    assert max(rates) == pytest.approx(1.0, abs=0.1)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[0] < 0.1 and rates[-1] < 0.01
    assert schedule(0, 1, 0.0) > 0


def test_a_log_is_read_or_refused(trained):
    out, report = trained
    assert [record["epoch"] for record in read_log(report.log)] == [0, 1, 2, 3]
    with pytest.raises(InputError, match="no training log"):
        read_log(out / "model.safetensors")


def test_the_command_draws_the_losses(windows, tmp_path):
    write_windows(windows, tmp_path / "fits.nc")
    (tmp_path / "c.yaml").write_text(
        "train:\n  epochs: 1\n  model: {d_model: 16, d_state: 8, head_dim: 16, pairs: 1}\n"
    )
    arguments = ["train", str(tmp_path / "fits.nc"), "--config", str(tmp_path / "c.yaml"), "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["epochs"] == 1 and answer["picture"] == str(tmp_path / "out" / "loss.png")
    assert (tmp_path / "out" / "loss.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"learning_rate": 0.0},
        {"held_out": 1.0},
        {"ema": 1.0},
        {"warmup": float("nan")},
        {"strength": 1.5},
        {"pace": -0.1},
        {"device": "tpu"},
    ],
)
def test_senseless_settings_are_refused(bad):
    with pytest.raises(ConfigError, match=next(iter(bad))):
        TrainConfig(**bad)


def test_frames_kept_from_the_model_change_the_correction_not_the_extrapolation(windows):
    example = Example(windows[0])
    untrained, trained = GauMamba(CONFIG.model), lively()
    with torch.no_grad():
        bases = example.base(untrained.config)
        for one, base in zip(example.forecast(untrained, 3, View(frames=[0, 2])).forecast(), bases, strict=True):
            assert torch.equal(one.means, base.means)
        whole, without = (example.forecast(trained, 1, View(frames=f)).forecast()[0] for f in ([0, 1, 2], [0, 2]))
    assert not torch.equal(whole.intensities, without.intensities)
