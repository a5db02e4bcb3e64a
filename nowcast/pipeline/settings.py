"""All settings of the program together, as a file of ``--config`` names them."""

from __future__ import annotations

from dataclasses import dataclass, field

from nowcast.gaussians import FitConfig
from nowcast.radar.gridding import GridConfig
from nowcast.radar.quality import QualityConfig
from nowcast.train import TrainConfig
from nowcast.verify import TallyConfig


@dataclass(frozen=True)
class Settings:
    """What each part of the program is told; every part stands beside the code that it is for.

    Attributes
    ----------
    grid
        The voxels that polar volumes are gridded to.
    quality
        What of a polar volume counts as weather.
    fit
        How volumes become Gaussians, with the estimation of motion, which extrapolation uses too.
    tally
        What forecasts are scored at.
    train
        How GauMamba is trained.
    """

    grid: GridConfig = field(default_factory=GridConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    tally: TallyConfig = field(default_factory=TallyConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
