"""Fitted windows as training meets them: frames in, the extrapolation of them, and what came."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from nowcast import units
from nowcast.errors import InputError
from nowcast.models import GauMamba, ModelConfig
from nowcast.models.features import HISTORY, describe, features
from nowcast.models.initiation import with_candidates
from nowcast.models.rollout import Unrolled, extrapolation, observed_frames, unroll
from nowcast.train.augment import View
from nowcast.train.config import LOSS_TERMS, LossConfig
from nowcast.train.losses import (
    Scores,
    parameter_loss,
    relative_crps,
    relative_mae,
    render_reflectivity,
    threshold_losses,
    with_echo,
)
from nowcast.types import FittedWindow, GaussianSequence, GaussianSet
from nowcast.units import MAX_DBZ

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    """One window, held in the CPU's memory. The extrapolation depends on no weight and is computed once."""

    window: FittedWindow

    @cached_property
    def inputs(self) -> GaussianSequence:
        """The observed frames."""
        return self.window.gaussians.select(slice(0, self.window.inputs))

    @cached_property
    def steps(self) -> list[float]:
        """Seconds from the last observed frame to each later one."""
        times = self.window.gaussians.times
        return [units.seconds(time - self.inputs.times[-1]) for time in times[self.window.inputs :]]

    @cached_property
    def starts(self) -> list[Example]:
        """This window and those of the same length of input whose initial times are later ones of it.

        Half of the later times at least remain to be forecast.
        """
        others = [Example(self.window.later(k)) for k in range(1, len(self.steps) // 2 + 1)]
        return [self, *others]

    def shown(self, config: ModelConfig) -> GaussianSequence:
        """The observed frames, and the idle Gaussians that the model may wake."""
        if config.candidates not in self._shown:
            self._shown[config.candidates] = with_candidates(self.inputs, config.candidates)
        return self._shown[config.candidates]

    def base(self, config: ModelConfig, first: int = 0) -> list[GaussianSet]:
        """What the model corrects at the later times, where the observed frames begin with number ``first``."""
        key = config.candidates, config.motion_prior, first if config.changes_from == "first" else -1
        if key not in self._bases:
            with torch.no_grad():
                self._bases[key] = extrapolation(config, self.shown(config).select(slice(first, None)), self.steps)
        return self._bases[key]

    @cached_property
    def _shown(self) -> dict[int, GaussianSequence]:
        return {}

    @cached_property
    def _bases(self) -> dict[tuple[int, bool, int], list[GaussianSet]]:
        return {}

    def observed(self, lead: int) -> tuple[Tensor, Tensor] | None:
        """Reflectivity ``[Z, Y, X]`` in dBZ and the voxels to compare, of the volume at a lead; None without one."""
        volumes = self.window.volumes
        if volumes is None:
            return None
        t = self.window.inputs + lead
        mask = volumes.mask[t] if volumes.coverage is None else volumes.mask[t] & volumes.coverage
        return torch.from_numpy(np.nan_to_num(volumes.reflectivity[t])), torch.from_numpy(mask)

    def forecast(self, model: GauMamba, leads: int, view: View | None = None) -> Unrolled:
        """The model's forecast of the first ``leads`` later times, differentiable, of the window or a view of it.

        It is computed, and stays, where the model is.
        """
        view, device = view or View(), model.device
        base = self.base(model.config, view.frames[0] if view.frames else 0)[:leads]
        steps = [step / view.pace for step in self.steps[:leads]]
        axes = None if view.axes is None else view.axes.to(device)
        shown = view.of(self.shown(model.config)).to(device)
        return unroll(model, shown, [view.stronger(g).to(device) for g in base], steps, axes)

    def losses(
        self,
        unrolled: Unrolled,
        leads: Sequence[int],
        config: LossConfig,
        scores: Scores | None = None,
        seed: int = 0,
        strength: float = 1.0,
    ) -> dict[str, Tensor]:
        """Loss terms averaged over the given leads: ``LOSS_TERMS`` and their weighted sum ``loss``.

        ``seed`` is that of the members' noise, ``strength`` that of the view that was forecast.
        """
        forecast = unrolled.forecast()
        members = unrolled.members(config.members, seed) if config.crps else []
        device = forecast[0].means.device
        total = {name: torch.zeros((), device=device) for name in LOSS_TERMS}
        for lead in leads:
            target = View(strength=strength).stronger(self.window.gaussians.at(self.window.inputs + lead)).to(device)
            tracked = forecast[lead].take(torch.arange(len(target), device=device))
            total["parameters"] = total["parameters"] + parameter_loss(tracked, target, config.huber)
            observed = self.observed(lead)
            if observed is None:
                continue
            values, mask = (observed[0].to(device) * strength).clamp(max=MAX_DBZ), observed[1].to(device)
            field = render_reflectivity(forecast[lead], self.window.gaussians.grid)
            shown, seen = with_echo(torch.stack([field, values]), mask)
            csi, area = threshold_losses(shown, seen, config)
            total["csi"], total["area"] = total["csi"] + csi, total["area"] + area
            total["mae"] = total["mae"] + relative_mae(shown, seen)
            if members:
                fields = torch.stack([render_reflectivity(m[lead], self.window.gaussians.grid) for m in members])
                total["crps"] = total["crps"] + relative_crps(fields, values, mask, config)
            if scores is not None:
                scores.add(field[mask], values[mask])
        terms = {name: value / len(leads) for name, value in total.items()}
        weighted = [getattr(config, name) * value for name, value in terms.items()]
        return {"loss": torch.stack(weighted).sum(), **terms}


def examples(windows: Sequence[FittedWindow]) -> list[Example]:
    """The windows that have a later frame to learn from; raises InputError where none has."""
    usable = [Example(window) for window in windows if window.inputs < len(window.gaussians)]
    if skipped := len(windows) - len(usable):
        logger.warning("%d of %d windows have no frame after their inputs and are skipped", skipped, len(windows))
    if not usable:
        raise InputError(
            f"none of {len(windows)} windows has a frame after its inputs: fit longer sequences for training"
        )
    return usable


def feature_statistics(some: Sequence[Example], most: int = 64) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation ``[F]`` of the features of active Gaussians in the last observed frames.

    Columns that do not vary there, such as the lead time, keep a deviation of 1. Where none is active: 0 and 1.
    """
    rows = []
    for example in [some[i] for i in np.unique(np.linspace(0, len(some) - 1, most).astype(int))]:
        frames = observed_frames(example.inputs)[-HISTORY:]
        history = [describe(frame, torch.eye(2)) for frame in frames]
        rows.append(features(history)[frames[-1].gaussians.active])
    columns = torch.cat(rows).double()
    if len(columns) < 2:
        return torch.zeros(columns.shape[1]), torch.ones(columns.shape[1])
    mean, std = columns.mean(0), columns.std(0)
    return mean.float(), torch.where(std < 1e-3, 1.0, std).float()
