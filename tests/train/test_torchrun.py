"""Two processes that train together do what one does alone."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gaussian_cases import window
from safetensors.torch import load_file

from nowcast.errors import ConfigError
from nowcast.io.gaussians import read_windows, write_windows
from nowcast.models import load_checkpoint
from nowcast.pipeline.config import load_config
from nowcast.pipeline.settings import Settings
from nowcast.train import TrainConfig, loop, read_log, train
from nowcast.train.distributed import Processes, joined
from nowcast.types import FittedWindow

SETTINGS = """
train:
  epochs: 2
  learning_rate: 0.01
  windows_per_step: 3
  held_out: 0.4
  device: cpu
  model: {d_model: 16, d_state: 8, head_dim: 16, pairs: 1}
"""


def torchrun(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Windows of different sizes, some of them dry, and what one process makes of them.

    Ten train: of three in a step one process has two, of the last one of an epoch the other has none.
    """
    folder = tmp_path_factory.mktemp("together")
    for k in range(3):
        made = [window(f"storm {k}", seed=10 * k + i, n=20 + 10 * k) for i in range(4)]
        write_windows([*made, dried(made[-1])], folder / f"{k}.nc")
    (folder / "c.yaml").write_text(SETTINGS)
    windows = [w for path in sorted(folder.glob("*.nc")) for w in read_windows(path)]
    train(windows, load_config(folder / "c.yaml", Settings).train, folder / "alone")
    return folder


def dried(w: FittedWindow) -> FittedWindow:
    return replace(w, gaussians=replace(w.gaussians, intensities=torch.zeros_like(w.gaussians.intensities)))


def assert_same_training(one: Path, other: Path) -> None:
    for ours, theirs in zip(read_log(one / "log.jsonl"), read_log(other / "log.jsonl"), strict=True):
        assert {**ours, "seconds": 0} == pytest.approx({**theirs, "seconds": 0}, rel=1e-4, abs=1e-6)
    ours, theirs = (load_checkpoint(path / "model.safetensors").state_dict() for path in (one, other))
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-5)


def test_two_processes_learn_what_one_learns_and_go_on_after_a_kill(alone):
    done = torchrun(Path(__file__).parent / "torchrun_case.py", alone)
    assert done.returncode == 0, done.stderr
    whole, killed = alone / "whole", alone / "killed"
    assert_same_training(whole, alone / "alone")
    assert_same_training(killed, alone / "alone")
    for folder in (whole, killed):
        first, second = (load_file(folder / f"rank-{rank}.safetensors") for rank in (0, 1))
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_every_process_needs_a_window_of_each_step(alone, monkeypatch):
    monkeypatch.setattr(loop, "joined", lambda _: nullcontext(Processes(torch.device("cpu"), 0, 4)))
    windows = [w for path in sorted(alone.glob("*.nc")) for w in read_windows(path)]
    with pytest.raises(ConfigError, match="windows_per_step is 2: expected at least one for each of 4 processes"):
        train(windows, TrainConfig(), alone / "refused")


@pytest.mark.parametrize(
    ("name", "devices", "rank", "words"),
    [("cuda", 0, 0, "no CUDA device here"), ("cuda", 2, 2, "no more than 2"), ("auto", 2, 2, "no more than 2")],
)
def test_a_device_that_is_not_there_is_told(name, devices, rank, words, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: devices > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    monkeypatch.setenv("LOCAL_RANK", str(rank))
    with pytest.raises(ConfigError, match=words), joined(name):
        pass


@pytest.mark.parametrize(
    ("name", "devices", "expected"), [("auto", 0, "cpu"), ("cpu", 1, "cpu"), ("auto", 1, "cuda:0")]
)
def test_auto_takes_cuda_where_there_is_any(name, devices, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: devices > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    with joined(name) as processes:
        assert str(processes.device) == expected
        assert (processes.rank, processes.count) == (0, 1)


def test_the_command_answers_once(alone):
    arguments = [
        "-m",
        "nowcast",
        "train",
        *sorted(alone.glob("*.nc")),
        "--config",
        alone / "c.yaml",
        "-o",
        alone / "out",
    ]
    done = torchrun(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["epochs"] == 2 and Path(answer["picture"]).exists()
    assert done.stderr.count("epoch 2 of 2") == 1
    assert_same_training(alone / "out", alone / "alone")
