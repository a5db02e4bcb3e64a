"""One initial time of a hindcast: the forecasts from it by several methods, scored."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nowcast.baselines import has_pysteps
from nowcast.errors import NowcastError, UsageError
from nowcast.io.forecasts import write_forecast
from nowcast.pipeline.forecast import observed_now, provenance
from nowcast.pipeline.inputs import GridConfig
from nowcast.pipeline.methods import Case, Outcome, check_methods, forecast_by, usable_methods
from nowcast.radar.mosaic import MosaicConfig
from nowcast.radar.quality import QualityConfig
from nowcast.types import Bool, Forecast, VolumeSequence
from nowcast.units import compact_utc
from nowcast.verify import Tally, TallyConfig

if TYPE_CHECKING:
    from nowcast.gaussians import FitConfig
    from nowcast.models import GauMamba
    from nowcast.radar import Site

logger = logging.getLogger(__name__)

Scored = tuple[dict[str, Tally], str]
"""The scores of the methods from one initial time; where one failed there are none, and a reason."""


@dataclass(frozen=True)
class EvaluateRequest:
    """What to evaluate, and on what.

    Attributes
    ----------
    source
        Directory of radar or gridded files, or a volume-sequence file; of several radars a directory of directories.
    methods
        Names of methods; empty for all, ``gaumamba`` only with a model, ``steps`` only with members and pysteps.
    every
        Only every so many-th volume is an initial time.
    frames, leads
        Number of volumes a forecast starts from, and of lead times.
    members, seed
        Size of the ensembles of methods that make one, and seed of their noise.
    keep_forecasts
        Folder for the forecast files, or None to keep none.
    """

    source: Path
    fit: FitConfig
    methods: tuple[str, ...] = ()
    every: int = 1
    frames: int = 4
    leads: int = 6
    model: Path | None = None
    members: int = 1
    seed: int = 0
    keep_forecasts: Path | None = None
    grid: GridConfig = field(default_factory=GridConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)
    site: Site | None = None
    clutter: Path | None = None
    mosaic: MosaicConfig = field(default_factory=MosaicConfig)
    tally: TallyConfig = field(default_factory=TallyConfig)

    def chosen_methods(self) -> list[str]:
        """The methods to run, each once; raises UsageError for unknown ones and for what one of them lacks."""
        if not self.methods:
            return usable_methods(model=self.model is not None, members=self.members)
        names = check_methods(list(dict.fromkeys(self.methods)))
        if "gaumamba" in names and self.model is None:
            raise UsageError("method gaumamba needs a model: give --model PATH, or leave it out of --methods")
        if "steps" in names and self.members < 2:
            raise UsageError("method steps makes ensembles: give --members 20, or leave it out of --methods")
        if "steps" in names and not has_pysteps():
            raise UsageError("method steps needs pysteps: pip install 'gaussian-nowcast[verify]'")
        return names


@dataclass(frozen=True)
class HindcastJob:
    """What is the same for every initial time.

    ``archive`` holds all volumes, ``leads`` the lead times, ``history`` the command for the files that are kept.
    """

    archive: VolumeSequence
    request: EvaluateRequest
    leads: NDArray[np.timedelta64]
    history: str

    @cached_property
    def model(self) -> GauMamba | None:
        """The model, where one is asked for; raises InputError when it cannot be read."""
        return _load_model(self.request.model) if "gaumamba" in self.request.chosen_methods() else None

    def run(self, index: int) -> Scored:
        """Forecast from a volume by all methods, and score that."""
        archive, request = self.archive, self.request
        methods = request.chosen_methods()
        past = _past(archive, index, request.frames)
        # By the time, so that a forecast does not depend on where the archive starts.
        seed = request.seed + int(past.times[-1].astype("datetime64[m]").astype(np.int64))
        case = Case(past, request.fit, self.model, members=request.members, seed=seed)
        seen = observed_now(past)
        scored = _scored(archive, index, request.leads, seen)
        try:
            forecasts = {name: forecast_by(name, case, self.leads) for name in methods}
        except Exception as error:
            logger.debug("forecast from %s failed", past.times[-1], exc_info=error)
            return {}, str(error) if isinstance(error, NowcastError) else repr(error)
        tallies = {}
        for name, made in forecasts.items():
            tally = tallies[name] = Tally(request.leads, archive.grid, request.tally)
            for lead in range(request.leads):
                control = None if made.control is None else made.control[lead]
                tally.add(lead, made.members[:, lead], archive.reflectivity[index + 1 + lead], scored[lead], control)
            if request.keep_forecasts is not None:
                _keep(made, name, past, seen, self.leads, request, self.history)
        return tallies, ""


def _past(archive: VolumeSequence, index: int, frames: int) -> VolumeSequence:
    """The volumes a forecast may see: nothing later, and no coverage, which comes from the whole archive."""
    past = archive.select(slice(index + 1 - frames, index + 1))
    return replace(past, coverage=None)


def _scored(archive: VolumeSequence, index: int, leads: int, seen: Bool) -> Bool:
    """``[L, Z, Y, X]`` voxels to score."""
    scored = archive.mask[index + 1 : index + 1 + leads] & seen
    return scored if archive.coverage is None else scored & archive.coverage


def _keep(
    made: Outcome,
    method: str,
    past: VolumeSequence,
    seen: Bool,
    leads: NDArray[np.timedelta64],
    request: EvaluateRequest,
    history: str,
) -> None:
    assert request.keep_forecasts is not None
    facts = provenance(request, past, method)
    missing = np.float32(np.nan)
    shown = np.where(seen, made.members, missing)
    control = None if made.control is None else np.where(seen, made.control, missing)
    forecast = Forecast(past.times[-1], leads, shown, past.grid, method, facts, control)
    write_forecast(forecast, request.keep_forecasts / method / f"{compact_utc(past.times[-1])}.nc", history=history)


def _load_model(path: Path | None) -> GauMamba:
    from nowcast.models import load_checkpoint

    assert path is not None  # chosen_methods has seen to it
    return load_checkpoint(path)
