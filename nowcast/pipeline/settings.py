"""All settings of the program together, as a file of ``--config`` names them."""

from __future__ import annotations

from dataclasses import dataclass, field

from nowcast.channels import channel_names
from nowcast.errors import ConfigError, UsageError
from nowcast.gaussians import FitConfig
from nowcast.products import ProductConfig
from nowcast.radar.gridding import GridConfig
from nowcast.radar.mosaic import MosaicConfig
from nowcast.radar.quality import QualityConfig
from nowcast.train import TrainConfig
from nowcast.types import REFLECTIVITY
from nowcast.verify import TallyConfig


@dataclass(frozen=True)
class Settings:
    """What each part of the program is told; every part stands beside the code that it is for.

    Attributes
    ----------
    channels
        What ``nowcast grid`` and ``nowcast fit`` take from the volumes: ``reflectivity`` and others by name, or
        ``paper`` for all seven. Forecasts take reflectivity alone.
    grid
        The voxels that polar volumes are gridded to.
    mosaic
        How the volumes of several radars are brought together.
    quality
        What of a polar volume counts as weather.
    fit
        How volumes become Gaussians, with the estimation of motion, which extrapolation uses too.
    tally
        What forecasts are scored at.
    products
        What is derived from volumes and forecasts, and which of it a forecast publishes.
    train
        How GauMamba is trained.
    """

    channels: tuple[str, ...] = (REFLECTIVITY,)
    grid: GridConfig = field(default_factory=GridConfig)
    mosaic: MosaicConfig = field(default_factory=MosaicConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    tally: TallyConfig = field(default_factory=TallyConfig)
    products: ProductConfig = field(default_factory=ProductConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        try:
            channel_names(self.channels)
        except UsageError as error:
            raise ConfigError(f"channels: {error}") from error
