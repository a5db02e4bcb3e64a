"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field

from nowcast.errors import ConfigError
from nowcast.models import ModelConfig

LOSS_TERMS = ("csi", "area", "mae", "parameters")


@dataclass(frozen=True)
class LossConfig:
    """What is minimised: the sum of these terms, each times its weight.

    Attributes
    ----------
    thresholds_dbz, softness_dbz
        The soft CSI is averaged over these thresholds; a voxel passes one with a sigmoid of this width.
    csi
        Weight of one minus the soft CSI of the rendered forecast.
    area
        Weight of the relative error of the areas above the thresholds: without it a soft CSI forecasts too much.
    mae
        Weight of the rendered absolute error, relative to the echo there is.
    parameters
        Weight of the Huber distance to the Gaussians fitted to the later volumes.
    """

    thresholds_dbz: tuple[float, ...] = (20.0, 30.0, 35.0, 45.0)
    softness_dbz: float = 3.0
    csi: float = 1.0
    area: float = 0.2
    mae: float = 0.1
    parameters: float = 0.02

    def __post_init__(self) -> None:
        if not self.thresholds_dbz or min(self.thresholds_dbz) <= 0:
            raise ConfigError(f"loss thresholds_dbz {self.thresholds_dbz}: expected at least one, all above 0")
        if not self.softness_dbz > 0:
            raise ConfigError(f"loss softness_dbz is {self.softness_dbz}: expected above 0")
        weights = [getattr(self, name) for name in LOSS_TERMS]
        if min(weights) < 0 or sum(weights) == 0:
            raise ConfigError(f"loss weights {', '.join(LOSS_TERMS)}: expected none below 0 and not all 0")


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes
    ----------
    epochs
        Passes over the training windows.
    learning_rate, warmup, weight_decay, clip
        AdamW: peak rate, reached after the fraction ``warmup`` of all steps, then a cosine down to 0; decay of
        weight matrices; largest norm of the gradient.
    ema
        The weights that are scored and kept are an exponential average over the steps, with this memory.
    windows_per_step
        Windows whose gradients are summed for one step.
    leads_per_window
        Lead times drawn at random from a window at each step, which are rendered and compared.
    held_out, held_out_windows
        Fraction of the events (at least one) held out for scoring, and the most windows of them that are scored.
    turn_axes
        Show the model every window turned and mirrored at random.
    seed
        Of everything random.
    """

    epochs: int = 15
    learning_rate: float = 2e-3
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.98
    windows_per_step: int = 2
    leads_per_window: int = 6
    held_out: float = 0.2
    held_out_windows: int = 16
    turn_axes: bool = True
    seed: int = 0
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self) -> None:
        for name in ("epochs", "windows_per_step", "leads_per_window", "held_out_windows"):
            if getattr(self, name) < 1:
                raise ConfigError(f"training {name} is {getattr(self, name)}: expected at least 1")
        for name in ("learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"training {name} is {getattr(self, name)}: expected above 0")
        if not 0 < self.held_out < 1:
            raise ConfigError(f"training held_out is {self.held_out}: expected a fraction between 0 and 1")
        if not (0 <= self.warmup <= 1 and 0 <= self.ema < 1 and self.weight_decay >= 0):
            raise ConfigError("training warmup, ema and weight_decay: expected 0..1, below 1, and not below 0")
