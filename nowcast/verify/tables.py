"""Reports as CSV and JSON files, for programs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.io.answers import json_text
from nowcast.io.atomic import atomic_write_text
from nowcast.units import iso_utc
from nowcast.verify import ensemble
from nowcast.verify.answer import CATEGORICAL, CONTINUOUS
from nowcast.verify.confidence import intervals
from nowcast.verify.ensemble import EnsembleTally
from nowcast.verify.report import Report
from nowcast.verify.structure import wavelengths_m
from nowcast.verify.tally import Tally

Row = list[object]
Rows = Iterator[Row]


def write_tables(
    report: Report, folder: Path, prefix: str = "", *, facts: Mapping[str, Any] | None = None
) -> list[Path]:
    """Write a report as ``scores.json`` and one CSV file per kind of score; returns their paths.

    ``facts``, of what was scored and how, go into the JSON file as ``provenance``. Files that
    have no row, as those of members where there are none, are not written. Raises OutputError when a file cannot be
    written.
    """
    told = {"provenance": dict(facts)} if facts else {}
    contents = {"scores.json": json_text({**report.answer(), **told}, indent=1) + "\n"}
    for name, (header, rows) in _TABLES.items():
        text = _csv(header, rows(report))
        if text.count("\n") > 1:
            contents[name] = text
    paths = [folder / f"{prefix}{name}" for name in contents]
    for path, text in zip(paths, contents.values(), strict=True):
        atomic_write_text(path, text)
    return paths


def _score_rows(report: Report) -> Rows:
    for name, tally in report.tallies.items():
        counts, area = tally.counts.sum(axis=1), tally.area_km2()
        scores = [score(counts) for score in CATEGORICAL.values()]
        bounds = intervals(report, name).get("csi", np.full((*counts.shape[:2], 2), np.nan))
        for i, minutes in enumerate(report.lead_minutes):
            for k, threshold in enumerate(report.thresholds_dbz):
                values = (*(s[i, k] for s in scores), *bounds[i, k], *area[i, k])
                yield [name, minutes, threshold, *counts[i, k], *values]


def _error_rows(report: Report) -> Rows:
    for name, tally in report.tallies.items():
        sums = tally.sums.sum(axis=1)
        errors = [error(sums) for error in CONTINUOUS.values()]
        bounds = intervals(report, name).get("mae_dbz", np.full((len(sums), 2), np.nan))
        for i, minutes in enumerate(report.lead_minutes):
            yield [name, minutes, tally.cases[i], int(sums[i, 0]), *(e[i] for e in errors), *bounds[i]]


def _height_rows(report: Report) -> Rows:
    for name, tally in report.tallies.items():
        csi = CATEGORICAL["csi"](tally.counts)
        mae, bias = CONTINUOUS["mae_dbz"](tally.sums), CONTINUOUS["bias_dbz"](tally.sums)
        for i, minutes in enumerate(report.lead_minutes):
            for z, height in enumerate(report.heights_m):
                voxels = int(tally.sums[i, z, 0])
                for k, threshold in enumerate(report.thresholds_dbz):
                    counts = tally.counts[i, z, k]
                    yield [name, minutes, height, threshold, *counts, csi[i, z, k], voxels, mae[i, z], bias[i, z]]


def _scale_rows(report: Report) -> Rows:
    for name, tally in report.tallies.items():
        skill = tally.fss()
        for i, minutes in enumerate(report.lead_minutes):
            for k, threshold in enumerate(report.thresholds_dbz):
                for w, width in enumerate(tally.window_m):
                    yield [name, minutes, threshold, width / 1000.0, skill[i, k, w]]


def _spectrum_rows(report: Report) -> Rows:
    for name, tally in report.tallies.items():
        spectrum = tally.spectrum()
        for i, minutes in enumerate(report.lead_minutes):
            for length, *power in zip(wavelengths_m(report.grid), *spectrum[i], strict=True):
                yield [name, minutes, length / 1000.0, *power]


def _event_rows(report: Report) -> Rows:
    for event in report.events:
        times = report.times_of(event)
        for name, events in report.by_event.items():
            if event not in events:
                continue
            tally = events[event]
            counts, csi, mae = tally.counts.sum(axis=1), tally.csi(), tally.mae()
            crps = np.full(len(mae), np.nan) if tally.ensemble is None else tally.ensemble.crps()
            for i, minutes in enumerate(report.lead_minutes):
                for k, threshold in enumerate(report.thresholds_dbz):
                    scores = (*counts[i, k], csi[i, k], mae[i], crps[i])
                    yield [times[0], times[-1], len(times), name, minutes, threshold, *scores]


def _with_members(report: Report) -> Iterator[tuple[str, Tally, EnsembleTally]]:
    for name, tally in report.tallies.items():
        if tally.ensemble is not None:
            yield name, tally, tally.ensemble


def _ensemble_rows(report: Report) -> Rows:
    for name, tally, found in _with_members(report):
        columns = (found.crps(), found.crps(fair=True), found.spread(), tally.rmse(), tally.spread_skill())
        for i, minutes in enumerate(report.lead_minutes):
            yield [name, minutes, found.members, *(column[i] for column in columns)]


def _probability_rows(report: Report) -> Rows:
    for name, _, found in _with_members(report):
        plain, fair = ensemble.brier(found.exceeded), ensemble.brier(found.exceeded, fair=True)
        skill = ensemble.brier_skill(found.exceeded)
        for i, minutes in enumerate(report.lead_minutes):
            for k, threshold in enumerate(report.thresholds_dbz):
                yield [name, minutes, threshold, plain[i, k], fair[i, k], skill[i, k]]


def _reliability_rows(report: Report) -> Rows:
    for name, _, found in _with_members(report):
        share = ensemble.observed_share(found.exceeded)
        for i, minutes in enumerate(report.lead_minutes):
            for k, threshold in enumerate(report.thresholds_dbz):
                for m, (none, some) in enumerate(found.exceeded[i, k]):
                    yield [name, minutes, threshold, m / found.members, none + some, some, share[i, k, m]]


def _rank_rows(report: Report) -> Rows:
    for name, _, found in _with_members(report):
        for i, minutes in enumerate(report.lead_minutes):
            for rank, voxels in enumerate(found.ranks[i], 1):
                yield [name, minutes, rank, voxels]


_KEY = ("method", "lead_minutes")
_COUNTS = ("threshold_dbz", "hits", "misses", "false_alarms", "csi")
_EVENT = ("event_first", "event_last", "initial_times")
_OF_EVENTS = ("pod", "far", "frequency_bias", "csi_low", "csi_high", "area_km2", "observed_area_km2")
_TABLES: dict[str, tuple[Sequence[str], Callable[[Report], Rows]]] = {
    "scores.csv": ((*_KEY, *_COUNTS, *_OF_EVENTS), _score_rows),
    "errors.csv": ((*_KEY, "fields", "voxels", *CONTINUOUS, "mae_low", "mae_high"), _error_rows),
    "by_height.csv": ((*_KEY, "height_m", *_COUNTS, "voxels", "mae_dbz", "bias_dbz"), _height_rows),
    "by_scale.csv": ((*_KEY, "threshold_dbz", "window_km", "fss"), _scale_rows),
    "by_event.csv": ((*_EVENT, *_KEY, *_COUNTS, "mae_dbz", "crps_dbz"), _event_rows),
    "spectra.csv": ((*_KEY, "wavelength_km", "forecast_dbz2", "observed_dbz2"), _spectrum_rows),
    "ensemble.csv": (
        (*_KEY, "members", "crps", "crps_fair", "spread_dbz", "error_dbz", "spread_skill"),
        _ensemble_rows,
    ),
    "probability.csv": ((*_KEY, "threshold_dbz", "brier", "brier_fair", "brier_skill"), _probability_rows),
    "reliability.csv": (
        (*_KEY, "threshold_dbz", "probability", "voxels", "events", "observed_share"),
        _reliability_rows,
    ),
    "ranks.csv": ((*_KEY, "rank", "voxels"), _rank_rows),
}


def _csv(header: Sequence[str], rows: Rows) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    """Numbers to six digits, times as ISO 8601; a score that is not defined leaves its cell empty."""
    if isinstance(value, np.datetime64):
        return iso_utc(value)
    if isinstance(value, float | np.floating):
        return "" if math.isnan(value) else f"{value:.6g}"
    return value
