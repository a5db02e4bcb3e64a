"""One forecast, from the newest volumes to a file, read top to bottom."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import nowcast
from nowcast import units
from nowcast.errors import UsageError
from nowcast.io.atomic import file_digest
from nowcast.io.forecasts import write_forecast
from nowcast.motion import MotionConfig, advect_semilagrangian, estimate_motion
from nowcast.pipeline.archive import NEIGHBOURS
from nowcast.pipeline.digests import input_digests
from nowcast.pipeline.inputs import GridConfig, list_inputs, load_sequence
from nowcast.pipeline.methods import GAUSSIAN_METHODS, Case, Outcome, forecast_by
from nowcast.pipeline.outputs import check_output
from nowcast.pipeline.products import products_beside
from nowcast.pipeline.warm_start import check_state, read_state, settings_stamp, write_state
from nowcast.products import ProductConfig
from nowcast.radar.mosaic import MosaicConfig
from nowcast.radar.quality import QualityConfig
from nowcast.times import LARGEST_GAP, nominal_step
from nowcast.types import Bool, Forecast, GaussianSequence, Progress, VolumeSequence

if TYPE_CHECKING:
    from nowcast.gaussians import FitConfig
    from nowcast.models import GauMamba
    from nowcast.pipeline.hindcast_job import EvaluateRequest
    from nowcast.radar import Site

logger = logging.getLogger(__name__)

PICTURES = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".gif", ".mp4")
LEAST_GAP = np.timedelta64(30, "m")
"""Echo is followed over so long a silence at any step: the few volumes of one cycle are precious."""
LONGEST_HOURS = 12
"""Extrapolation tells nothing beyond."""
MOST_MEMBERS = 10_000
SEEN_SHARE = 0.5
"""Between voxels seen and unseen, air counts as seen from this share on."""


@dataclass(frozen=True)
class ForecastRequest:
    """What to forecast, and from what.

    Attributes
    ----------
    source
        Directory of radar or gridded files, or a volume-sequence file; of several radars a directory of directories.
    at
        Use the newest volumes valid at or before this time; None for the newest there are.
    frames
        Number of volumes to start from.
    leads, step_minutes
        Number of lead times and the minutes between them; None for the median step of the input volumes.
    model
        Checkpoint of a trained GauMamba, or None to move the Gaussians along without one.
    members, seed
        Members of an ensemble, which needs a model, and the seed of what they differ by; 1 for one best forecast.
    state
        File that carries the Gaussians from this cycle to the next, which then starts from them where no model is
        used; None for none.
    products
        Products to publish beside the forecast: those that its ``names`` tell, none where it names none.
    fallback
        Why no more than the Lagrangian extrapolation is made, which is then marked as a fallback; None for the best
        forecast there is.
    """

    source: Path
    fit: FitConfig
    at: np.datetime64 | None = None
    frames: int = 4
    leads: int = 6
    step_minutes: float | None = None
    model: Path | None = None
    members: int = 1
    seed: int = 0
    grid: GridConfig = field(default_factory=GridConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)
    site: Site | None = None
    clutter: Path | None = None
    state: Path | None = None
    fallback: str | None = None
    mosaic: MosaicConfig = field(default_factory=MosaicConfig)
    products: ProductConfig = field(default_factory=ProductConfig)


@dataclass(frozen=True)
class ForecastRun:
    """A forecast and how it came about.

    ``outputs`` are the files written, the forecast first, then its products and pictures; ``fallback`` says why a
    simpler method took over, None where none did; ``seconds`` by stage.
    """

    forecast: Forecast
    volumes: VolumeSequence
    outputs: tuple[Path, ...]
    seconds: dict[str, float]
    fallback: str | None = None
    warm_start: bool = False

    def answer(self) -> dict[str, Any]:
        """The command's JSON answer."""
        return {
            "output": str(self.outputs[0]),
            "products": [str(path) for path in self.outputs[1:] if path.suffix == ".nc"],
            "pictures": [str(path) for path in self.outputs[1:] if path.suffix != ".nc"],
            "init_time": self.forecast.init_time,
            "lead_minutes": [units.minutes(lead) for lead in self.forecast.lead_times],
            "input_times": list(self.volumes.times),
            "method": self.forecast.method,
            "members": len(self.forecast.values),
            **({"radars": self.volumes.radars, "radars_missing": self.volumes.missing} if self.volumes.radars else {}),
            "fallback": self.fallback is not None,
            "fallback_reason": self.fallback,
            "warm_start": self.warm_start,
            "seconds": {stage: round(s, 3) for stage, s in self.seconds.items()},
        }


def run_forecast(
    request: ForecastRequest,
    output: Path,
    *,
    history: str = "",
    pictures: bool = False,
    progress: Progress | None = None,
    volumes: VolumeSequence | None = None,
) -> ForecastRun:
    """Read, fit, forecast, write and, as asked for, publish products and pictures beside the forecast's file.

    ``volumes`` are those of the request where they have been loaded already.

    Raises
    ------
    InputError
        No usable volume at or before ``request.at``.
    OutputError
        The file cannot be written.
    UsageError
        ``output`` is named like a picture or another format, members are asked for without a model or too many, or
        the state's file holds something else.
    """
    _check(request, output)
    seconds: dict[str, float] = {}
    if volumes is None:
        with _timed(seconds, "read"):
            volumes = _load_volumes(request)
        volumes = since_last_gap(volumes, _usual_step(request, volumes))
    leads = lead_times(volumes, request.leads, request.step_minutes)
    if len(volumes) == 1:
        logger.warning("one volume tells no motion: the forecast stays in place")
    of_volumes = {name: getattr(request, name) for name in ("grid", "quality", "site", "mosaic", "clutter")}
    stamp = settings_stamp(request.fit, **of_volumes)
    model, reasons = None, [request.fallback] if request.fallback else []
    if request.model is not None and not request.fallback:
        with _or_simpler("the model", reasons), _timed(seconds, "model"):
            model = _load(request.model)
    previous = _carried_on(request, volumes, stamp, model)
    case = Case(volumes, request.fit, model, progress, previous, request.members, request.seed)
    method, made, fallback = _forecast_or_fallback(case, leads, seconds, reasons, simple=bool(request.fallback))
    unknown = ~known_at(volumes, leads, request.fit.motion)
    made.members[:, unknown] = np.nan
    if made.control is not None:
        made.control[unknown] = np.nan
    facts = provenance(request, volumes, method, fallback)
    forecast = Forecast(volumes.times[-1], leads, made.members, volumes.grid, method, facts, made.control)
    with _timed(seconds, "write"):
        write_forecast(forecast, output, history=history)
        if request.state is not None and model is None and method in GAUSSIAN_METHODS:
            write_state(case.fitted, request.state, stamp, history=history)
    outputs = [output]
    if request.products.names:
        with _timed(seconds, "products"):
            outputs += products_beside(forecast, output, request.products, history)
    if pictures:
        with _timed(seconds, "pictures"):
            outputs += _draw(forecast, volumes, output.with_suffix(".png"))
    seconds["total"] = sum(seconds.values())
    return ForecastRun(forecast, volumes, tuple(outputs), seconds, fallback, previous is not None)


def _load_volumes(request: ForecastRequest) -> VolumeSequence:
    return load_sequence(
        request.source,
        at=request.at,
        frames=request.frames,
        grid=request.grid,
        quality=request.quality,
        site=request.site,
        clutter=request.clutter,
        mosaic=request.mosaic,
    )


def _check(request: ForecastRequest, output: Path) -> None:
    """Refuse before long work what cannot be made, or written."""
    if request.members > 1 and request.model is None:
        raise UsageError("an ensemble needs a model, which knows what is uncertain: give --model default or a PATH")
    if request.members > MOST_MEMBERS:
        raise UsageError(f"{request.members} members: expected at most {MOST_MEMBERS}")
    if output.suffix.lower() in PICTURES:
        raise UsageError(f"a forecast is a NetCDF file, {output.name} names a picture: give -o FILE.nc")
    check_output(output, request.source)
    if request.state is not None:
        check_state(request.state, output)


def _carried_on(
    request: ForecastRequest, volumes: VolumeSequence, stamp: str, model: GauMamba | None
) -> GaussianSequence | None:
    """The fit of the cycle before that this one goes on from, None for a fit from nothing."""
    if request.state is None or request.fallback:
        return None
    # A model reads how each Gaussian changed; most of a warm fit's are too young to tell.
    if model is not None:
        logger.warning("the state is not used: a model needs a fit from nothing; give --model none with it")
        return None
    return read_state(request.state, stamp, volumes, request.fit)


def _forecast_or_fallback(
    case: Case, leads: np.ndarray, seconds: dict[str, float], reasons: list[str], *, simple: bool
) -> tuple[str, Outcome, str | None]:
    """The forecast asked for or, where the fit or the model fails, the next simpler one and the reasons."""
    methods: tuple[str, ...] = ()
    if not simple:
        with _or_simpler("the fit", reasons), _timed(seconds, "fit"):
            _ = case.fitted
            methods = ("gaumamba", "advection") if case.model is not None else ("advection",)
    for method in methods:
        with _or_simpler("the model" if method == "gaumamba" else method, reasons), _timed(seconds, "forecast"):
            return method, forecast_by(method, case, leads), "; ".join(reasons) or None
    with _timed(seconds, "forecast"):
        return "extrapolation", forecast_by("extrapolation", case, leads), "; ".join(reasons)


@contextmanager
def _or_simpler(what: str, reasons: list[str]) -> Iterator[None]:
    """Whatever goes wrong within, the desk gets a forecast: it becomes a reason for a simpler one."""
    try:
        yield
    except Exception as error:
        logger.debug("%s failed", what, exc_info=error)
        reasons.append(f"{what} failed: {str(error) or type(error).__name__}")


def _load(path: Path) -> GauMamba:
    from nowcast.models import load_checkpoint

    return load_checkpoint(path)


def _draw(forecast: Forecast, volumes: VolumeSequence, path: Path) -> list[Path]:
    """The picture, or none where it cannot be drawn: the forecast is published already."""
    from nowcast.plot import plot_panels, save_figure

    drawn: list[Path] = []
    reasons: list[str] = []
    with _or_simpler(f"drawing {path}", reasons):
        drawn.append(save_figure(plot_panels(forecast, volumes), path))
    for reason in reasons:
        logger.warning("%s", reason)
    return drawn


def _usual_step(request: ForecastRequest, volumes: VolumeSequence) -> np.timedelta64:
    """The shortest step of the volumes: among a few, the gap of an outage may be the median. Of two volumes that of
    those before them."""
    steps = np.diff(volumes.times)
    if len(steps) == 1 and steps[0] > LEAST_GAP:
        newest = volumes.times[-1]
        steps = np.diff(list_inputs(request.source, at=newest, near=newest, mosaic=request.mosaic)[-NEIGHBOURS:])
    return min(steps, default=LEAST_GAP)


def since_last_gap(volumes: VolumeSequence, usual_step: np.timedelta64) -> VolumeSequence:
    """The volumes after the last gap of more than ``LEAST_GAP`` and ``LARGEST_GAP`` usual steps; says what it drops.

    Echo cannot be followed over such a gap: motion is better told by the volumes after it alone.
    """
    gaps = np.flatnonzero(np.diff(volumes.times) > max(LARGEST_GAP * usual_step, LEAST_GAP)) + 1
    if len(gaps) == 0:
        return volumes
    after = int(gaps[-1])
    minutes = units.minutes(volumes.times[after] - volumes.times[after - 1])
    when = np.datetime_as_string(volumes.times[after], unit="m")
    logger.warning("no volume for %.0f minutes before %s: what is older is left out", minutes, when)
    return volumes.select(slice(after, None))


def lead_times(volumes: VolumeSequence, count: int, step_minutes: float | None = None) -> np.ndarray:
    """``count`` lead times, ``step_minutes`` apart or the median step of the volumes (to the nearest half minute).

    Raises UsageError when there is one volume only and no step is given.
    """
    if step_minutes is None:
        if len(volumes) < 2:
            raise UsageError("one volume has no time step to take the lead times from: give --step MINUTES")
        step_minutes = max(round(2 * units.minutes(nominal_step(volumes.times))), 1) / 2
    if not 0 < count * step_minutes <= 60 * LONGEST_HOURS:
        raise UsageError(
            f"{count} lead times of {step_minutes:g} minutes: expected a step above 0 and no more than "
            f"{LONGEST_HOURS} hours ahead"
        )
    step = np.timedelta64(round(step_minutes * 60e9), "ns")
    return step * np.arange(1, count + 1)


def observed_now(volumes: VolumeSequence) -> Bool:
    """``[Z, Y, X]`` voxels that any of the input volumes observed: where a forecast is meant to be used."""
    return np.asarray(volumes.mask.any(axis=0))


def known_at(volumes: VolumeSequence, leads: np.ndarray, config: MotionConfig | None = None) -> Bool:
    """``[L, Z, Y, X]`` where a forecast says something at each lead time.

    The voxel is one that the radar observes, and so was the place where its air is now, by the motion of each level:
    what comes in from beyond the grid or out of a blind sector is not known.
    """
    seen = observed_now(volumes)
    motion = estimate_motion(volumes.filled(), volumes.times, volumes.grid, mask=volumes.mask, config=config)
    upstream = advect_semilagrangian(seen.astype(np.float32), motion, [units.seconds(lead) for lead in leads])
    return np.asarray(seen & (upstream >= SEEN_SHARE))


def provenance(
    request: ForecastRequest | EvaluateRequest, volumes: VolumeSequence, method: str, fallback: str | None = None
) -> dict[str, Any]:
    """What a forecast file tells of how it came about: the program, the inputs, all settings, the model."""
    facts: dict[str, Any] = {
        "version": nowcast.__version__,
        "method": method,
        "input_files": [Path(s).name for s in volumes.sources],
        "input_sha256": input_digests(request.source, volumes.sources),
        "input_times": [str(t.astype("datetime64[s]")) for t in volumes.times],
        "gaussians": request.fit.gaussians,
        "settings": {name: asdict(getattr(request, name)) for name in ("grid", "quality", "fit")},
    }
    if volumes.radars:
        facts["radars"] = volumes.radars
    if volumes.missing:
        facts["radars_missing"] = volumes.missing
        facts["settings"]["mosaic"] = asdict(request.mosaic)
    if request.site is not None:
        facts["site"] = str(request.site)
    for name, path in (("model", request.model), ("clutter_map", request.clutter)):
        if path is not None:
            facts[name] = path.name
            digest = file_digest(path)
            facts |= {f"{name}_sha256": digest} if digest else {}
    if fallback:
        facts["fallback_reason"] = fallback
    return facts


def site_of(forecast: Forecast) -> Site | None:
    """The position of the radar that was given when a forecast was made, None where the files told it."""
    from nowcast.radar import Site

    try:
        return Site.of(str(forecast.provenance["site"]))
    except (KeyError, ValueError):
        return None


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - start
