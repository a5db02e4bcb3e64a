"""What a reader wants first: a line for each method and which one is best at what."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nowcast.verify import categorical
from nowcast.verify.answer import mean_over_leads
from nowcast.verify.report import Report

SHORT_THRESHOLDS = (20.0, 35.0, 45.0)


@dataclass(frozen=True)
class Score:
    """One score of one method, by lead time.

    Attributes
    ----------
    by_lead
        ``[L]``, NaN where it is not defined.
    interval
        ``[2]`` bounds of its mean over lead times, or None.
    """

    by_lead: np.ndarray
    interval: np.ndarray | None = None

    @property
    def mean(self) -> float:
        """Over the lead times at which it is defined; NaN where it never is."""
        known = self.by_lead[np.isfinite(self.by_lead)]
        return float(known.mean()) if known.size else float("nan")


@dataclass(frozen=True)
class Column:
    """A score of all methods that have it: its heading, decimals, the value that is best (0, 1 or more is better)."""

    heading: str
    digits: int
    scores: dict[str, Score]
    target: float

    @property
    def best(self) -> str | None:
        """The method whose mean is nearest to the target; None where fewer than two have one."""
        means = {name: score.mean for name, score in self.scores.items() if np.isfinite(score.mean)}
        return min(means, key=lambda name: abs(means[name] - self.target)) if len(means) > 1 else None


def summary_columns(report: Report) -> list[Column]:
    """MAE, then CSI at some thresholds, the frequency bias at 35 dBZ and, where there are ensembles, CRPS."""
    bounds = {name: mean_over_leads(report, name) for name in report.tallies}
    tallies = report.tallies
    columns = [Column("MAE dBZ", 2, {n: Score(t.mae(), bounds[n].get("mae_dbz")) for n, t in tallies.items()}, 0.0)]
    for threshold in (t for t in SHORT_THRESHOLDS if t in report.thresholds_dbz):
        k = report.thresholds_dbz.index(threshold)
        scores = {n: Score(t.csi()[:, k], bounds[n]["csi"][k] if bounds[n] else None) for n, t in tallies.items()}
        columns.append(Column(f"CSI{threshold:g}", 3, scores, 1.0))
    if 35.0 in report.thresholds_dbz:
        k = report.thresholds_dbz.index(35.0)
        ratios = {n: Score(categorical.frequency_bias(t.counts.sum(axis=1))[:, k]) for n, t in tallies.items()}
        columns.append(Column("bias35", 2, ratios, 1.0))
    crps = {n: Score(t.ensemble.crps(), bounds[n].get("crps")) for n, t in tallies.items() if t.ensemble is not None}
    return [*columns, Column("CRPS dBZ", 2, crps, 0.0)] if crps else columns


def verdict(report: Report) -> str:
    """In a sentence or two, which method is best at what."""
    columns = [c for c in summary_columns(report) if c.heading != "bias35" and c.best is not None]
    if not columns:
        return "One method was scored: there is nothing to compare it with."
    won: dict[str, list[str]] = {}
    for column in columns:
        assert column.best is not None
        value = f"{column.heading} {column.scores[column.best].mean:.{column.digits}f}"
        won.setdefault(column.best, []).append(value)
    order = sorted(won, key=lambda name: -len(won[name]))
    parts = [f"{name} is best at {_listed(won[name])}" for name in order]
    return f"Of {len(report.tallies)} methods, {'; '.join(parts)} (means over the lead times)."


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def score_table(report: Report) -> str:
    """A table for the terminal, as text: means over lead times and, in brackets, the values at the last one."""
    from rich.console import Console
    from rich.table import Table

    columns = [c for c in summary_columns(report) if c.heading != "bias35"]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("method")
    for column in columns:
        table.add_column(column.heading, justify="right")
    for name in report.tallies:
        table.add_row(name, *(_mean_and_last(column.scores.get(name), column.digits) for column in columns))
    text = io.StringIO()
    Console(file=text, width=120, markup=False, highlight=False, no_color=True).print(table)
    leads = ", ".join(f"{m:g}" for m in report.lead_minutes)
    count = len(report.initial_times)
    note = f"{count} initial time{'s' * (count > 1)}; mean over lead times {leads} min (in brackets the last)"
    rows = [line.rstrip() for line in text.getvalue().splitlines()]
    return "\n".join([note, *rows])


def _mean_and_last(score: Score | None, digits: int) -> str:
    if score is None:
        return ""
    mean, last = (f"{x:.{digits}f}" if np.isfinite(x) else "-" for x in (score.mean, float(score.by_lead[-1])))
    return f"{mean} ({last})"
