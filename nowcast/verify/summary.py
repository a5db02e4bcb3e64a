"""What a reader wants first: a line for each method and which one is best at what."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nowcast.verify import bootstrap, categorical
from nowcast.verify.confidence import resampled_scores
from nowcast.verify.report import Report

Array = NDArray[np.float64]

BIAS = "bias35"
SHORT_THRESHOLDS = (20.0, 35.0, 45.0)


@dataclass(frozen=True)
class Score:
    """One score of one method.

    Attributes
    ----------
    by_lead
        ``[L]``, NaN where it is not defined.
    drawn
        ``[DRAWS]`` its mean over the lead times at each draw of events, or None where there is one event.
    """

    by_lead: Array
    drawn: Array | None = None

    @property
    def mean(self) -> float:
        """Over the lead times at which it is defined; NaN where it never is."""
        known = self.by_lead[np.isfinite(self.by_lead)]
        return float(known.mean()) if known.size else float("nan")

    @property
    def interval(self) -> tuple[float, float] | None:
        """Bounds of the mean, None where there are none."""
        return _bounds(self.drawn)


@dataclass(frozen=True)
class Column:
    """A score of all methods that have it: its name and unit, decimals, the value that is best (0 or 1)."""

    name: str
    unit: str
    digits: int
    scores: dict[str, Score]
    target: float

    @property
    def heading(self) -> str:
        return f"{self.name} {self.unit}".rstrip()

    @property
    def order(self) -> list[str]:
        """The methods whose mean is defined, the one nearest to the target first."""
        means = {name: score.mean for name, score in self.scores.items() if np.isfinite(score.mean)}
        return sorted(means, key=lambda name: abs(means[name] - self.target))

    @property
    def best(self) -> str | None:
        """The first of these; None where there is nothing to compare it with."""
        return self.order[0] if len(self.order) > 1 else None


@dataclass(frozen=True)
class Best:
    """Which method is best by a score, a mean over the lead times, and how far before the next.

    ``difference`` is the best's score minus the next one's, ``interval`` its bounds over events: both methods met the
    same storms, so that an interval without 0 in it tells more than two intervals that overlap. None with one event.
    """

    score: str
    method: str
    value: float
    next_method: str
    difference: float
    interval: tuple[float, float] | None


def summary_columns(report: Report) -> list[Column]:
    """MAE, then CSI at some thresholds, the frequency bias at 35 dBZ and, where there are ensembles, CRPS."""
    drawn = {
        name: {key: values.mean(axis=1) for key, values in resampled_scores(report, name).items()}
        for name in report.tallies
    }
    tallies = report.tallies
    mae = {n: Score(t.mae(), drawn[n].get("mae_dbz")) for n, t in tallies.items()}
    columns = [Column("MAE", "dBZ", 2, mae, 0.0)]
    for threshold in (t for t in SHORT_THRESHOLDS if t in report.thresholds_dbz):
        k = report.thresholds_dbz.index(threshold)
        csi = {n: Score(t.csi()[:, k], drawn[n]["csi"][:, k] if drawn[n] else None) for n, t in tallies.items()}
        columns.append(Column(f"CSI{threshold:g}", "", 3, csi, 1.0))
    if 35.0 in report.thresholds_dbz:
        k = report.thresholds_dbz.index(35.0)
        ratios = {n: Score(categorical.frequency_bias(t.counts.sum(axis=1))[:, k]) for n, t in tallies.items()}
        columns.append(Column(BIAS, "", 2, ratios, 1.0))
    crps = {n: Score(t.ensemble.crps(), drawn[n].get("crps")) for n, t in tallies.items() if t.ensemble is not None}
    return [*columns, Column("CRPS", "dBZ", 2, crps, 0.0)] if crps else columns


def best_methods(report: Report) -> list[Best]:
    """For each score of :func:`summary_columns` but the bias, which method is best; empty where there is only one."""
    found = []
    for column in summary_columns(report):
        if column.name == BIAS or len(column.order) < 2:
            continue
        first, second = column.order[:2]
        one, two = column.scores[first], column.scores[second]
        both = None if one.drawn is None or two.drawn is None else one.drawn - two.drawn
        found.append(Best(column.name, first, one.mean, second, one.mean - two.mean, _bounds(both)))
    return found


def verdict(report: Report) -> str:
    """In a sentence or two, which method is best at what, and how sure that is."""
    columns = {column.name: column for column in summary_columns(report)}
    found = best_methods(report)
    if not found:
        return "One method was scored: there is nothing to compare it with."
    won: dict[str, list[str]] = {}
    for best in found:
        column = columns[best.score]
        won.setdefault(best.method, []).append(
            f"{best.score} ({f'{best.value:.{column.digits}f} {column.unit}'.rstrip()})"
        )
    order = sorted(won, key=lambda name: -len(won[name]))
    parts = [f"{name} is best at {_listed(won[name])}" for name in order]
    text = f"Of {len(report.tallies)} methods, {'; '.join(parts)}: means over the lead times."
    if any(best.interval for best in found):
        sure = [best.score for best in found if best.interval and _without_zero(best.interval)]
        text += f" The lead over the next one is more than chance between events at {_listed(sure or ['none'])}."
    return text


def _bounds(drawn: Array | None) -> tuple[float, float] | None:
    if drawn is None or not np.isfinite(drawn).any():
        return None
    low, high = bootstrap.interval(drawn)
    return float(low), float(high)


def _without_zero(bounds: tuple[float, float]) -> bool:
    return bounds[0] > 0 or bounds[1] < 0


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def score_table(report: Report) -> str:
    """A table for the terminal, as text: means over lead times and, in brackets, the values at the last one."""
    from rich.console import Console
    from rich.table import Table

    columns = [c for c in summary_columns(report) if c.name != BIAS]
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
