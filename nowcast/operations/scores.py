"""Each cycle scores the forecasts whose valid times have arrived, and keeps a running table."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from nowcast import units
from nowcast.errors import InputError
from nowcast.io.atomic import atomic_write_text
from nowcast.io.forecasts import read_forecast
from nowcast.io.volumes import read_volumes, write_volumes
from nowcast.operations.full_job import FullJob
from nowcast.operations.records import Published, Records
from nowcast.operations.status import epoch_seconds, scored_text
from nowcast.operations.templates import cycle_stem
from nowcast.pipeline.forecast import LONGEST_HOURS
from nowcast.times import match_tolerance, nearest, nominal_step
from nowcast.types import Forecast, VolumeSequence
from nowcast.verify import Tally, TallyConfig, categorical, continuous

logger = logging.getLogger(__name__)

METHODS = PUBLISHED, EXTRAPOLATION, PERSISTENCE = "forecast", "extrapolation", "persistence"
LEAST_EVENTS = 2000
"""A warning takes so many voxels with observed echo: a few say nothing."""
OTHER_GRID = (
    "cycles on another grid are not scored: %d, the last %s; mosaic.centre keeps that of several radars the same"
)
Row = dict[str, Any]


def score_arrived(job: FullJob, volumes: VolumeSequence) -> dict[str, Any]:
    """Score what the newly observed volumes can tell of earlier cycles; returns the tables for the status.

    What was published stands beside extrapolation and persistence from the same initial time, on the same voxels: those
    that were observed and that all three cover. A row is one cycle at one lead time; it is scored once.
    """
    folder = job.inside / "observed"
    path = job.inside / "scores.json"
    write_volumes(volumes.select([-1]), folder / f"{_name(volumes.times[-1])}.nc")
    thresholds = list(job.tally.thresholds_dbz)
    rows = [row for row in _rows(path) if _is_row(row, thresholds)]
    known = {(row["cycle"], row["lead_minutes"]) for row in rows}
    elsewhere: list[str] = []
    earliest = units.iso_utc(volumes.times[0] - np.timedelta64(LONGEST_HOURS + 1, "h"))
    earlier = Records(job).complete(since=earliest)
    arrived = [row for one in earlier for row in _arrived(job, one, volumes, known, elsewhere)]
    if elsewhere:
        logger.warning(OTHER_GRID, len(elsewhere), elsewhere[-1])
    newest = epoch_seconds(units.iso_utc(volumes.times[-1]))
    rows = [
        row
        for row in rows + arrived
        if newest - epoch_seconds(row["cycle"]) <= job.scores.window + 60 * row["lead_minutes"]
    ]
    atomic_write_text(path, json.dumps(rows))
    _forget(job, volumes)
    return score_tables(rows, arrived, job.tally, job.scores.warn_dbz)


def score_tables(rows: list[Row], arrived: list[Row], config: TallyConfig, warn_dbz: float) -> dict[str, Any]:
    """The running table, the table of what arrived last, and a warning where the forecast is worse than extrapolation.

    Counts are pooled before scores are formed, so that no cycle without echo weighs as much as one with; ``pooled_csi``
    is over all lead times too.
    """
    tables: dict[str, Any] = {"running": _table(rows, config), "latest": _table(arrived, config), "warning": None}
    key = f"{warn_dbz:g}"
    thresholds = [f"{t:g}" for t in config.thresholds_dbz]
    if key not in thresholds or not rows:
        return tables
    k = thresholds.index(key)
    events = np.sum([row["methods"][PUBLISHED]["counts"] for row in rows], axis=0)[k][:2].sum()
    csi = {method: tables["running"]["pooled_csi"][method][key] for method in (PUBLISHED, EXTRAPOLATION)}
    if events >= LEAST_EVENTS and csi[PUBLISHED] < csi[EXTRAPOLATION]:
        tables["warning"] = (
            f"the forecasts are worse than extrapolation: CSI at {key} dBZ {csi[PUBLISHED]:.3f} against "
            f"{csi[EXTRAPOLATION]:.3f}, {scored_text(len(rows))}"
        )
    return tables


def _arrived(
    job: FullJob, one: Published, volumes: VolumeSequence, known: set[tuple[str, float]], elsewhere: list[str]
) -> Iterator[Row]:
    """Rows of one earlier cycle that the volumes allow; it goes to ``elsewhere`` where it is on another grid."""
    init = np.datetime64(one.cycle.removesuffix("Z"), "ns")
    leads = [m for m in one.facts.get("lead_minutes", []) if (one.cycle, m) not in known]
    tolerance = match_tolerance(nominal_step(volumes.times) or np.timedelta64(5, "m"))
    pairs = [(m, nearest(volumes.times, init + np.timedelta64(round(m * 60), "s"), tolerance)) for m in leads]
    pairs = [(m, k) for m, k in pairs if k is not None and volumes.times[k] > init]
    if not pairs:
        return
    name = cycle_stem(one.cycle)
    try:
        forecast = read_forecast(job.output.root / one.folder / one.facts["outputs"][0]["path"])
        baseline = read_forecast(job.inside / "baselines" / f"{name}.nc")
        start = read_volumes(job.inside / "observed" / f"{name}.nc")
    except (InputError, IndexError) as error:
        logger.debug("the cycle %s cannot be scored: %s", one.cycle, error)
        return
    if not all(grid.matches(volumes.grid) for grid in (forecast.grid, baseline.grid, start.grid)):
        elsewhere.append(one.cycle)
        return
    for minutes, k in pairs:
        assert k is not None
        yield {
            "cycle": one.cycle,
            "lead_minutes": minutes,
            "state": one.facts.get("state"),
            "thresholds_dbz": list(job.tally.thresholds_dbz),
            "methods": _scored(forecast, baseline, start, volumes, minutes, k, job.tally),
        }


def _scored(
    forecast: Forecast,
    baseline: Forecast,
    start: VolumeSequence,
    volumes: VolumeSequence,
    minutes: float,
    k: int,
    config: TallyConfig,
) -> dict[str, Any]:
    i, j = _lead(forecast, minutes), _lead(baseline, minutes)
    control = None if forecast.control is None else forecast.control[i]
    fields = {
        PUBLISHED: (forecast.values[:, i], control),
        EXTRAPOLATION: (baseline.values[:, j], None),
        PERSISTENCE: (start.reflectivity[:1], None),
    }
    scored = volumes.mask[k] & forecast.mask[i] & baseline.mask[j] & start.mask[0]
    rows = {}
    for method, (values, one) in fields.items():
        tally = Tally(1, volumes.grid, config)
        tally.add(0, values if len(values) > 1 else values[0], volumes.reflectivity[k], scored, one)
        rows[method] = {"counts": tally.counts.sum(axis=(0, 1)).tolist(), "sums": tally.sums.sum(axis=(0, 1)).tolist()}
    return rows


def _lead(forecast: Forecast, minutes: float) -> int:
    return int(np.argmin(np.abs(units.minutes(forecast.lead_times) - minutes)))


def _table(rows: list[Row], config: TallyConfig) -> dict[str, Any]:
    leads = sorted({row["lead_minutes"] for row in rows})
    table: dict[str, Any] = {
        "cycles": _span(sorted({row["cycle"] for row in rows})),
        "lead_minutes": leads,
        "forecasts": [sum(row["lead_minutes"] == lead for row in rows) for lead in leads],
        "methods": {},
        "pooled_csi": {},
    }
    keys = [f"{t:g}" for t in config.thresholds_dbz]
    for method in METHODS if rows else ():
        by_lead = [[row["methods"][method] for row in rows if row["lead_minutes"] == lead] for lead in leads]
        counts = np.array([np.sum([r["counts"] for r in some], axis=0) for some in by_lead])
        sums = np.array([np.sum([r["sums"] for r in some], axis=0) for some in by_lead])
        csi = categorical.csi(counts)
        table["pooled_csi"][method] = dict(zip(keys, _plain(categorical.csi(counts.sum(axis=0))), strict=True))
        table["methods"][method] = {
            "csi": {key: _plain(csi[:, n]) for n, key in enumerate(keys)},
            "mae_dbz": _plain(continuous.mean_absolute_error(sums)),
        }
    return table


def _span(cycles: list[str]) -> dict[str, Any]:
    return {"count": len(cycles)} | ({"first": cycles[0], "last": cycles[-1]} if cycles else {})


def _plain(scores: np.ndarray) -> list[float | None]:
    return [round(float(s), 4) if np.isfinite(s) else None for s in scores]


def _rows(path: Path) -> list[Row]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        logger.warning("%s cannot be read, the running table starts anew: %s", path, error)
        return []
    return rows if isinstance(rows, list) else []


def _is_row(row: Any, thresholds: list[float]) -> bool:
    """Whether it is one of these thresholds, and of the shape in which rows are written."""
    try:
        shapes = {(np.shape(m["counts"]), np.shape(m["sums"])) for m in (row["methods"][name] for name in METHODS)}
        _ = epoch_seconds(row["cycle"]), float(row["lead_minutes"]), row["state"]
    except (LookupError, TypeError, ValueError, OverflowError):
        return False
    return row["thresholds_dbz"] == thresholds and shapes == {((len(thresholds), 3), (4,))}


def _forget(job: FullJob, volumes: VolumeSequence) -> None:
    """Remove observed volumes and extrapolations whose forecasts have all had their time."""
    step = units.seconds(nominal_step(volumes.times)) or 600.0
    longest = job.leads * (60 * job.step_minutes if job.step_minutes else step) + 3600
    oldest = epoch_seconds(units.iso_utc(volumes.times[-1])) - longest
    for file in [*(job.inside / "observed").glob("*.nc"), *(job.inside / "baselines").glob("*.nc")]:
        try:
            time = datetime.strptime(file.stem, "%Y-%m-%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
        if time < oldest:
            file.unlink(missing_ok=True)


def _name(time: np.datetime64) -> str:
    return cycle_stem(units.iso_utc(time))
