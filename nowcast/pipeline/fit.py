"""An archive of volumes as fitted windows: what ``nowcast fit`` does.

Each finished window is kept in a folder beside the output until all are done, so that a killed run goes on where it
was; a window that fails is recorded and the others are done.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

import nowcast
from nowcast.errors import InputError, NowcastError, OutputError, PartialFailure
from nowcast.gaussians import FitConfig, extend_fit, fit_sequence, reconstruction_scores
from nowcast.io.gaussians import write_windows
from nowcast.io.volumes import is_volume_file, read_volumes
from nowcast.pipeline.fit_plan import Plan, plan_windows
from nowcast.pipeline.inputs import GridConfig, NoneUsable, VolumeCache, list_files, load_sequence
from nowcast.pipeline.parts import Parts
from nowcast.radar import Site
from nowcast.radar.quality import QualityConfig
from nowcast.types import FittedWindow, Progress, Times, VolumeSequence
from nowcast.units import iso_utc

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FitReport:
    """What was fitted.

    ``sequences`` holds one record per window: times, gaussians, event, psnr_db and mae_dbz per volume, csi, seconds,
    bytes, dense_bytes. ``failures`` tells the windows that could not be fitted, and why.
    """

    output: Path
    sequences: tuple[dict[str, Any], ...]
    failures: tuple[dict[str, Any], ...]
    seconds: float
    resumed: int = 0

    def answer(self) -> dict[str, Any]:
        """The command's JSON answer."""
        return {
            "output": str(self.output),
            "sequences": list(self.sequences),
            "failures": list(self.failures),
            "resumed": self.resumed,
            "seconds": round(self.seconds, 3),
        }

    def table(self) -> str:
        """The same for people, a line per window."""
        lines = [f"{'newest volume (UTC)':21}{'volumes':>8}{'PSNR dB':>9}{'MAE dBZ':>9}{'CSI 35':>8}{'s':>7}"]
        for record in self.sequences:
            shown = [record["psnr_db"][-1], record["mae_dbz"][-1], record["csi"]["35"]]
            psnr, mae, csi = (math.nan if value is None else value for value in shown)
            fit = f"{record['times'][-1]:21}{len(record['times']):8d}"
            lines.append(f"{fit}{psnr:9.1f}{mae:9.2f}{csi:8.2f}{record['seconds']:7.1f}")
        lines += [f"failed: {failure['window']}: {failure['reason']}" for failure in self.failures]
        return "\n".join(lines)

    def raise_failures(self) -> None:
        """Raise PartialFailure (exit code 4) where a window failed."""
        if self.failures:
            first = self.failures[0]
            raise PartialFailure(
                f"{len(self.failures)} of {len(self.failures) + len(self.sequences)} windows could not be fitted, "
                f"the first ({first['window']}) because: {first['reason']}"
            )


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
        There is nothing to fit, or no window could be fitted.
    OutputError
        The file cannot be written.
    """
    start = time.perf_counter()
    source, out = Path(source), Path(out)
    files = list_files(source)
    job = _Job(
        source, config or FitConfig(), frames, future, grid, quality or QualityConfig(), site, clutter, keep_volumes
    )
    parts = Parts(out, job.fingerprint(), files, resume)
    archive = source.stem or source.resolve().name
    times = np.array(list(files), "datetime64[ns]")
    broken: list[np.datetime64] = []
    fitted: set[str] = set()
    failures: dict[str, str] = {}
    while True:
        plans = _planned(np.setdiff1d(times, broken), broken, frames, future, every, archive)
        found = _fit_windows(job, plans, parts, fitted, failures, progress)
        if not found:
            break
        broken += found
    good = [plan for plan in plans if parts.has(plan)]
    if not good:
        raise InputError(f"none of {len(plans)} windows of {source} could be fitted: {next(iter(failures.values()))}")
    write_windows([parts.window(plan) for plan in good], out, history=history)
    records = tuple(parts.record(plan) for plan in good)
    parts.remove()
    if progress is not None:
        progress(len(plans), len(plans))
    failed = tuple({"window": name, "reason": failures[name]} for name in sorted(failures))
    return FitReport(out, records, failed, time.perf_counter() - start, len({plan.name for plan in good} - fitted))


def _planned(
    times: Times, broken: list[np.datetime64], frames: int, future: int, every: int | None, archive: str
) -> list[Plan]:
    """The windows of the good times; says that there were broken volumes where these leave none."""
    try:
        return plan_windows(times, frames, future, every, archive)
    except InputError as error:
        if not broken:
            raise
        raise InputError(f"{error}; {len(broken)} broken volumes are not counted") from error


def _fit_windows(
    job: _Job,
    plans: list[Plan],
    parts: Parts,
    fitted: set[str],
    failures: dict[str, str],
    progress: Progress | None,
) -> list[np.datetime64]:
    """Fit what is not done, newest first, until a window turns out to hold broken volumes: returns their times.

    Windows count back from the newest volume, so that a broken one changes the plan of older windows only.
    """
    for count, plan in enumerate(reversed(plans)):
        if progress is not None:
            progress(count, len(plans))
        if plan.name in failures or parts.has(plan):
            continue
        try:
            parts.keep(plan, *job.fit(plan))
            fitted.add(plan.name)
        except _Broken as error:
            return error.times
        except OutputError:
            raise
        except Exception as error:
            logger.debug("window %s failed", plan.name, exc_info=error)
            failures[plan.name] = str(error) if isinstance(error, NowcastError) else f"{type(error).__name__}: {error}"
    return []


class _Broken(Exception):
    """Some volumes of a window cannot be used."""

    def __init__(self, times: list[np.datetime64]) -> None:
        super().__init__(times)
        self.times = times


@dataclass
class _Job:
    """What is the same for every window."""

    source: Path
    config: FitConfig
    frames: int
    future: int
    grid: GridConfig | None
    quality: QualityConfig
    site: Site | None
    clutter: Path | None
    keep_volumes: bool | None

    def __post_init__(self) -> None:
        self.whole = read_volumes(self.source) if is_volume_file(self.source) else None
        self.cache = VolumeCache(self.frames + self.future + 1)

    def fingerprint(self) -> str:
        """Of everything that a finished window depends on besides its volumes."""
        settings = {f.name: getattr(self, f.name) for f in fields(self)}
        settings |= {"source": self.source.resolve(), "version": nowcast.__version__}
        if self.clutter is not None and self.clutter.is_file():
            settings["clutter"] = hashlib.sha256(self.clutter.read_bytes()).hexdigest()
        return hashlib.sha256(json.dumps(settings, default=_plain, sort_keys=True).encode()).hexdigest()

    def fit(self, plan: Plan) -> tuple[FittedWindow, dict[str, Any]]:
        """The window and its record."""
        volumes = self._load(plan)
        start = time.perf_counter()
        inputs = min(self.frames, len(volumes))
        fitted = fit_sequence(volumes.select(slice(0, inputs)), self.config)
        if self.future:
            fitted = extend_fit(fitted, volumes, self.config)
        seconds = time.perf_counter() - start
        scores = reconstruction_scores(fitted, volumes)
        record = {
            "times": [iso_utc(t) for t in volumes.times],
            "inputs": inputs,
            "event": plan.event,
            "gaussians": self.config.gaussians,
            **scores,
            "seconds": round(seconds, 3),
        }
        keep = self.future > 0 if self.keep_volumes is None else self.keep_volumes
        return FittedWindow(fitted, inputs, plan.event, volumes if keep else None), record

    def _load(self, plan: Plan) -> VolumeSequence:
        if self.whole is not None:
            return self.whole.select(np.flatnonzero(np.isin(self.whole.times, plan.times)))
        try:
            volumes = self._newest(plan.times[-1], len(plan.times))
            missing = np.setdiff1d(plan.times, volumes.times)
        except NoneUsable:
            missing = plan.times
        if len(missing) == 0:
            return volumes
        broken = [time for time in missing if not self._usable(time)]
        if broken:
            raise _Broken(broken)
        raise InputError(f"{len(missing)} of {len(plan.times)} volumes of {plan.name} do not go with its newest one")

    def _newest(self, at: np.datetime64, frames: int) -> VolumeSequence:
        return load_sequence(
            self.source,
            at=at,
            frames=frames,
            grid=self.grid,
            quality=self.quality,
            site=self.site,
            clutter=self.clutter,
            cache=self.cache,
        )

    def _usable(self, time: np.datetime64) -> bool:
        """Whether the volume of a time can be used where it is the only one."""
        try:
            return bool(self._newest(time, 1).times[-1] == time)
        except NoneUsable:
            return False


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)
