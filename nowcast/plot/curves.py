"""What all pictures of scores share: a colour and a marker for each method, panels, curves, a legend below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nowcast import units
from nowcast.plot.style import TEXT_SIZE, TITLE_SIZE
from nowcast.verify import Report

INK = "#000000"
"""Of text and axes, too; a web page finds it in a picture and puts its own ink there."""

# Okabe and Ito's colours, which colour-blind eyes tell apart; the markers help in print.
STYLES = {
    "persistence": (INK, "o"),
    "reconstruction": ("#999999", "X"),
    "extrapolation": ("#e69f00", "s"),
    "extrapolation-levels": ("#009e73", "^"),
    "steps": ("#cc79a7", "v"),
    "advection": ("#0072b2", "D"),
    "gaumamba": ("#d55e00", "*"),
}
OTHER_STYLES = (("#56b4e9", "P"), ("#8c564b", "h"), ("#7f7f00", "d"))
SHOWN_THRESHOLDS = (20.0, 35.0, 45.0)


def shown_thresholds(report: Report) -> list[float]:
    """The thresholds of pictures that have no room for all."""
    return [t for t in SHOWN_THRESHOLDS if t in report.thresholds_dbz] or list(report.thresholds_dbz[:3])


def shown_leads(report: Report) -> list[int]:
    """Positions of the first, the middle and the last lead time."""
    last = len(report.lead_times) - 1
    return sorted({0, last // 2, last})


def styles_of(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker by method."""
    names = list(names)
    other = [n for n in names if n not in STYLES]
    spare = {n: OTHER_STYLES[i % len(OTHER_STYLES)] for i, n in enumerate(other)}
    return {n: STYLES.get(n) or spare[n] for n in names}


def make_panels(count: int, *, columns: int | None = None, height: float = 2.9) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels, in rows of ``columns``."""
    columns = columns or (count if count <= 4 else 3)
    rows = -(-count // columns)
    figure = Figure(figsize=(3.6 * columns, height * rows + 0.7), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for spare in axes[count:]:
        spare.remove()
    for panel in axes[:count]:
        panel.grid(alpha=0.3)
    return figure, axes[:count]


def draw_curves(
    panel: Axes, x: Iterable[float], curves: Mapping[str, np.ndarray], title: str, *, all_names: Iterable[str]
) -> None:
    """One line for each method, in the colours that they have among all methods of the report."""
    styles = styles_of(all_names)
    for name, values in curves.items():
        colour, marker = styles[name]
        panel.plot(list(x), values, color=colour, marker=marker, ms=5, lw=1.6, label=name)
    panel.set_title(title, fontsize=TEXT_SIZE)


def draw_band(panel: Axes, x: Iterable[float], bounds: np.ndarray, colour: str) -> None:
    """A confidence interval ``[X, 2]`` behind its curve."""
    panel.fill_between(list(x), bounds[:, 0], bounds[:, 1], color=colour, alpha=0.15, lw=0)


def lead_axis(panel: Axes) -> None:
    """The horizontal axis is the lead time, from now on."""
    panel.set_xlabel("lead time [min]")
    panel.set_xlim(0, None)


def from_zero(panel: Axes) -> None:
    """The vertical axis starts at 0 and ends above the highest marker."""
    panel.set_ylim(0, 1.05 * panel.get_ylim()[1])


def finish(figure: Figure, panels: list[Axes], report: Report) -> Figure:
    """A legend of all curves below, and above it which forecasts the picture is about."""
    entries: dict[str, Artist] = {}
    for panel in panels:
        handles, labels = panel.get_legend_handles_labels()
        entries = dict(zip(labels, handles, strict=True)) | entries
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=min(max(len(entries), 1), 5),
        frameon=False,
        fontsize=TEXT_SIZE,
    )
    first, last = (units.iso_utc(report.initial_times[i], "m") for i in (0, -1))
    figure.suptitle(f"{len(report.initial_times)} initial times, {first} to {last}", fontsize=TITLE_SIZE)
    return figure
