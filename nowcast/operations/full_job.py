"""The job file with the settings that take the heavy parts of the program to check."""

from __future__ import annotations

from dataclasses import dataclass, field

from nowcast.errors import ConfigError
from nowcast.gaussians import FitConfig
from nowcast.operations.job import Job
from nowcast.pipeline.forecast import LONGEST_HOURS, MOST_MEMBERS
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.leads * (self.step_minutes or 1.0) > 60 * LONGEST_HOURS:
            raise ConfigError(
                f"job leads is {self.leads}: no forecast reaches farther than {LONGEST_HOURS} hours ahead"
            )
        if self.members > MOST_MEMBERS:
            raise ConfigError(f"job members is {self.members}: expected at most {MOST_MEMBERS}")
        if self.scores.enabled and self.scores.warn_dbz not in self.tally.thresholds_dbz:
            scored = ", ".join(f"{t:g}" for t in self.tally.thresholds_dbz)
            told = (
                f"scores warn_dbz is {self.scores.warn_dbz:g}: expected one of the thresholds that are scored, {scored}"
            )
            raise ConfigError(told)
