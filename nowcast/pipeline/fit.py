"""An archive of volumes as fitted windows: what ``nowcast fit`` does.

Each finished window is kept in a folder beside the output until all are done, so that a killed run goes on where it
was; a window that fails is recorded and the others are done.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import nowcast
from nowcast.errors import ConfigError, InputError, NowcastError, OutputError, UsageError
from nowcast.gaussians import FitConfig, with_idle
from nowcast.io.gaussians import write_windows
from nowcast.pipeline.channels import tell_left_out
from nowcast.pipeline.digests import digests
from nowcast.pipeline.fit_checks import check_settings, lost_times
from nowcast.pipeline.fit_cluster import Outcome, cluster
from nowcast.pipeline.fit_job import BrokenVolumes, FitJob
from nowcast.pipeline.fit_plan import Plan, plan_windows
from nowcast.pipeline.fit_report import FitReport
from nowcast.pipeline.inputs import GridConfig, list_files
from nowcast.pipeline.parts import Parts
from nowcast.pipeline.skips import one_run
from nowcast.radar import Site
from nowcast.radar.mosaic import MosaicConfig
from nowcast.radar.quality import QualityConfig
from nowcast.radar.reader import PositionUnknown
from nowcast.types import REFLECTIVITY, FittedWindow, Progress, Times

logger = logging.getLogger(__name__)

SHORT_DB = 0.5
"""The number of Gaussians is set before the last pass, which moves the PSNR by about so much."""


def fit_archive(
    source: Path | str,
    out: Path | str,
    *,
    config: FitConfig | None = None,
    frames: int = 4,
    future: int = 0,
    every: int | None = None,
    grid: GridConfig | None = None,
    quality: QualityConfig | None = None,
    site: Site | None = None,
    clutter: Path | None = None,
    resume: bool = True,
    keep_volumes: bool | None = None,
    pictures: Path | None = None,
    channels: tuple[str, ...] = (REFLECTIVITY,),
    dask: str | None = None,
    mosaic: MosaicConfig | None = None,
    history: str = "",
    progress: Progress | None = None,
) -> FitReport:
    """Fit an archive in windows of consecutive volumes and write them to one Gaussian file.

    Parameters
    ----------
    source, grid, site, clutter
        As for :func:`nowcast.pipeline.inputs.load_sequence`.
    quality
        Settings of the quality control; None for the defaults.
    out
        Gaussian file to write.
    config
        Settings of the fit.
    frames
        Volumes fitted together, causally, in each window.
    future
        Volumes after them onto which the fit is continued: targets for training.
    every
        Volumes between the starts of windows; None for windows that do not overlap. Windows count back from the newest
        volume of each stretch without a gap; a gap is a step of more than 2.5 times the median one. Where no
        stretch is long enough for one window and ``future`` is 0, the newest stretch is one, shorter, window.
    resume
        Use the windows that an interrupted run with the same settings finished.
    keep_volumes
        Whether the volumes go into the file too; None: where ``future`` is not 0.
    pictures
        Folder for a picture of each window's newest input: observed, reconstructed, the Gaussians, the difference.
    channels
        What to fit, reflectivity first. A channel without a value in any window is left out, and said so.
    dask
        ``"local"`` or a Dask scheduler's address, see :func:`nowcast.pipeline.fit_cluster.cluster`; None fits here.
    mosaic
        How the volumes of several radars are brought together; None for the defaults.
    history
        For the file's ``history`` attribute.
    progress
        Called with (windows done, windows to do).

    Returns
    -------
    FitReport
        Its :meth:`FitReport.raise_failures` tells a partial failure, after the good windows were written.

    Raises
    ------
    InputError
        There is nothing to fit, no window could be fitted, or files of several radars lie in one folder.
    UsageError, ConfigError
        What is asked for cannot be: a device that is not there, an address that is none.
    OutputError
        The file cannot be written.
    """
    start = time.perf_counter()
    source, out = Path(source), Path(out)
    mosaic = mosaic or MosaicConfig()
    with one_run() as skipped:
        job = FitJob(
            source,
            config or FitConfig(),
            frames,
            future,
            grid,
            quality or QualityConfig(),
            site,
            clutter,
            keep_volumes,
            pictures,
            channels,
            mosaic,
        )
        check_settings(job, out, dask)
        files = list_files(source, mosaic=mosaic)
        lost = lost_times(source, files)
        with Parts(out, job.fingerprint(), files, resume) as parts:
            report = _fit_all(job, out, parts, every, lost, dask, history, progress)
    return replace(report, skipped=dict(skipped), seconds=time.perf_counter() - start)


def _fit_all(
    job: FitJob,
    out: Path,
    parts: Parts,
    every: int | None,
    lost: Times,
    dask: str | None,
    history: str,
    progress: Progress | None,
) -> FitReport:
    """Fit what is not finished and write the file."""
    name = job.source.stem or job.source.resolve().name
    cut = partial(plan_windows, frames=job.frames, future=job.future, every=every, archive=name)
    broken: list[np.datetime64] = []
    fitted: set[str] = set()
    failures: dict[str, str] = {}
    with cluster(dask) as fit_all:
        while True:
            good = np.setdiff1d(job.times, np.array(broken, job.times.dtype))
            plans = _planned(cut, good, broken)
            todo = [p for p in reversed(plans) if p.name not in failures and not (parts.has(p) and job.drawn(p))]
            outcomes = _told(fit_all(job, todo), len(plans) - len(todo), len(plans), progress)
            found = _keep_windows(outcomes, parts, fitted, failures)
            if not found:
                break
            broken += found
    done = [plan for plan in plans if parts.has(plan)]
    for plan in plans:
        if plan.name not in failures and not parts.has(plan):
            failures[plan.name] = "it was fitted, and removed since: does another fit write the same file?"
    if not done:
        raise InputError(
            f"none of {len(plans)} windows of {job.source} could be fitted: {next(iter(failures.values()))}"
        )
    windows = _alike(_without_empty([parts.window(plan) for plan in done]))
    write_windows(windows, out, facts=_facts(job, done, parts.files), history=history)
    records = tuple(_of_channels(parts.record(plan), windows[0].gaussians.channels) for plan in done)
    parts.remove()
    _tell_few(plans, job.frames)
    _tell_short(records, job.config.psnr_db)
    failed = tuple({"window": plan.name, "reason": failures[plan.name]} for plan in plans if plan.name in failures)
    dropped = max(len(cut(np.union1d(job.times, lost))) - len(plans), 0)
    resumed = len({plan.name for plan in done} - fitted)
    unused = len(np.setdiff1d(good, np.concatenate([plan.times for plan in plans])))
    return FitReport(out, records, failed, resumed=resumed, unused=unused, dropped=dropped)


def _facts(job: FitJob, plans: list[Plan], files: dict[np.datetime64, list[Path]]) -> dict[str, Any]:
    """What the file tells of how it came about; ``files`` are those of each valid time."""
    times = {time for plan in plans for time in plan.times}
    used = [path for time, paths in files.items() if time in times for path in paths]
    settings = {"fit": asdict(job.config), "grid": asdict(job.grid or GridConfig()), "quality": asdict(job.quality)}
    below = job.source if job.source.is_dir() else None
    return {"version": nowcast.__version__, "input_sha256": digests(used, below=below), "settings": settings}


def _without_empty(windows: list[FittedWindow]) -> list[FittedWindow]:
    """The windows without the channels in which no Gaussian of any has an amplitude; says which are left out."""
    channels = windows[0].gaussians.channels
    drawn = [c == 0 or any((w.gaussians.intensities[..., c] != 0).any() for w in windows) for c in range(len(channels))]
    tell_left_out(name for name, some in zip(channels, drawn, strict=True) if not some)
    kept = [name for name, some in zip(channels, drawn, strict=True) if some]
    return [window.with_channels(kept) for window in windows]


def _tell_few(plans: list[Plan], frames: int) -> None:
    """Say where the only window holds fewer volumes than asked for."""
    if (held := len(plans[0].times)) < frames:
        several = "volume" if held == 1 else "volumes"
        logger.warning("the one window holds %d %s, not %d: no more follow each other", held, several, frames)


def _tell_short(records: tuple[dict[str, Any], ...], asked_db: float | None) -> None:
    """Say where the newest volume is drawn worse than asked for."""
    reached = [r["psnr_db"][r["inputs"] - 1] for r in records]
    short = [psnr for psnr in reached if asked_db is not None and psnr is not None and psnr < asked_db - SHORT_DB]
    if short:
        told = "%d of %d newest volumes are drawn with less than the %g dB asked for, the worst with %.1f"
        logger.warning(told, len(short), len(records), asked_db, min(short))


def _alike(windows: list[FittedWindow]) -> list[FittedWindow]:
    """The windows with as many Gaussians as the one that has most: one file holds them all."""
    most = max(len(window.gaussians.ids) for window in windows)
    return [replace(window, gaussians=with_idle(window.gaussians, most)) for window in windows]


def _of_channels(record: dict[str, Any], channels: tuple[str, ...]) -> dict[str, Any]:
    """The record without errors of channels that were left out."""
    errors = {name: values for name, values in record.get("rmse", {}).items() if name in channels}
    return {**record, "rmse": errors} if errors else {k: v for k, v in record.items() if k != "rmse"}


def _planned(cut: Callable[[Times], list[Plan]], times: Times, broken: list[np.datetime64]) -> list[Plan]:
    """The windows of the good times; says that there were broken volumes where these leave none."""
    try:
        return cut(times)
    except InputError as error:
        if not broken:
            raise
        raise InputError(f"{error}; broken volumes, which do not count: {len(broken)}") from error


def _told(outcomes: Iterator[Outcome], done: int, total: int, progress: Progress | None) -> Iterator[Outcome]:
    """The outcomes, with word of each that was dealt with."""
    tell = progress or (lambda done, total: None)
    tell(done, total)
    for outcome in outcomes:
        yield outcome
        done += 1
        tell(done, total)


def _keep_windows(
    outcomes: Iterator[Outcome], parts: Parts, fitted: set[str], failures: dict[str, str]
) -> list[np.datetime64]:
    """Keep the windows as they come, until one turns out to hold broken volumes: returns their times.

    Windows count back from the newest volume and are fitted newest first, so that a broken one changes the plan of
    older windows only.
    """
    for plan, outcome in outcomes:
        try:
            parts.keep(plan, *outcome())
            fitted.add(plan.name)
        except BrokenVolumes as error:
            return error.times
        except (OutputError, UsageError, ConfigError, PositionUnknown):
            raise  # no window would do better
        except Exception as error:
            logger.debug("window %s failed", plan.name, exc_info=error)
            failures[plan.name] = str(error) if isinstance(error, NowcastError) else f"{type(error).__name__}: {error}"
    return []
