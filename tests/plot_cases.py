"""Forecasts to draw, and what a drawn figure shows and says."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

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


def pixels(figure: Figure) -> np.ndarray:
    """``[H, W, 3]`` uint8 of a drawn figure."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]


def colour_at(figure: Figure, x_km: float, y_km: float, axes: int = 0) -> str:
    """Colour of the pixel at a place of a map or section, as ``#rrggbb``."""
    drawn = pixels(figure)
    column, row = figure.axes[axes].transData.transform((x_km, y_km))
    return to_hex(drawn[drawn.shape[0] - 1 - int(row), int(column)] / 255.0)
