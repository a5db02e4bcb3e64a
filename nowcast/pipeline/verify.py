"""Score forecast files against an archive of observed volumes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nowcast import units
from nowcast.errors import InputError
from nowcast.io.forecasts import is_forecast_file, read_forecast
from nowcast.io.foreign_forecasts import read_foreign_forecast
from nowcast.pipeline.forecast import site_of
from nowcast.pipeline.inputs import list_inputs, load_sequence
from nowcast.times import event_numbers, match_tolerance, nearest, nominal_step
from nowcast.types import Bool, Forecast, GridSpec, Progress, Times, VolumeSequence
from nowcast.units import iso_utc
from nowcast.verify import Report, Tally, TallyConfig

if TYPE_CHECKING:
    from nowcast.radar import Site

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class VerifyRequest:
    """Which forecasts to score, and against what.

    Attributes
    ----------
    forecasts
        Forecast files: ours, or CF NetCDF with ``reflectivity(lead_time, z, y, x)``; folders are searched for ours.
    observations
        Directory of radar or gridded files, or a volume-sequence file. Polar volumes are gridded like the forecasts.
    """

    forecasts: tuple[Path, ...]
    observations: Path
    site: Site | None = None
    clutter: Path | None = None
    tally: TallyConfig = field(default_factory=TallyConfig)


@dataclass(frozen=True)
class Verification:
    """Scores by method, and the valid times that no observation was found for, by initial time."""

    report: Report
    missing: dict[np.datetime64, list[np.datetime64]]


def run_verification(request: VerifyRequest, *, progress: Progress | None = None) -> Verification:
    """Score forecast files by method and lead time.

    Forecasts of the same initial time are scored on the same voxels: those that the radar observed at the valid time
    and that all of these forecasts cover at that lead time.

    Raises
    ------
    InputError
        A file is no forecast, the forecasts or the observations are on different grids, or no valid time was observed.
    """
    paths = forecast_files(request.forecasts)
    groups, grid, leads = _survey(paths)
    valid = np.unique([time + lead for time in groups for lead in leads])
    observed = _observations(request, grid, valid, progress)
    tolerance = match_tolerance(_step(leads, observed.times))
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    times = np.array(sorted(groups), "datetime64[ns]")
    event_of = event_numbers(times, times + leads[-1])
    by_event: dict[str, dict[int, Tally]] = {name: {} for name in names}
    missing: dict[np.datetime64, list[np.datetime64]] = {}
    for done, (init, group) in enumerate(sorted(groups.items())):
        lacking = [name for name in names if name not in group]
        if lacking:
            logger.warning(
                "no forecast of %s from %s: its scores rest on other times",
                ", ".join(lacking),
                iso_utc(init, "m"),
            )
        tallies = {
            name: by_event[name].setdefault(int(event_of[done]), Tally(len(leads), grid, request.tally))
            for name in group
        }
        _score(group, observed, leads, tolerance, tallies, missing)
        if progress is not None:
            progress(done + 1, len(groups))
    _tell_missing(
        missing, observed, any(tally.cases.any() for events in by_event.values() for tally in events.values())
    )
    covered = "voxels with a value at least once among the observations, which do not tell what was observed"
    scored_on = "observed voxels" if observed.coverage is None else covered
    return Verification(Report(times, leads, event_of, by_event, scored_on), missing)


def forecast_files(given: Iterable[Path]) -> list[Path]:
    """The forecast files among files and folders, sorted within a folder; raises InputError when there are none."""
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = [p for p in sorted(path.rglob("*.nc")) if is_forecast_file(p)]
            if not inside:
                raise InputError(f"{path} holds no forecast file: expected files of `nowcast forecast`")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(f"{path} does not exist: expected a forecast file")
    if not found:
        raise InputError("no forecast file was given")
    return list(dict.fromkeys(found))


def _read(path: Path) -> Forecast:
    return read_forecast(path) if is_forecast_file(path) else read_foreign_forecast(path)


def _survey(paths: Sequence[Path]) -> tuple[dict[np.datetime64, dict[str, Path]], GridSpec, np.ndarray]:
    """Files by initial time and method, their grid, and all their lead times."""
    groups: dict[np.datetime64, dict[str, Path]] = {}
    grid: GridSpec | None = None
    leads: set[np.timedelta64] = set()
    for path in paths:
        forecast = _read(path)
        if grid is not None and not grid.matches(forecast.grid):
            raise InputError(f"{path} is on another grid than {paths[0]}: score them apart")
        grid = grid or forecast.grid
        leads.update(forecast.lead_times)
        group = groups.setdefault(forecast.init_time, {})
        if forecast.method in group:
            raise InputError(
                f"{path} and {group[forecast.method]} are both {forecast.method} forecasts from "
                f"{iso_utc(forecast.init_time, 'm')}: give one of them"
            )
        group[forecast.method] = path
    assert grid is not None  # there is at least one path
    return groups, grid, np.array(sorted(leads), "timedelta64[ns]")


def _observations(request: VerifyRequest, grid: GridSpec, valid: Times, progress: Progress | None) -> VolumeSequence:
    """The volumes around the valid times, on the forecasts' grid."""
    margin = np.timedelta64(1, "h")
    times = list_inputs(request.observations, at=valid[-1] + margin)
    wanted = int((times >= valid[0] - margin).sum())
    if wanted == 0:
        raise InputError(
            f"{request.observations} holds no volume between {iso_utc(valid[0], 'm')} and {iso_utc(valid[-1], 'm')}, "
            "the valid times of the forecasts"
        )
    observed = load_sequence(
        request.observations,
        at=valid[-1] + margin,
        frames=wanted,
        grid=grid,
        site=request.site or site_of(_read(forecast_files(request.forecasts)[0])),
        clutter=request.clutter,
        progress=progress,
    )
    if not observed.grid.matches(grid):
        raise InputError(
            f"the observations are on another grid than the forecasts: {observed.grid.shape} around "
            f"{observed.grid.origin_lat:.3f}, {observed.grid.origin_lon:.3f} and {grid.shape} around "
            f"{grid.origin_lat:.3f}, {grid.origin_lon:.3f}; make both with the same grid"
        )
    return observed


def _step(leads: np.ndarray, times: Times) -> np.timedelta64:
    """The time step of the forecasts or, of a single lead time, that of the observations, else the lead itself."""
    return next(step for step in (nominal_step(leads), nominal_step(times), leads[0]) if step)


def _score(
    group: dict[str, Path],
    observed: VolumeSequence,
    leads: np.ndarray,
    tolerance: np.timedelta64,
    tallies: dict[str, Tally],
    missing: dict[np.datetime64, list[np.datetime64]],
) -> None:
    """Add all forecasts of one initial time to the tallies, on the same voxels."""
    forecasts = {name: _read(path) for name, path in group.items()}
    init = next(iter(forecasts.values())).init_time
    for i, lead in enumerate(leads):
        at = {name: list(f.lead_times).index(lead) for name, f in forecasts.items() if lead in f.lead_times}
        if not at:
            continue
        k = nearest(observed.times, init + lead, tolerance)
        if k is None:
            missing.setdefault(init, []).append(init + lead)
            continue
        scored: Bool = np.logical_and.reduce([observed.mask[k], *(forecasts[n].mask[j] for n, j in at.items())])
        if observed.coverage is not None:
            scored &= observed.coverage
        for name, j in at.items():
            made = forecasts[name]
            control = None if made.control is None else made.control[j]
            tallies[name].add(i, made.values[:, j], observed.reflectivity[k], scored, control)


def _tell_missing(
    missing: dict[np.datetime64, list[np.datetime64]], observed: VolumeSequence, any_scored: bool
) -> None:
    if not any_scored:
        raise InputError(
            f"no valid time of the forecasts was observed: the archive has volumes from "
            f"{iso_utc(observed.times[0], 'm')} to {iso_utc(observed.times[-1], 'm')}"
        )
    for init, valid in missing.items():
        minutes = ", ".join(f"{units.minutes(time - init):g}" for time in valid)
        logger.warning("forecast from %s: no observation at lead times %s min", iso_utc(init, "m"), minutes)
