"""Hindcasts: forecasts from every possible initial time of an archive, by several methods, scored side by side."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nowcast import units
from nowcast.baselines import has_pysteps
from nowcast.errors import InputError, NowcastError, UsageError
from nowcast.io.forecasts import write_forecast
from nowcast.pipeline.forecast import lead_times, observed_now, provenance
from nowcast.pipeline.hindcast_cluster import hindcasting
from nowcast.pipeline.inputs import GridConfig, VolumeCache, load_sequence
from nowcast.pipeline.methods import Case, Outcome, check_methods, forecast_by, usable_methods
from nowcast.radar.mosaic import MosaicConfig
from nowcast.radar.quality import QualityConfig
from nowcast.times import MATCH_SHARE, event_numbers, nominal_step
from nowcast.types import Bool, Forecast, Progress, VolumeSequence
from nowcast.verify import Report, Tally, TallyConfig

if TYPE_CHECKING:
    from nowcast.gaussians import FitConfig
    from nowcast.models import GauMamba
    from nowcast.radar import Site


logger = logging.getLogger(__name__)

WET_DBZ = 20.0
WET_VOXELS = 100
"""An initial time counts when more voxels than this exceed ``WET_DBZ`` in its newest volume."""


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


def run_evaluation(request: EvaluateRequest, *, history: str = "", progress: Progress | None = None) -> Report:
    """Load the archive and score the methods on it: :func:`load_archive`, then :func:`hindcast`."""
    return hindcast(load_archive(request), request, history=history, progress=progress)


def load_archive(
    request: EvaluateRequest, *, progress: Progress | None = None, cache: VolumeCache | None = None
) -> VolumeSequence:
    """All volumes of the archive, gridded.

    Raises
    ------
    InputError
        The archive cannot be read.
    UsageError
        Unknown methods, or ``gaumamba`` without a model; told before anything is read.
    """
    request.chosen_methods()
    return load_sequence(
        request.source,
        grid=request.grid,
        quality=request.quality,
        site=request.site,
        clutter=request.clutter,
        progress=progress,
        mosaic=request.mosaic,
        cache=cache,
    )


Scored = tuple[dict[str, Tally], str]
"""The scores of the methods from one initial time; where one failed there are none, and a reason."""


@dataclass(frozen=True)
class HindcastJob:
    """What is the same for every initial time."""

    archive: VolumeSequence
    request: EvaluateRequest
    leads: NDArray[np.timedelta64]
    history: str

    def __reduce__(self) -> tuple[Any, ...]:
        # Workers may be in other folders, and get the volumes by another way.
        model, kept = (
            None if path is None else path.resolve() for path in (self.request.model, self.request.keep_forecasts)
        )
        request = replace(self.request, source=self.request.source.resolve(), model=model, keep_forecasts=kept)
        return HindcastJob, (None, request, self.leads, self.history)

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


def hindcast(
    archive: VolumeSequence,
    request: EvaluateRequest,
    *,
    history: str = "",
    progress: Progress | None = None,
    dask: str | None = None,
    shared: Path | None = None,
) -> Report:
    """Score the methods at every initial time of loaded volumes.

    Every forecast is made from the volumes up to its initial time alone. It is scored where the radar observed the
    voxel at the valid time and in one of the volumes that the forecast came from, on the same voxels for all methods;
    also where a method can only say "no echo" because the air comes from beyond the grid. Kept forecasts hold these
    voxels too, so that ``nowcast verify`` gives the same scores; an operational forecast leaves them missing.
    Where the archive does not tell what was observed, voxels that held a value at least once in it count.
    An initial time at which a method fails counts for none; :meth:`nowcast.verify.Report.raise_failures` tells.
    ``dask`` and ``shared`` are the arguments of :func:`nowcast.pipeline.hindcast_cluster.hindcasting`; the scores are
    the same to the last bit.

    Raises
    ------
    InputError
        The archive has no initial time that can be scored, or the model cannot be read, or every initial time failed.
    UsageError
        Unknown methods, or ``gaumamba`` without a model.
    """
    methods = request.chosen_methods()
    initial = initial_indices(archive, request.frames, request.leads, request.every)
    leads = lead_times(archive, request.leads)
    event_of = event_numbers(archive.times[initial - request.frames + 1], archive.times[initial + request.leads])
    by_event: dict[str, dict[int, Tally]] = {name: {} for name in methods}
    failures: dict[np.datetime64, str] = {}
    job = HindcastJob(archive, request, leads, history)
    _ = job.model  # what is wrong with it is told at once
    with hindcasting(dask, shared) as run:
        for done, (tallies, failure) in enumerate(run(job, initial.tolist())):
            if failure:
                failures[archive.times[initial[done]]] = failure
            for name, tally in tallies.items():
                new = Tally(request.leads, archive.grid, request.tally)
                by_event[name].setdefault(int(event_of[done]), new).merge(tally)
            if progress is not None:
                progress(done + 1, len(initial))
    good = ~np.isin(archive.times[initial], list(failures))
    if not good.any():
        raise InputError(f"the forecasts from all {len(initial)} initial times failed: {next(iter(failures.values()))}")
    covered = "voxels with a value at least once in the archive, which does not tell what was observed"
    scored_on = "observed voxels" if archive.coverage is None else covered
    return Report(archive.times[initial][good], leads, event_of[good], by_event, scored_on, failures)


def initial_indices(archive: VolumeSequence, frames: int, leads: int, every: int = 1) -> NDArray[np.int64]:
    """Positions of the volumes from which a forecast can be made and scored.

    The volumes before and after must follow at the nominal step, to within ``MATCH_SHARE`` of it, none of the later
    ones farther than half a step from its nominal time, and the newest volume must hold echo.

    Raises InputError, saying why, when there is none.
    """
    if min(frames, leads, every) < 1:
        raise UsageError(f"--frames {frames}, --leads {leads} and --every {every} must be at least 1")
    count = len(archive)
    if count < frames + leads:
        raise InputError(
            f"the archive has {count} volumes; {frames} up to an initial time and {leads} after it make "
            f"{frames + leads}: give more volumes, or fewer --frames or --leads"
        )
    times = archive.times.astype("datetime64[ms]").astype(np.int64) / 1000.0
    steps = np.diff(times)
    step = units.seconds(nominal_step(archive.times))
    regular = np.abs(steps - step) <= MATCH_SHARE * step
    candidates = np.arange(frames - 1, count - leads, every)
    follow = [
        i
        for i in candidates
        if regular[i - frames + 1 : i + leads].all()
        and (np.abs(times[i + 1 : i + 1 + leads] - times[i] - step * np.arange(1, leads + 1)) <= 0.5 * step).all()
    ]
    if not follow:
        raise InputError(
            f"no {frames + leads} volumes of the archive follow each other at its step of {step / 60:.1f} minutes: "
            "nothing can be scored; give an archive with fewer gaps, or fewer --leads"
        )
    wet = [i for i in follow if (archive.reflectivity[i] > WET_DBZ).sum() > WET_VOXELS]
    if not wet:
        raise InputError(
            f"none of {len(follow)} initial times has more than {WET_VOXELS} voxels above {WET_DBZ:g} dBZ: "
            "a dry archive tells nothing about a forecast"
        )
    return np.array(wet, np.int64)


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
    stamp = np.datetime_as_string(past.times[-1], unit="s").replace("-", "").replace(":", "")
    facts = provenance(request, past, method)
    missing = np.float32(np.nan)
    shown = np.where(seen, made.members, missing)
    control = None if made.control is None else np.where(seen, made.control, missing)
    forecast = Forecast(past.times[-1], leads, shown, past.grid, method, facts, control)
    write_forecast(forecast, request.keep_forecasts / method / f"{stamp}.nc", history=history)


def _load_model(path: Path | None) -> GauMamba:
    from nowcast.models import load_checkpoint

    assert path is not None  # chosen_methods has seen to it
    return load_checkpoint(path)
