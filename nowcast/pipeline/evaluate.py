"""Hindcasts: forecasts from every possible initial time of an archive, by several methods, scored side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nowcast import units
from nowcast.errors import InputError, UsageError
from nowcast.pipeline.forecast import lead_times
from nowcast.pipeline.hindcast_cluster import hindcasting
from nowcast.pipeline.hindcast_job import EvaluateRequest, HindcastJob
from nowcast.pipeline.inputs import VolumeCache, load_sequence
from nowcast.times import MATCH_SHARE, event_numbers, nominal_step
from nowcast.types import Progress, VolumeSequence
from nowcast.verify import Report, Tally

WET_DBZ = 20.0
WET_VOXELS = 100
"""An initial time counts when more voxels than this exceed ``WET_DBZ`` in its newest volume."""


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
