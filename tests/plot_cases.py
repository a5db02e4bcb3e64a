"""Forecasts to draw, and what a drawn figure shows and says."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from nowcast.types import Forecast, VolumeSequence


def forecast_of(sequence: VolumeSequence, at: int, leads: int = 4, method: str = "persistence") -> Forecast:
    """The volume at an index, every ten minutes again."""
    values = np.repeat(sequence.reflectivity[at : at + 1], leads, axis=0)[None]
    times = np.timedelta64(600_000_000_000, "ns") * np.arange(1, leads + 1)
    return Forecast(sequence.times[at], times, values, sequence.grid, method)


def strips(figure: Figure) -> list[str]:
    """What the strips over the cells say on their left."""
    figure.canvas.draw()
    return [axes.texts[0].get_text() for axes in figure.axes if axes.texts and axes.get_visible()]


def words(figure: Figure) -> list[tuple[str, Bbox]]:
    """Every text that a drawn figure shows, with its box in pixels."""
    figure.canvas.draw()
    shown = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in filter(Axes.get_visible, figure.axes):
        shown += [*axes.texts, axes.xaxis.label, axes.yaxis.label]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            shown += [label for tick in ticks for label in (tick.label1, tick.label2)]
    return [(t.get_text(), Text.get_window_extent(t)) for t in shown if t.get_visible() and t.get_text().strip()]


def pixels(figure: Figure) -> np.ndarray:
    """``[H, W, 3]`` uint8 of a drawn figure."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]


def colour_at(figure: Figure, x_km: float, y_km: float, axes: int = 0) -> str:
    """Colour of the pixel at a place of a map or section, as ``#rrggbb``."""
    drawn = pixels(figure)
    column, row = figure.axes[axes].transData.transform((x_km, y_km))
    return to_hex(drawn[drawn.shape[0] - 1 - int(row), int(column)] / 255.0)
