"""Settings of the fit, in physical units."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from nowcast.checks import check_numbers
from nowcast.errors import ConfigError
from nowcast.gaussians.coherence import Stiffness
from nowcast.motion import MotionConfig

AUTO = "auto"
DEVICES = re.compile(r"auto|cpu|cuda(:\d+)?")
_STEPS = (
    "seed_steps",
    "round_steps",
    "polish_steps",
    "backward_steps",
    "forward_steps",
    "last_steps",
    "amplitude_steps",
    "renewal_rounds",
    "renewal_steps",
    "renewal_polish",
)


def _local_motion() -> MotionConfig:
    return MotionConfig(
        smoothing_m=(25e3, 12e3),
        vertical_m=(1.0, 1.0),  # there is one level
        cell_m=5e3,
        ridge=0.3,
        pyramid=(2, 1),
        iterations=(3, 2),
    )


@dataclass(frozen=True)
class FitConfig:
    """How a sequence of volumes is written as Gaussians.

    Attributes
    ----------
    gaussians
        Number of Gaussians, N.
    psnr_db
        Where given, a volume gets as many Gaussians as it takes to draw it with this peak signal-to-noise ratio, dB
        with dBZ/70 as the scale, and ``gaussians`` is the most there may be.
    reserve
        Share of them kept back from the newest volume for echo that only the earlier volumes hold.
    first_share
        Share of the newest volume's Gaussians that are seeded on the echo itself; the others follow in ``rounds``, each
        where the residual is largest then.
    rounds, seed_steps, round_steps, polish_steps
        How many rounds; optimiser steps after the first seeds, after each round, and after the last.
    backward_steps, forward_steps, last_steps
        Most optimiser steps for a volume in the backward and in the forward pass, and for the newest one.
    amplitude_steps
        Steps with which the amplitudes of other channels than reflectivity are solved for, given the shapes.
    renewed
        Share of the Gaussians that draw anything, those that draw least, that a warm start renews for a new volume.
    renewal_rounds, renewal_steps, renewal_polish
        Rounds of seeding of a warm start, optimiser steps in each, and most steps at its end.
    renewal_plateau, renewal_stiffness
        What ``plateau`` and ``stiffness`` are at its end: there is no better place to come from, so it may take longer
        and change more than a volume between two others.
    plateau
        A pass leaves a volume when three steps lower the cost by less than this fraction.
    carving_dbz
        How far below zero an amplitude may go. Slightly negative Gaussians carve the sharp edges of echo out of smooth
        ones; large cancelling pairs would not survive being moved along.
    amplitude_cost
        Price of amplitude, in units of the image term: what keeps cancelling pairs small.
    strong_dbz, strong_weight
        Voxels above the two reflectivities weigh up to ``1 + strong_weight``, rising linearly between them.
    noise_dbz
        Residuals below this are not worth a Gaussian.
    least_scale_voxels
        Lower bound of the scales, in voxels of each axis: narrower Gaussians would flicker between voxels when moved.
    largest_scale_m
        Upper bounds of the horizontal and vertical scales.
    stiffness
        The local constraint.
    motion
        How the motion of the echo is estimated: the flow, which the forecast goes on with.
    local_motion
        How the motion that the flow leaves is estimated: what single cells do, from one volume to the next.
    seed
        Of the random numbers with which seeds are drawn.
    device
        Where to fit: ``cpu``, ``cuda``, ``cuda:1`` and so on, or ``auto``, which takes CUDA where there is any and the
        volumes are large enough to be worth it, see :mod:`nowcast.gaussians.device`. The result is the same but for
        rounding.
    """

    gaussians: int = 2048
    psnr_db: float | None = None
    reserve: float = 0.1
    first_share: float = 0.2
    rounds: int = 6
    seed_steps: int = 8
    round_steps: int = 6
    polish_steps: int = 8
    backward_steps: int = 10
    forward_steps: int = 12
    last_steps: int = 24
    amplitude_steps: int = 10
    renewed: float = 0.85
    renewal_rounds: int = 6
    renewal_steps: int = 6
    renewal_polish: int = 40
    renewal_plateau: float = 0.001
    renewal_stiffness: Stiffness = field(default_factory=lambda: Stiffness(0.04, 0.1, 0.0, 0.0))
    plateau: float = 0.01
    carving_dbz: float = 15.0
    amplitude_cost: float = 0.003
    strong_dbz: tuple[float, float] = (30.0, 45.0)
    strong_weight: float = 2.0
    noise_dbz: float = 0.5
    least_scale_voxels: float = 0.45
    largest_scale_m: tuple[float, float] = (30e3, 6e3)
    stiffness: Stiffness = field(default_factory=Stiffness)
    motion: MotionConfig = field(default_factory=MotionConfig)
    local_motion: MotionConfig = field(default_factory=_local_motion)
    seed: int = 0
    device: str = AUTO

    def __post_init__(self) -> None:
        check_numbers(
            self,
            "fit",
            positive=("gaussians", "least_scale_voxels", "largest_scale_m"),
            not_negative=("carving_dbz", "amplitude_cost", "strong_weight", "noise_dbz", "rounds", *_STEPS),
            share=("reserve", "first_share", "renewed", "plateau", "renewal_plateau"),
        )
        if self.psnr_db is not None and not 0 < self.psnr_db < math.inf:
            raise ConfigError(f"fit psnr_db is {self.psnr_db}: expected a positive number of dB, such as 40")
        if not DEVICES.fullmatch(self.device):
            raise ConfigError(f"fit device is {self.device!r}: expected auto, cpu, cuda or cuda:N")
        low, high = self.strong_dbz
        if not low < high:
            raise ConfigError(f"fit strong_dbz is {self.strong_dbz}: expected two rising reflectivities")
