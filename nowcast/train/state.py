"""The state of a training run on disk: what a killed run goes on from. Tensors and JSON only, nothing is unpickled."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nowcast.errors import InputError
from nowcast.io.atomic import atomic_path
from nowcast.models import GauMamba

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass
class RunProgress:
    """How far a run is.

    Attributes
    ----------
    epoch, position
        The epoch being trained, from 1, and how many of its windows are done.
    steps
        Optimiser steps done.
    sums
        Loss terms of the current epoch, summed over its windows.
    best_epoch, best_loss, untrained_loss
        The epoch with the lowest held-out loss so far, that loss, and that of epoch 0.
    best_scores
        Held-out scores of the best epoch.
    log
        One record an epoch.
    """

    epoch: int = 1
    position: int = 0
    steps: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    best_epoch: int = 0
    best_loss: float = float("inf")
    untrained_loss: float = float("inf")
    best_scores: dict[str, float] = field(default_factory=dict)
    log: list[dict[str, float]] = field(default_factory=list)


@dataclass
class TrainState:
    """Everything that changes while training. ``averaged`` holds the exponential average of ``model``'s weights."""

    model: GauMamba
    averaged: GauMamba
    optimizer: torch.optim.AdamW
    progress: RunProgress

    def save(self, path: Path, fingerprint: str) -> None:
        """Write the state, whole or not at all."""
        tensors = _prefixed("model", self.model.state_dict()) | _prefixed("averaged", self.averaged.state_dict())
        for name, parameter in self.model.named_parameters():
            for moment, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"adam.{moment}.{name}"] = value
        metadata = {"fingerprint": fingerprint, "progress": json.dumps(asdict(self.progress))}
        with atomic_path(path) as temporary:
            whole = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
            temporary.write_bytes(save(whole, metadata))

    def load(self, path: Path, fingerprint: str) -> None:
        """Continue from a saved state; raises InputError when it is damaged or of other settings or data."""
        advice = "train into an empty folder, or start over with --no-resume"
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("fingerprint") != fingerprint:
                    raise InputError(f"{path} belongs to a training with other settings or data: {advice}")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path} is damaged ({error}): {advice}") from error
        self.model.load_state_dict(_under("model", tensors))
        self.averaged.load_state_dict(_under("averaged", tensors))
        moments = {moment: _under(f"adam.{moment}", tensors) for moment in _MOMENTS}
        for name, parameter in self.model.named_parameters():
            if name in moments["step"]:
                saved = {moment: moments[moment][name] for moment in _MOMENTS}
                # AdamW counts its steps on the CPU, wherever the weights are.
                self.optimizer.state[parameter] = {
                    moment: value if moment == "step" else value.to(parameter.device) for moment, value in saved.items()
                }
        self.progress = RunProgress(**json.loads(metadata["progress"]))


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
