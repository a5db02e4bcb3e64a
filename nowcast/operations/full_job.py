"""The job file with the settings that take the heavy parts of the program to check."""

from __future__ import annotations

from dataclasses import dataclass, field

from nowcast.gaussians import FitConfig
from nowcast.operations.job import Job
from nowcast.products import ProductConfig
from nowcast.radar.gridding import GridConfig
from nowcast.radar.mosaic import MosaicConfig
from nowcast.radar.quality import QualityConfig
from nowcast.verify import TallyConfig


@dataclass(frozen=True)
class FullJob(Job):
    """A :class:`Job` whose settings of the science, grid to products, have been checked."""

    grid: GridConfig = field(default_factory=GridConfig)  # type: ignore[assignment]
    quality: QualityConfig = field(default_factory=QualityConfig)  # type: ignore[assignment]
    mosaic: MosaicConfig = field(default_factory=MosaicConfig)  # type: ignore[assignment]
    fit: FitConfig = field(default_factory=FitConfig)  # type: ignore[assignment]
    tally: TallyConfig = field(default_factory=TallyConfig)  # type: ignore[assignment]
    products: ProductConfig = field(default_factory=ProductConfig)  # type: ignore[assignment]
