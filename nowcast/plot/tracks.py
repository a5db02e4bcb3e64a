"""Storm cells on a map: their outlines now, where they came from, and where they go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from nowcast.cells import Ahead, Cell
from nowcast.gaussians import render
from nowcast.plot.frames import Frame, clock, lead_text, origin_text, peak_text, utc
from nowcast.plot.layout import Strip, block_size, new_sheet
from nowcast.plot.maps import HALO, draw_map, extent_km, field_name, horizontal, label_axes, map_aspect
from nowcast.plot.style import FORECAST_INK, SMALL_SIZE, Palette, reflectivity_scale
from nowcast.types import GaussianSequence

Points = NDArray[np.float64]
APART = 0.035
"""Names of cells closer than this part of the map's width would overlap: the larger cell has its own."""


def plot_tracks(
    gaussians: GaussianSequence, cells: Sequence[Sequence[Cell]], ahead: Sequence[Ahead], palette: Palette = "standard"
) -> Figure:
    """The newest cells on the column maximum that the Gaussians draw, with their tracks so far and to come.

    Parameters
    ----------
    gaussians
        What the cells were found in.
    cells
        By time, as of :func:`nowcast.cells.track_cells`.
    ahead
        Forecast tracks of the newest cells; circles show the spread of an ensemble.
    palette
        ``"standard"`` or ``"safe"`` colours.
    """
    grid, scale = gaussians.grid, reflectivity_scale(palette)
    shown = Frame(render(gaussians.at(-1), grid)[0], grid, gaussians.times[-1], certain=False)
    sheet = new_sheet(*block_size(1, 1, 6.6, map_aspect(grid)))
    [[axes]] = sheet.cells(1, 1)
    draw_map(axes, horizontal(shown), grid, scale)
    newest = {cell.id: cell for cell in cells[-1]} if cells else {}
    pasts = [np.array([_place(c) for now in cells for c in now if c.id == number]) for number in newest]
    _draw_lines(axes, pasts, "0.1")
    futures = [np.vstack([_place(newest[track.id]), track.centre_m / 1e3]) for track in ahead]
    _draw_lines(axes, futures, FORECAST_INK)
    circles = [
        Circle(place, radius)
        for track in ahead
        if track.spread_m is not None
        for place, radius in zip(track.centre_m / 1e3, track.spread_m / 1e3, strict=True)
    ]
    axes.add_collection(PatchCollection(circles, facecolor="none", edgecolor=FORECAST_INK, linewidth=0.6, alpha=0.7))
    outlines = [cell.shape.outline_m / 1e3 for cell in newest.values()]
    for ink, width in (("white", 3.0), ("black", 1.3)):
        axes.add_collection(LineCollection(outlines, colors=ink, linewidths=width), autolim=False)
    _name(axes, list(newest.values()), APART * (extent_km(grid)[1] - extent_km(grid)[0]))
    told = "1 cell" if len(newest) == 1 else f"{len(newest)} cells"
    Strip(axes, f"{told} · {clock(shown.valid_time)}", peak_text(shown), forecast=False)
    label_axes([[axes]])
    to_come = f" · blue: forecast to {lead_text(ahead[0].lead_s[-1] / 60)}" if ahead else ""
    facts = f"{utc(shown.valid_time)} · origin {origin_text(grid)} · black: since {clock(gaussians.times[0])}{to_come}"
    sheet.headline(f"Storm cells, {field_name(grid, None)}", facts)
    sheet.colour_bar(scale)
    sheet.key(certain=False)
    return sheet.figure


def _place(cell: Cell) -> Points:
    return np.array([cell.shape.x_m, cell.shape.y_m]) / 1e3


def _draw_lines(axes: Axes, lines: Sequence[Points], ink: str) -> None:
    """Tracks with a dot at each time, on white so that they stand out from echo."""
    for colour, width in (("white", 3.2), (ink, 1.5)):
        axes.add_collection(LineCollection(list(lines), colors=colour, linewidths=width), autolim=False)
    dots = np.concatenate([line[1:] for line in lines]) if lines else np.empty((0, 2))
    axes.scatter(dots[:, 0], dots[:, 1], s=9, color=ink, edgecolors="white", linewidths=0.4, zorder=3)


def _name(axes: Axes, cells: Sequence[Cell], apart_km: float) -> None:
    """The number of each cell beside its centroid, the largest first; none over another."""
    taken: list[Points] = []
    for cell in sorted(cells, key=lambda cell: -cell.shape.area_km2):
        place = _place(cell)
        if all(np.hypot(*(place - other)) >= apart_km for other in taken):
            taken.append(place)
            axes.annotate(
                str(cell.id), tuple(place), (3, 3), textcoords="offset points", fontsize=SMALL_SIZE,
                fontweight="bold", path_effects=[HALO], annotation_clip=True,
            )  # fmt: skip
