"""Storm cells on a map: their outlines now, where they came from, and where they go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch
from numpy.typing import NDArray

from nowcast.cells import Ahead, Cell, CellConfig
from nowcast.gaussians import render
from nowcast.plot.frames import Frame, clock, lead_text, origin_text, peak_text, utc
from nowcast.plot.layout import Strip, block_size, new_sheet
from nowcast.plot.maps import HALO, draw_map, field_name, horizontal, label_axes, map_aspect, name_lines
from nowcast.plot.room import Room
from nowcast.plot.style import FORECAST_INK, LEVELS_DBZ, NO_ECHO, SMALL_SIZE, Palette, reflectivity_scale
from nowcast.types import GaussianSequence

Points = NDArray[np.float64]
KEY_IN = 1.08
NEAR_POINTS = 12.0
NAME_OFFSETS = np.array(
    [
        (radius * np.cos(angle), radius * np.sin(angle))
        for radius in (9.0, 16.0, 24.0, 34.0)
        for angle in np.radians([45, 135, 315, 225, 0, 180, 90, 270])
    ]
)
"""Points from a cell's centroid at which its number may stand, the first the rather."""


def plot_tracks(
    gaussians: GaussianSequence,
    cells: Sequence[Sequence[Cell]],
    ahead: Sequence[Ahead],
    config: CellConfig | None = None,
    palette: Palette = "standard",
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
    config
        What the cells were found with; None for the defaults.
    palette
        ``"standard"`` or ``"safe"`` colours.
    """
    grid, scale = gaussians.grid, reflectivity_scale(palette)
    shown = Frame(render(gaussians.at(-1), grid)[0], grid, gaussians.times[-1], certain=False)
    sheet = new_sheet(*block_size(1, 1, 6.6, map_aspect(grid)), bottom=KEY_IN)
    [[axes]] = sheet.cells(1, 1)
    field = horizontal(shown)
    draw_map(axes, field, grid, scale, detail=False)
    newest = {cell.id: cell for cell in cells[-1]} if cells else {}
    futures = [np.vstack([_place(newest[track.id]), track.centre_m / 1e3]) for track in ahead]
    _draw_lines(axes, futures, FORECAST_INK)
    pasts = [np.array([_place(c) for now in cells for c in now if c.id == number]) for number in newest]
    _draw_lines(axes, pasts, "0.1")
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
    room = Room(axes, field, grid)
    unnamed = _name(axes, list(newest.values()), room)
    name_lines(axes, grid, room)
    told = "1 cell" if len(newest) == 1 else f"{len(newest)} cells"
    told += f", {unnamed} without room for a number" if unnamed else ""
    Strip(axes, f"{told} · {clock(shown.valid_time)}", peak_text(shown), forecast=False)
    label_axes([[axes]])
    facts = f"{utc(shown.valid_time)} · origin {origin_text(grid)} · echo as the Gaussians draw it"
    sheet.headline(f"Storm cells, {field_name(grid, None)}", facts)
    sheet.colour_bar(scale)
    sheet.legend(_handles(config or CellConfig(), gaussians, ahead))
    return sheet.figure


def _handles(config: CellConfig, gaussians: GaussianSequence, ahead: Sequence[Ahead]) -> list[Artist]:
    """What each line on the map is."""
    what = f"hull of a cell: at least {config.threshold_dbz:g} dBZ, {config.least_area_km2:g} km²"
    since = f"centre at each volume since {clock(gaussians.times[0])}"
    style: dict[str, Any] = {"marker": "o", "markersize": 3.0, "linewidth": 1.5}
    handles: list[Artist] = [
        Patch(facecolor=NO_ECHO, edgecolor="0.3", label=f"no echo (below {LEVELS_DBZ[0]} dBZ)"),
        Patch(facecolor="none", edgecolor="black", linewidth=1.3, label=what),
        Line2D([], [], color="0.1", label=since, **style),
    ]
    if ahead:
        handles.append(
            Line2D([], [], color=FORECAST_INK, label=f"forecast to {lead_text(ahead[0].lead_s[-1] / 60)}", **style)
        )
    if any(track.spread_m is not None for track in ahead):
        ring: dict[str, Any] = {"marker": "o", "markersize": 7, "markerfacecolor": "none", "markeredgewidth": 0.6}
        told = "spread: RMS distance of the members from their mean"
        handles.append(Line2D([], [], color=FORECAST_INK, linestyle="none", label=told, **ring))
    return handles


def _place(cell: Cell) -> Points:
    return np.array([cell.shape.x_m, cell.shape.y_m]) / 1e3


def _draw_lines(axes: Axes, lines: Sequence[Points], ink: str) -> None:
    """Tracks with a dot at each time, on white so that they stand out from echo."""
    for colour, width in (("white", 3.2), (ink, 1.5)):
        axes.add_collection(LineCollection(list(lines), colors=colour, linewidths=width), autolim=False)
    dots = np.concatenate(lines) if lines else np.empty((0, 2))
    axes.scatter(dots[:, 0], dots[:, 1], s=13, color=ink, edgecolors="white", linewidths=0.5, zorder=3)


def _name(axes: Axes, cells: Sequence[Cell], room: Room) -> int:
    """The number of each cell near its centroid, the largest first, with a line to it where it had to move away.

    Returns how many have no room.
    """
    lacking = 0
    for cell in sorted(cells, key=lambda cell: -cell.shape.area_km2):
        here, number = _place(cell), str(cell.id)
        around = [(here + offset * room.km_per_point).tolist() for offset in NAME_OFFSETS]
        (place,) = room.put([number], [[(x, y)] for x, y in around], SMALL_SIZE, shy=False)
        if place is None:
            lacking += 1
            continue
        moved = np.hypot(*(np.array(place) - here)) > NEAR_POINTS * room.km_per_point
        axes.annotate(
            number, tuple(here), place, ha="center", va="center", fontsize=SMALL_SIZE, fontweight="bold",
            path_effects=[HALO], arrowprops={"arrowstyle": "-", "linewidth": 0.6} if moved else None,
        )  # fmt: skip
    return lacking
