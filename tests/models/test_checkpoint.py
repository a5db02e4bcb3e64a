"""Saved models come back bit for bit; whatever is no model is refused in words."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from gaussian_cases import SMALL, drifting, lively
from safetensors.torch import load_file, save_file

from nowcast.errors import InputError, OutputError
from nowcast.models import GauMamba, ModelConfig, load_checkpoint, roll_out, save_checkpoint
from nowcast.models.checkpoint import FORMAT


def model() -> GauMamba:
    made = GauMamba(ModelConfig(**SMALL, pairs=1), seed=3)
    torch.nn.init.normal_(made.head.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    made.normalise(torch.randn(made.feature_mean.shape), torch.rand(made.feature_std.shape) + 0.5)
    return made


@pytest.fixture
def saved(tmp_path):
    save_checkpoint(tmp_path / "model.safetensors", model(), {"seed": 3, "events": ["a", "b"]})
    return tmp_path / "model.safetensors"


def test_a_loaded_model_forecasts_the_same_bits(tmp_path):
    made = model()
    save_checkpoint(tmp_path / "m.safetensors", made, {"seed": 3})
    loaded = load_checkpoint(tmp_path / "m.safetensors")
    assert loaded.config == made.config
    assert loaded.provenance == {"seed": 3}
    sequence = drifting()
    for one, other in zip(
        roll_out(made, sequence, [600.0, 900.0]), roll_out(loaded, sequence, [600.0, 900.0]), strict=True
    ):
        assert torch.equal(one.means, other.means) and torch.equal(one.intensities, other.intensities)


def test_what_changes_the_forecast_is_saved_with_the_weights(tmp_path):
    switches = {"order": "shuffled", "motion_prior": False, "changes_from": "first"}
    made = lively(**switches)
    save_checkpoint(tmp_path / "m.safetensors", made)
    loaded = load_checkpoint(tmp_path / "m.safetensors")
    assert loaded.config == made.config
    one, other = (roll_out(m, drifting(), [600.0])[0] for m in (made, loaded))
    assert torch.equal(one.means, other.means) and torch.equal(one.intensities, other.intensities)


def test_a_model_saved_before_the_switches_forecasts_as_it_did(saved):
    old = {"d_model": 16, "d_state": 8, "head_dim": 16, "pairs": 1}
    loaded = load_checkpoint(rewritten(saved, config=json.dumps(old)))
    assert loaded.config == model().config


def test_saving_again_keeps_provenance(saved, tmp_path):
    save_checkpoint(tmp_path / "again.safetensors", load_checkpoint(saved))
    assert load_checkpoint(tmp_path / "again.safetensors").provenance["events"] == ["a", "b"]


def rewritten(path, weights=None, **metadata):
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        old = file.metadata()
    save_file(weights or load_file(path), path, {**old, **metadata})
    return path


@pytest.mark.parametrize("keep", [0, 5, 200, -100])
def test_a_truncated_file_is_refused(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(InputError, match="damaged, cut short"):
        load_checkpoint(saved)


def test_pickles_are_not_opened(tmp_path):
    torch.save(model().state_dict(), tmp_path / "zip.pt")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps({"a": 1}, protocol=2))
    for name in ("zip.pt", "plain.pkl"):
        with pytest.raises(InputError, match=f"{name} is a PyTorch pickle, which could run any code"):
            load_checkpoint(tmp_path / name)


def test_other_files_are_refused(saved, tmp_path):
    with pytest.raises(InputError, match="no model at"):
        load_checkpoint(tmp_path / "nowhere.safetensors")
    with pytest.raises(InputError, match="no model at"):
        load_checkpoint(tmp_path)
    (tmp_path / "text.safetensors").write_text("hello, this is no model")
    with pytest.raises(InputError, match="no safetensors file"):
        load_checkpoint(tmp_path / "text.safetensors")
    with pytest.raises(InputError, match="holds no GauMamba"):
        load_checkpoint(rewritten(saved, format="other"))


def test_another_format_version_is_refused(saved):
    with pytest.raises(InputError, match="checkpoint format 99"):
        load_checkpoint(rewritten(saved, format=FORMAT, format_version="99"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('{"d_model": 24, "head_dim": 16}', "another architecture"),
        ('{"pairs": 2, "d_model": 16, "head_dim": 16, "d_state": 8}', "another architecture"),
        ('{"layers": 2}', "bad settings"),
        ("{", "bad settings"),
        ("[1]", "bad settings"),
        ('{"d_model": 0}', "expected above 0"),
        ('{"d_model": "a"}', "bad settings"),
        ('{"order": "random"}', "model order is 'random'"),
        ('{"changes_from": "none"}', "expected one of last, first"),
    ],
)
def test_settings_that_do_not_fit_are_refused(saved, config, message):
    with pytest.raises(InputError, match=message):
        load_checkpoint(rewritten(saved, config=config))


def test_weights_that_do_not_fit_are_refused(saved):
    weights = load_file(saved)
    name = "head.bias"
    with pytest.raises(InputError, match=r"not finite in head\.bias"):
        load_checkpoint(rewritten(saved, {**weights, name: weights[name] * torch.nan}))
    with pytest.raises(InputError, match=r"head\.bias has shape \[4\], expected \[9\]"):
        load_checkpoint(rewritten(saved, {**weights, name: torch.zeros(4)}))
    with pytest.raises(InputError, match="another architecture: 1 tensors differ"):
        load_checkpoint(rewritten(saved, {k: v for k, v in weights.items() if k != name}))


def test_an_unwritable_place_is_told(tmp_path):
    with pytest.raises(OutputError, match="folder"):
        save_checkpoint(tmp_path, model())
