"""Scores by lead time and by height."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nowcast import units
from nowcast.plot.style import TEXT_SIZE, TITLE_SIZE
from nowcast.verify import Report, csi, mean_absolute_error

# Okabe and Ito's colours, which colour-blind eyes tell apart; the markers help in print.
STYLES = {
    "persistence": ("#000000", "o"),
    "extrapolation": ("#e69f00", "s"),
    "extrapolation-levels": ("#009e73", "^"),
    "advection": ("#0072b2", "D"),
    "gaumamba": ("#d55e00", "*"),
}
OTHER_STYLES = (("#cc79a7", "v"), ("#56b4e9", "P"), ("#999999", "X"))
HEIGHT_THRESHOLDS = (20.0, 35.0, 45.0)


def plot_by_lead(report: Report) -> Figure:
    """CSI by lead time, a panel for each threshold, and the mean absolute error; one line per method."""
    thresholds = report.thresholds_dbz
    figure, panels = _panels(len(thresholds) + 1)
    for k, threshold in enumerate(thresholds):
        curves = {name: tally.csi()[:, k] for name, tally in report.tallies.items()}
        _draw(panels[k], report.lead_minutes, curves, f"CSI at {threshold:g} dBZ")
        panels[k].set_ylim(0, None)
    errors = {name: tally.mae() for name, tally in report.tallies.items()}
    _draw(panels[-1], report.lead_minutes, errors, "mean absolute error [dBZ]")
    for panel in panels:
        panel.set_xlabel("lead time [min]")
        panel.set_xlim(0, None)
    _finish(figure, panels[0], report)
    return figure


def plot_by_height(report: Report) -> Figure:
    """The same by height, all lead times together."""
    thresholds = [t for t in HEIGHT_THRESHOLDS if t in report.thresholds_dbz] or list(report.thresholds_dbz[:3])
    figure, panels = _panels(len(thresholds) + 1)
    height_km = np.array(report.heights_m) / 1000.0
    for panel, threshold in zip(panels, thresholds, strict=False):
        k = report.thresholds_dbz.index(threshold)
        for name, tally in report.tallies.items():
            _line(panel, name, csi(tally.counts[:, :, k].sum(axis=0)), height_km, report)
        panel.set_title(f"CSI at {threshold:g} dBZ", fontsize=TEXT_SIZE)
    for name, tally in report.tallies.items():
        _line(panels[-1], name, mean_absolute_error(tally.sums.sum(axis=0)), height_km, report)
    panels[-1].set_title("mean absolute error [dBZ]", fontsize=TEXT_SIZE)
    for panel in panels:
        panel.set_ylabel("height [km]")
        panel.set_xlim(0, None)
        panel.grid(alpha=0.3)
    _finish(figure, panels[0], report)
    return figure


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    columns = count if count <= 4 else 3
    rows = -(-count // columns)
    figure = Figure(figsize=(3.6 * columns, 2.9 * rows + 0.7), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for spare in axes[count:]:
        spare.remove()
    return figure, axes[:count]


def _draw(panel: Axes, minutes: list[float], curves: dict[str, np.ndarray], title: str) -> None:
    for name, (colour, marker) in _styles(curves).items():
        panel.plot(minutes, curves[name], color=colour, marker=marker, ms=5, lw=1.6, label=name)
    panel.set_title(title, fontsize=TEXT_SIZE)
    panel.grid(alpha=0.3)


def _line(panel: Axes, name: str, values: np.ndarray, height_km: np.ndarray, report: Report) -> None:
    colour, marker = _styles(report.tallies)[name]
    panel.plot(values, height_km, color=colour, marker=marker, ms=3, lw=1.4, label=name)


def _styles(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    other = [n for n in names if n not in STYLES]
    spare = {n: OTHER_STYLES[i % len(OTHER_STYLES)] for i, n in enumerate(other)}
    return {n: STYLES.get(n) or spare[n] for n in names}


def _finish(figure: Figure, panel: Axes, report: Report) -> None:
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(len(labels), 5), frameon=False, fontsize=TEXT_SIZE
    )
    first, last = (units.iso_utc(report.initial_times[i], "m") for i in (0, -1))
    figure.suptitle(f"{len(report.initial_times)} initial times, {first} to {last}", fontsize=TITLE_SIZE)
