"""Run by torchrun: trains, then again with a kill in between, and keeps every process's weights."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nowcast.io.gaussians import read_windows
from nowcast.pipeline.config import load_config
from nowcast.pipeline.settings import Settings
from nowcast.train import loop
from nowcast.train.distributed import joined


class Killed(BaseException):
    pass


def kill(done: int, total: int) -> None:
    if done == 6:  # in the middle of an epoch
        raise Killed


folder = Path(sys.argv[1])
windows = [w for path in sorted(folder.glob("*.nc")) for w in read_windows(path)]
config = load_config(folder / "c.yaml", Settings).train
loop._SAVE_EVERY_S = 0.0
with joined("cpu") as processes:
    some, none = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(3, 1))
    some.grad = torch.ones(2) if processes.rank == 1 else None
    processes.total_gradients([some, none])
    assert torch.equal(some.grad, torch.ones(2)) and none.grad is None

    report = loop._Run.report

    def keep(run: loop._Run, state: loop.TrainState) -> loop.TrainReport:
        weights = {f"{k}.{n}": v for k in ("model", "averaged") for n, v in getattr(state, k).state_dict().items()}
        save_file(weights, run.out / f"rank-{processes.rank}.safetensors")
        return report(run, state)

    loop._Run.report = keep
    loop.train(windows, config, folder / "whole")
    with pytest.raises(Killed):
        loop.train(windows, config, folder / "killed", progress=kill)
    processes.agreed(True)  # all are here
    loop.train(windows, config, folder / "killed")
