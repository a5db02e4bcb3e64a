"""What a window is shown as in training: as it was, or as another storm or another radar's record might have been.

All of it is done on the Gaussians, where it costs nothing and is exact: their sum is linear in the intensities, and
the same Gaussians at other times are the same pictures played faster or slower.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nowcast.train.config import TrainConfig
from nowcast.types import GaussianSequence, GaussianSet


@dataclass(frozen=True)
class View:
    """One way to show a window.

    Attributes
    ----------
    axes
        ``[2, 2]`` orthogonal: the horizontal axes that the model sees; None for east and north.
    frames
        Which observed frames it sees, the newest among them; None for all.
    strength
        Factor of all reflectivity in dBZ, inputs and targets. A factor, not an offset: Gaussians and volumes stay the
        same picture, and no edge of an echo is lifted.
    pace
        How much faster than it did the storm moves and changes: the time between frames is that much shorter, and
        velocities are that much higher.
    """

    axes: Tensor | None = None
    frames: list[int] | None = None
    strength: float = 1.0
    pace: float = 1.0

    def of(self, inputs: GaussianSequence) -> GaussianSequence:
        """The observed frames as the model sees them; the newest keeps its time."""
        if self.frames is not None:
            inputs = inputs.select(self.frames)
        if self.pace != 1.0:
            ages = ((inputs.times - inputs.times[-1]).astype(np.int64) / self.pace).astype("timedelta64[ns]")
            inputs = replace(inputs, times=inputs.times[-1] + ages, velocities=inputs.velocities * self.pace)
        return inputs if self.strength == 1.0 else replace(inputs, intensities=inputs.intensities * self.strength)

    def stronger(self, gaussians: GaussianSet) -> GaussianSet:
        """Gaussians of the window, so strong."""
        if self.strength == 1.0:
            return gaussians
        return replace(gaussians, intensities=gaussians.intensities * self.strength)


def draw_start(count: int, config: TrainConfig, rng: np.random.Generator) -> int:
    """Which of a window's ``count`` initial times to forecast from; 0 is its own."""
    later = rng.random() < config.later_starts and count > 1
    return int(rng.integers(1, count)) if later else 0


def draw_view(inputs: int, config: TrainConfig, rng: np.random.Generator) -> View:
    """A random view of a window with so many observed frames."""
    stride = 2 if rng.random() < config.thinned else 1
    frames = np.arange(inputs - 1, -1, -stride)[:0:-1]
    earlier = frames[rng.random(len(frames)) >= config.dropped]
    return View(
        axes=_random_axes(rng) if config.turn_axes else None,
        frames=[*earlier.tolist(), inputs - 1],
        strength=1 + config.strength * rng.uniform(-1, 1),
        pace=math.exp(math.log1p(config.pace) * rng.uniform(-1, 1)),
    )


def _random_axes(rng: np.random.Generator) -> Tensor:
    """Horizontal axes ``[2, 2]`` turned by any angle and mirrored half of the time."""
    angle, mirror = rng.uniform(0, 2 * math.pi), rng.choice([-1.0, 1.0])
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.tensor([[cos, sin], [-mirror * sin, mirror * cos]], dtype=torch.float32)
