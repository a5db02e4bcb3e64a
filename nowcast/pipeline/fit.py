"""An archive of volumes as fitted windows: what ``nowcast fit`` does.

Each finished window is kept in a folder beside the output until all are done, so that a killed run goes on where it
was; a window that fails is recorded and the others are done.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.errors import InputError, NowcastError, OutputError, PartialFailure
from nowcast.gaussians import FitConfig, extend_fit, fit_sequence, reconstruction_scores
from nowcast.io.answers import json_text
from nowcast.io.atomic import atomic_write_text
from nowcast.io.gaussians import read_windows, write_windows
from nowcast.io.volumes import is_volume_file, read_volumes
from nowcast.pipeline.fit_plan import Plan, breaks, nominal_step, plan_windows
from nowcast.pipeline.inputs import GridConfig, list_inputs, load_sequence
from nowcast.radar import Site
from nowcast.radar.quality import QualityConfig
from nowcast.types import FittedWindow, Progress, VolumeSequence
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
    times = list_inputs(source)
    step = nominal_step(times)
    job = _Job(source, config or FitConfig(), frames, future, grid, quality, site, clutter, keep_volumes, step)
    plans = plan_windows(times, frames, future, every, source.stem or source.resolve().name)
    parts = _Parts(out, job.fingerprint(), resume)
    resumed, failures = 0, []
    for done, plan in enumerate(plans):
        if progress is not None:
            progress(done, len(plans))
        if parts.has(plan):
            resumed += 1
            continue
        try:
            parts.keep(plan, *job.fit(plan))
        except OutputError:
            raise
        except Exception as error:
            logger.debug("window %s failed", plan.name, exc_info=error)
            reason = str(error) if isinstance(error, NowcastError) else f"{type(error).__name__}: {error}"
            failures.append({"window": plan.name, "reason": reason})
    good = [plan for plan in plans if parts.has(plan)]
    if not good:
        raise InputError(f"none of {len(plans)} windows of {source} could be fitted: {failures[0]['reason']}")
    write_windows([parts.window(plan) for plan in good], out, history=history)
    records = tuple(parts.record(plan) for plan in good)
    parts.remove()
    if progress is not None:
        progress(len(plans), len(plans))
    return FitReport(out, records, tuple(failures), time.perf_counter() - start, resumed)


@dataclass
class _Job:
    """What is the same for every window."""

    source: Path
    config: FitConfig
    frames: int
    future: int
    grid: GridConfig | None
    quality: QualityConfig | None
    site: Site | None
    clutter: Path | None
    keep_volumes: bool | None
    step: np.timedelta64
    whole: VolumeSequence | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if is_volume_file(self.source):
            self.whole = read_volumes(self.source)

    def fingerprint(self) -> str:
        """Of everything that a finished window depends on."""
        settings = {**asdict(self), "config": asdict(self.config), "source": str(self.source.resolve()), "whole": None}
        return hashlib.sha256(json.dumps(settings, default=str, sort_keys=True).encode()).hexdigest()

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
        wanted = plan.times
        if self.whole is not None:
            return self.whole.select(np.flatnonzero(np.isin(self.whole.times, wanted)))
        volumes = load_sequence(
            self.source,
            at=wanted[-1],
            frames=len(wanted),
            grid=self.grid,
            quality=self.quality or QualityConfig(),
            site=self.site,
            clutter=self.clutter,
        )
        # Broken volumes are replaced by older ones: then the window may reach over a gap, or end too early.
        if len(volumes) < len(wanted) or volumes.times[-1] != wanted[-1] or breaks(volumes.times, self.step).size:
            raise InputError(f"too few good volumes in {plan.name}: {len(volumes)} of {len(wanted)} without a gap")
        return volumes


class _Parts:
    """Finished windows, kept beside the output until it is written."""

    def __init__(self, out: Path, fingerprint: str, resume: bool) -> None:
        self.folder = out.with_name(f".{out.name}.parts")
        stamp = self.folder / "settings"
        known = stamp.read_text(encoding="utf-8") if stamp.is_file() else None
        if self.folder.exists() and (not resume or known != fingerprint):
            self.remove()
        atomic_write_text(stamp, fingerprint)

    def _paths(self, plan: Plan) -> tuple[Path, Path]:
        return self.folder / f"{plan.name}.nc", self.folder / f"{plan.name}.json"

    def has(self, plan: Plan) -> bool:
        """Whether the window is finished: its record is written last."""
        return all(path.is_file() for path in self._paths(plan))

    def keep(self, plan: Plan, window: FittedWindow, record: dict[str, Any]) -> None:
        """Write a finished window."""
        gaussians, facts = self._paths(plan)
        write_windows([window], gaussians)
        atomic_write_text(facts, json_text(record))

    def window(self, plan: Plan) -> FittedWindow:
        """A finished window, from disk."""
        return read_windows(self._paths(plan)[0])[0]

    def record(self, plan: Plan) -> dict[str, Any]:
        """What was reported of it."""
        record: dict[str, Any] = json.loads(self._paths(plan)[1].read_text(encoding="utf-8"))
        return record

    def remove(self) -> None:
        """Forget all parts."""
        shutil.rmtree(self.folder, ignore_errors=True)
