"""Training on a CUDA device: it learns as on the CPU, and what it leaves behind knows no device."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from gaussian_cases import window
from safetensors.torch import load_file

from nowcast.models import ModelConfig, load_checkpoint, roll_out
from nowcast.train import TrainConfig, read_log, train
from nowcast.train.windows import Example, examples

pytestmark = pytest.mark.gpu
CONFIG = TrainConfig(
    epochs=3,
    learning_rate=1e-2,
    held_out=0.34,
    device="cuda",
    model=ModelConfig(d_model=16, d_state=8, head_dim=16, pairs=1),
)


@pytest.fixture(autouse=True, scope="module")
def device():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture(scope="module")
def windows():
    return [window(f"storm {k}", seed=10 * k + i) for k in range(3) for i in range(4)]


@pytest.fixture(scope="module")
def trained(windows, tmp_path_factory):
    return train(windows, CONFIG, tmp_path_factory.mktemp("run"))


def test_it_learns_as_on_the_cpu(trained, windows, tmp_path):
    on_cpu = train(windows, replace(CONFIG, device="cpu"), tmp_path)
    assert trained.untrained_loss == pytest.approx(on_cpu.untrained_loss, rel=1e-4)
    assert trained.best_loss == pytest.approx(on_cpu.best_loss, rel=0.1)
    assert trained.best_loss < 0.9 * trained.untrained_loss


def test_the_kept_model_forecasts_on_the_cpu_with_the_kept_score(trained, windows):
    model = load_checkpoint(trained.checkpoint)
    assert roll_out(model, windows[0].gaussians, [600.0])[0].means.device.type == "cpu"
    losses = []
    for example in examples([w for w in windows if w.event in trained.held_out_events]):
        leads = len(example.steps)
        with torch.no_grad():
            losses.append(example.losses(example.forecast(model, leads), range(leads), CONFIG.loss)["loss"].item())
    assert sum(losses) / len(losses) == pytest.approx(trained.best_loss, rel=1e-3)


def test_a_state_goes_on_on_either_device(trained, windows, tmp_path):
    class Killed(BaseException):
        pass

    def kill(done: int, total: int) -> None:
        if done > 8:
            raise Killed

    with pytest.raises(Killed):
        train(windows, CONFIG, tmp_path, progress=kill)
    train(windows, replace(CONFIG, device="cpu"), tmp_path)
    losses = [[record["loss"] for record in read_log(path)] for path in (tmp_path / "log.jsonl", trained.log)]
    assert losses[0][:2] == pytest.approx(losses[1][:2], rel=1e-3)
    assert losses[0] == pytest.approx(losses[1], rel=0.1)


def test_weights_and_moments_stay_float32(trained):
    tensors = load_file(trained.log.parent / "train-state.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_windows_stay_in_the_cpus_memory(trained, windows):
    example, model = Example(windows[0]), load_checkpoint(trained.checkpoint).cuda()
    assert example.forecast(model, 2).forecast()[1].means.is_cuda
    assert not example.base(model.config)[0].means.is_cuda and not example.inputs.means.is_cuda
