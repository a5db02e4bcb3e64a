"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from nowcast.checks import check_numbers
from nowcast.errors import ConfigError
from nowcast.models import ModelConfig

Device = Literal["auto", "cpu", "cuda"]
LOSS_TERMS = ("csi", "area", "mae", "parameters", "crps")


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
    huber
        Distance, in its units, beyond which it counts linearly; a large one makes it the squared error.
    crps
        Weight of the continuous ranked probability score of an ensemble, of its fields and by threshold, which its
        spread alone learns from.
    members
        Members that it is estimated from, at least 2.
    """

    thresholds_dbz: tuple[float, ...] = (20.0, 30.0, 35.0, 45.0)
    softness_dbz: float = 3.0
    csi: float = 1.0
    area: float = 0.2
    mae: float = 1.0
    parameters: float = 0.02
    huber: float = 1.0
    crps: float = 0.5
    members: int = 2

    def __post_init__(self) -> None:
        check_numbers(self, "loss", positive=("thresholds_dbz", "softness_dbz", "huber"), not_negative=LOSS_TERMS)
        if not self.thresholds_dbz:
            raise ConfigError("loss thresholds_dbz is empty: expected at least one")
        if self.members < 2:
            raise ConfigError(f"loss members is {self.members}: expected at least 2, which the score compares")
        if not any(getattr(self, name) for name in LOSS_TERMS):
            raise ConfigError(f"loss weights {', '.join(LOSS_TERMS)}: expected not all 0")


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
        Windows whose gradients are averaged for one step, over all processes: at least one for each of them.
    leads_per_window
        Lead times drawn at random from a window at each step, which are rendered and compared.
    held_out, held_out_windows
        Fraction of the events (at least one) held out for scoring, and the most windows of them that are scored.
    turn_axes
        Show the model every window turned and mirrored at random.
    dropped
        Probability with which each observed frame but the newest is kept from the model.
    thinned
        Probability with which a window is shown with every second observed frame only: the same storm, seen at twice
        the step.
    pace
        Most by which a storm is shown faster or slower than it was, motion, growth and all: a share, kept well below
        the differences between storms. At double speed nothing would be a storm any more.
    strength
        Most by which reflectivity in dBZ is shown higher or lower, a share, in inputs and targets alike.
    later_starts
        Probability with which the forecast starts from a later time of the window than its own, as far as half of the
        times to forecast are left. The fit gives no new Gaussians to echo that came up meanwhile, which is why it is
        not done unless asked for.
    seed
        Of everything random.
    device
        Where to train: ``auto`` takes CUDA where there is any.
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
    dropped: float = 0.1
    thinned: float = 0.1
    pace: float = 0.1
    strength: float = 0.03
    later_starts: float = 0.0
    seed: int = 0
    device: Device = "auto"
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self) -> None:
        counts = ("epochs", "windows_per_step", "leads_per_window", "held_out_windows")
        check_numbers(
            self,
            "training",
            positive=(*counts, "learning_rate", "clip"),
            not_negative=("weight_decay", "seed"),
            share=("warmup", "ema", "held_out", "dropped", "thinned", "pace", "strength", "later_starts"),
        )
        if not 0 < self.held_out < 1 or self.ema == 1:
            raise ConfigError("training held_out and ema: expected a fraction between 0 and 1, and below 1")
        if self.device not in get_args(Device):
            raise ConfigError(f"training device is {self.device!r}: expected one of {', '.join(get_args(Device))}")
