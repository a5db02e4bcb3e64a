"""Reports as tables: CSV files for programs, a short one for the eye."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from nowcast.io.answers import json_text
from nowcast.io.atomic import atomic_write_text
from nowcast.verify.answer import CATEGORICAL, CONTINUOUS
from nowcast.verify.report import Report

SHORT_THRESHOLDS = (20.0, 35.0, 45.0)

Row = list[object]


def write_tables(report: Report, folder: Path) -> list[Path]:
    """Write a report as ``scores.csv``, ``errors.csv``, ``by_height.csv`` and ``scores.json``; returns their paths.

    Raises OutputError when a file cannot be written.
    """
    contents = {
        "scores.csv": _csv(_SCORES, _score_rows(report)),
        "errors.csv": _csv(_ERRORS, _error_rows(report)),
        "by_height.csv": _csv(_HEIGHTS, _height_rows(report)),
        "scores.json": json_text(report.answer(), indent=1) + "\n",
    }
    paths = [folder / name for name in contents]
    for path, text in zip(paths, contents.values(), strict=True):
        atomic_write_text(path, text)
    return paths


_KEY = ("method", "lead_minutes")
_EVENTS = ("threshold_dbz", "hits", "misses", "false_alarms", "csi")
_SCORES = (*_KEY, *_EVENTS, "pod", "far", "frequency_bias")
_ERRORS = (*_KEY, "fields", "voxels", "mae_dbz", "rmse_dbz", "bias_dbz")
_HEIGHTS = (*_KEY, "height_m", *_EVENTS, "voxels", "mae_dbz", "bias_dbz")


def _score_rows(report: Report) -> Iterator[Row]:
    for name, tally in report.tallies.items():
        counts = tally.counts.sum(axis=1)
        scores = [score(counts) for score in CATEGORICAL.values()]
        for i, minutes in enumerate(report.lead_minutes):
            for k, threshold in enumerate(tally.config.thresholds_dbz):
                yield [name, minutes, threshold, *counts[i, k], *(s[i, k] for s in scores)]


def _error_rows(report: Report) -> Iterator[Row]:
    for name, tally in report.tallies.items():
        sums = tally.sums.sum(axis=1)
        errors = [error(sums) for error in CONTINUOUS.values()]
        for i, minutes in enumerate(report.lead_minutes):
            yield [name, minutes, tally.cases[i], int(sums[i, 0]), *(e[i] for e in errors)]


def _height_rows(report: Report) -> Iterator[Row]:
    for name, tally in report.tallies.items():
        csi = CATEGORICAL["csi"](tally.counts)
        mae, bias = CONTINUOUS["mae_dbz"](tally.sums), CONTINUOUS["bias_dbz"](tally.sums)
        for i, minutes in enumerate(report.lead_minutes):
            for z, height in enumerate(report.heights_m):
                voxels = int(tally.sums[i, z, 0])
                for k, threshold in enumerate(tally.config.thresholds_dbz):
                    counts = tally.counts[i, z, k]
                    yield [name, minutes, height, threshold, *counts, csi[i, z, k], voxels, mae[i, z], bias[i, z]]


def _csv(header: Sequence[str], rows: Iterator[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    """Numbers to six digits; a score that is not defined leaves its cell empty."""
    if isinstance(value, float | np.floating):
        return "" if math.isnan(value) else f"{value:.6g}"
    return value


def score_table(report: Report) -> str:
    """A table for the terminal, as text: means over lead times and, in brackets, the values at the last one."""
    from rich.console import Console
    from rich.table import Table

    shown = [t for t in SHORT_THRESHOLDS if t in report.thresholds_dbz]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("method")
    for heading in ("MAE dBZ", *(f"CSI{t:g}" for t in shown)):
        table.add_column(heading, justify="right")
    for name, tally in report.tallies.items():
        csi = tally.csi()
        cells = [_mean_and_last(tally.mae(), 2)]
        cells += [_mean_and_last(csi[:, tally.config.thresholds_dbz.index(t)], 3) for t in shown]
        table.add_row(name, *cells)
    text = io.StringIO()
    Console(file=text, width=120, markup=False, highlight=False, no_color=True).print(table)
    leads = ", ".join(f"{m:g}" for m in report.lead_minutes)
    count = len(report.initial_times)
    note = f"{count} initial time{'s' * (count > 1)}; mean over lead times {leads} min (in brackets the last)"
    rows = [line.rstrip() for line in text.getvalue().splitlines()]
    return "\n".join([note, *rows])


def _mean_and_last(by_lead: np.ndarray, digits: int) -> str:
    known = by_lead[np.isfinite(by_lead)]
    mean = f"{known.mean():.{digits}f}" if known.size else "-"
    last = f"{by_lead[-1]:.{digits}f}" if np.isfinite(by_lead[-1]) else "-"
    return f"{mean} ({last})"
