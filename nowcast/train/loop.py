"""Training from beginning to end."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import nowcast
from nowcast.errors import ConfigError
from nowcast.models import GauMamba, save_checkpoint
from nowcast.train.augment import draw_start, draw_view
from nowcast.train.config import LOSS_TERMS, TrainConfig
from nowcast.train.distributed import Processes, joined
from nowcast.train.log import write_log
from nowcast.train.losses import Scores
from nowcast.train.split import split_windows
from nowcast.train.state import RunProgress, TrainState
from nowcast.train.windows import Example, examples, feature_statistics
from nowcast.types import REFLECTIVITY, FittedWindow, Progress

logger = logging.getLogger(__name__)

_SAVE_EVERY_S = 120.0  # a kill costs at most this, and an epoch's scoring
_TERMS = ("loss", *LOSS_TERMS)


@dataclass(frozen=True)
class TrainReport:
    """How a training went.

    Attributes
    ----------
    checkpoint, log
        Files written: the model of the best epoch, and the log.
    epochs, best_epoch
        Epochs trained, and the one whose weights are kept; 0 is the untrained model.
    untrained_loss, best_loss
        Held-out loss of extrapolation and of the kept weights.
    untrained_scores, best_scores
        Held-out ``mae_dbz`` and ``csi_Q``, ``bias_Q`` by threshold, pooled over leads; empty without volumes.
    train_events, held_out_events
        Names.
    """

    checkpoint: Path
    log: Path
    epochs: int
    best_epoch: int
    untrained_loss: float
    best_loss: float
    untrained_scores: dict[str, float]
    best_scores: dict[str, float]
    train_events: list[str]
    held_out_events: list[str]


def train(
    windows: Sequence[FittedWindow],
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = True,
    progress: Progress | None = None,
) -> TrainReport:
    """Train GauMamba and keep the epoch with the lowest held-out loss.

    Processes that torchrun started train it together: each calls this with the same arguments, on a device of its own,
    and gets the same report; the first writes the files. All see ``out``.

    Parameters
    ----------
    windows
        Fitted windows of at least two events; those with volumes are compared with them, rendered. Only their
        reflectivity is learnt from.
    config
        Settings.
    out
        Folder for ``model.safetensors``, ``log.jsonl`` and ``train-state.safetensors``.
    resume
        Go on from the state in ``out`` if there is one; the result is that of a run without the break.
    progress
        Called with the windows trained and their number over all epochs.

    Raises
    ------
    InputError
        Fewer than two events, no window with a later frame, or a state of another training in ``out``.
    ConfigError
        No CUDA device though one is asked for, or more processes than windows in a step.
    OutputError
        ``out`` cannot be written.
    """
    windows = [window.with_channels((REFLECTIVITY,)) for window in windows]
    training, held_out = (examples(part) for part in split_windows(windows, config.held_out, config.seed))
    with joined(config.device) as processes:
        if processes.count > config.windows_per_step:
            per_step = f"training windows_per_step is {config.windows_per_step}"
            raise ConfigError(f"{per_step}: expected at least one for each of {processes.count} processes")
        run = _Run(config, training, held_out, out, _fingerprint(config, windows), processes)
        state = run.begin(resume)
        while state.progress.epoch <= config.epochs:
            run.epoch(state, progress)
    report = run.report(state)
    if report.best_epoch == 0 and processes.first:
        logger.warning("no epoch beat extrapolation on the held-out events: the model kept is the untrained one")
    return report


@dataclass
class _Run:
    config: TrainConfig
    training: list[Example]
    held_out: list[Example]
    out: Path
    fingerprint: str
    processes: Processes

    def begin(self, resume: bool) -> TrainState:
        """A new state, scored untrained, or the one left by a run before."""
        model = GauMamba(self.config.model, seed=self.config.seed)
        model.normalise(*feature_statistics(self.training))
        model.to(self.processes.device)
        state = TrainState(model, copy.deepcopy(model), _optimizer(model, self.config), RunProgress())
        if model.device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
            model.use_bfloat16()  # not what is scored and kept: forecasts are made in float32
        if self.processes.agreed(resume and self.state_file.exists()):
            state.load(self.state_file, self.fingerprint)
            return state
        self.finish_epoch(state, epoch=0, terms={}, seconds=0.0)
        return state

    @property
    def state_file(self) -> Path:
        return self.out / "train-state.safetensors"

    def epoch(self, state: TrainState, progress: Progress | None) -> None:
        """Train from wherever the state stands to the end of its epoch, then score the averaged weights."""
        now, count = state.progress, len(self.training)
        started = saved = time.monotonic()
        order = np.random.default_rng([self.config.seed, now.epoch]).permutation(count)
        while now.position < count:
            batch = order[now.position : now.position + self.config.windows_per_step]
            self.step(state, batch)
            now.position += len(batch)
            if progress is not None:
                progress((now.epoch - 1) * count + now.position, self.config.epochs * count)
            if self.processes.first and time.monotonic() - saved > _SAVE_EVERY_S and now.position < count:
                state.save(self.state_file, self.fingerprint)
                saved = time.monotonic()
        terms = {f"train_{name}": value / count for name, value in now.sums.items()}
        epoch, now.epoch, now.position, now.sums = now.epoch, now.epoch + 1, 0, {}
        self.finish_epoch(state, epoch, terms, time.monotonic() - started)

    def step(self, state: TrainState, batch: np.ndarray) -> None:
        """One step of the optimiser on the windows numbered in ``batch``, which the processes share out."""
        now, config = state.progress, self.config
        for group in state.optimizer.param_groups:
            group["lr"] = config.learning_rate * schedule(now.steps, self.total_steps, config.warmup)
        state.optimizer.zero_grad()
        sums = torch.zeros(len(_TERMS), dtype=torch.float64)
        for place in self.processes.share(range(len(batch))):
            # A draw depends on its place in the run only: a resumed run draws the same, and so do several processes.
            rng = np.random.default_rng([config.seed, now.epoch, now.position + place])
            terms = _draw_losses(self.training[batch[place]], state.model, config, rng)
            if terms["loss"].requires_grad:
                (terms["loss"] / len(batch)).backward()
            sums += _values(terms)
        for name, value in zip(_TERMS, self.processes.total(sums).tolist(), strict=True):
            now.sums[name] = now.sums.get(name, 0.0) + value
        self.processes.total_gradients(state.model.parameters())
        torch.nn.utils.clip_grad_norm_(state.model.parameters(), config.clip)
        state.optimizer.step()
        now.steps += 1
        _average(state.averaged, state.model, min(config.ema, now.steps / (now.steps + 9)))

    @property
    def total_steps(self) -> int:
        return self.config.epochs * math.ceil(len(self.training) / self.config.windows_per_step)

    def finish_epoch(self, state: TrainState, epoch: int, terms: dict[str, float], seconds: float) -> None:
        """Score, log, keep the best, save: model and log first, so that the state never runs ahead of them."""
        now = state.progress
        losses, scores = self.score(state.averaged)
        now.log.append({"epoch": epoch, **losses, **scores, **terms, "seconds": round(seconds, 1)})
        if epoch == 0:
            now.untrained_loss = losses["loss"]
        best = losses["loss"] < now.best_loss
        if best:
            now.best_epoch, now.best_loss, now.best_scores = epoch, losses["loss"], scores
        if not self.processes.first:
            return
        if best:
            save_checkpoint(self.out / "model.safetensors", state.averaged, self.provenance(now))
        write_log(now.log, self.out / "log.jsonl")
        state.save(self.state_file, self.fingerprint)
        logger.info(
            "epoch %d of %d: held-out loss %.4f (extrapolation %.4f)",
            epoch, self.config.epochs, losses["loss"], now.untrained_loss,
        )  # fmt: skip

    @torch.no_grad()
    def score(self, model: GauMamba) -> tuple[dict[str, float], dict[str, float]]:
        """Held-out loss terms, averaged over windows and leads, and pooled scores (empty without volumes)."""
        most = min(self.config.held_out_windows, len(self.held_out))
        chosen = np.unique(np.linspace(0, len(self.held_out) - 1, most).round().astype(int))
        sums = torch.zeros(len(_TERMS), dtype=torch.float64)
        scores = Scores(self.config.loss.thresholds_dbz)
        for number in self.processes.share(chosen.tolist()):
            example = self.held_out[number]
            leads = range(len(example.steps))
            terms = example.losses(example.forecast(model, len(leads)), leads, self.config.loss, scores)
            sums += _values(terms) / len(chosen)
        scores.pool(self.processes)
        return dict(zip(_TERMS, self.processes.total(sums).tolist(), strict=True)), scores.summary()

    def provenance(self, now: RunProgress) -> dict[str, Any]:
        """Facts saved with the weights."""
        return {
            "version": nowcast.__version__,
            "training": asdict(self.config),
            "train_events": _events(self.training),
            "held_out_events": _events(self.held_out),
            "windows": len(self.training),
            "epoch": now.best_epoch,
            "held_out_loss": now.best_loss,
            "untrained_loss": now.untrained_loss,
            "held_out_scores": now.best_scores,
        }

    def report(self, state: TrainState) -> TrainReport:
        """Sum up."""
        now = state.progress
        return TrainReport(
            checkpoint=self.out / "model.safetensors",
            log=self.out / "log.jsonl",
            epochs=now.epoch - 1,
            best_epoch=now.best_epoch,
            untrained_loss=now.untrained_loss,
            best_loss=now.best_loss,
            untrained_scores={k: v for k, v in now.log[0].items() if k in now.best_scores},
            best_scores=now.best_scores,
            train_events=_events(self.training),
            held_out_events=_events(self.held_out),
        )


def schedule(step: int, total: int, warmup: float) -> float:
    """Factor of the learning rate at a step: a linear rise over the fraction ``warmup``, then a cosine to 0."""
    rise = max(1.0, total * warmup)
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1.0, total - rise)))


def _draw_losses(example: Example, model: GauMamba, config: TrainConfig, rng: np.random.Generator) -> dict[str, Tensor]:
    """Loss terms of a random view of a window, at some of its leads."""
    example = example.starts[draw_start(len(example.starts), config, rng)]
    count = len(example.steps)
    leads = np.sort(rng.choice(count, min(count, config.leads_per_window), replace=False)).tolist()
    view = draw_view(example.window.inputs, config, rng)
    forecast = example.forecast(model, leads[-1] + 1, view)
    return example.losses(forecast, leads, config.loss, seed=int(rng.integers(2**31)), strength=view.strength)


def _values(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack([terms[name].detach() for name in _TERMS]).double().cpu()


def _optimizer(model: GauMamba, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW that decays matrices only: neither norms and biases nor the decays and steps of the state space."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate)


@torch.no_grad()
def _average(averaged: GauMamba, model: GauMamba, keep: float) -> None:
    for mean, value in zip(averaged.parameters(), model.parameters(), strict=True):
        mean.lerp_(value, 1 - keep)


def _events(some: Sequence[Example]) -> list[str]:
    return sorted({example.window.event for example in some})


def _fingerprint(config: TrainConfig, windows: Sequence[FittedWindow]) -> str:
    """Of the settings and of what the windows hold, so that a state is resumed with its own only, on any device."""
    data = [[w.event, w.inputs, str(w.gaussians.times[0]), _digest(w)] for w in windows]
    settings = {name: value for name, value in asdict(config).items() if name != "device"}
    text = json.dumps([settings, data, nowcast.__version__], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(window: FittedWindow) -> str:
    found = hashlib.sha256()
    for values in (window.gaussians.means, window.gaussians.intensities):
        found.update(f"{tuple(values.shape)}".encode())
        found.update(values.numpy().tobytes())
    return found.hexdigest()
