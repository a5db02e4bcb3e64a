"""Maps: the column maximum or one level, with range rings, the site, latitude and longitude, and coastlines.

Axes are kilometres east and north of the grid's origin, the plane of its azimuthal-equidistant projection.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from nowcast.errors import UsageError
from nowcast.plot.coastline import coastlines
from nowcast.plot.frames import (
    Frame,
    Source,
    datum,
    frame_of,
    peak_of,
    peak_text,
    place_text,
    spread_indices,
)
from nowcast.plot.graticule import graticule
from nowcast.plot.layout import Strip, block_size, columns_for, new_sheet
from nowcast.plot.room import Room
from nowcast.plot.style import NOT_OBSERVED, SMALL_SIZE, ColourScale, Palette, reflectivity_scale
from nowcast.products import column_maximum
from nowcast.types import Float32, GridSpec

HALO = withStroke(linewidth=3.0, foreground="white")
LINE_INK = "0.35"
RING_AZIMUTHS = (135, 225, 315, 45, 112, 158, 202, 248, 292, 338, 22, 68)
"""Degrees from north on which the names of the rings may stand, the first the rather."""


def plot_map(
    source: Source,
    index: int = -1,
    *,
    level_m: float | None = None,
    member: int | None = None,
    palette: Palette = "standard",
) -> Figure:
    """One map of a volume: the column maximum, or the level nearest to ``level_m``.

    Parameters
    ----------
    source
        Observed volumes or a forecast.
    index
        Which time or lead of it.
    level_m
        Height in metres in the grid's own z; None for the column maximum.
    member
        Which member of an ensemble; None for the control forecast or, without one, the first.
    palette
        ``"standard"`` or ``"safe"`` colours.

    Raises
    ------
    UsageError
        There is no such time, member, level or palette.
    """
    shown = frame_of(source, index, member)
    scale = reflectivity_scale(palette)
    sheet = new_sheet(*block_size(1, 1, 6.0, map_aspect(shown.grid)))
    [[axes]] = sheet.cells(1, 1)
    draw_map(axes, horizontal(shown, level_m), shown.grid, scale)
    Strip(axes, f"{shown.mark} · {shown.times}", peak_text(shown), forecast=shown.is_forecast)
    label_axes([[axes]])
    sheet.headline(f"Reflectivity, {field_name(shown.grid, level_m)}", caption(shown))
    sheet.colour_bar(scale)
    sheet.key(certain=shown.certain)
    return sheet.figure


def plot_levels(
    source: Source,
    index: int = -1,
    *,
    levels_m: Sequence[float] | None = None,
    member: int | None = None,
    palette: Palette = "standard",
) -> Figure:
    """Several levels of one volume side by side (default: six, spread over the grid); raises like :func:`plot_map`."""
    shown = frame_of(source, index, member)
    if levels_m is None:
        levels_m = shown.grid.z[_default_levels(shown.grid)].tolist()
    if len(levels_m) == 1:
        return plot_map(source, index, level_m=levels_m[0], member=member, palette=palette)
    scale = reflectivity_scale(palette)
    columns = columns_for(len(levels_m))
    rows = -(-len(levels_m) // columns)
    sheet = new_sheet(*block_size(rows, columns, 2.9, map_aspect(shown.grid)))
    cells = sheet.cells(rows, columns)
    flat = [cell for row in cells for cell in row]
    for cell, level_m in zip(flat, levels_m, strict=False):
        field = horizontal(shown, level_m)
        draw_map(cell, field, shown.grid, scale, detail=False)
        Strip(cell, f"{level_height(shown.grid, level_m):g} km", peak_of(field), forecast=shown.is_forecast)
    label_axes(cells)
    close_last_row(cells, len(levels_m))
    sheet.headline(
        f"{shown.mark.capitalize()}: reflectivity by height {datum(shown.grid)}", f"{shown.times} · {caption(shown)}"
    )
    sheet.colour_bar(scale)
    sheet.key(certain=shown.certain)
    return sheet.figure


def _default_levels(grid: GridSpec) -> list[int]:
    """Six levels spread between the lowest and about 14 km, where storms are."""
    low = int((grid.z <= max(14000.0, grid.z[0])).sum())
    return spread_indices(low, 6) if low < 6 else [round(i * (low - 1) / 5) for i in range(6)]


def horizontal(shown: Frame, level_m: float | None = None) -> Float32:
    """``[Y, X]`` dBZ of a frame: the column maximum, or one level; NaN where nothing was observed."""
    if level_m is None:
        return column_maximum(shown.field)
    return shown.field[nearest_level(shown.grid, level_m)]


def nearest_level(grid: GridSpec, level_m: float) -> int:
    """Index of the level nearest to a height in metres; raises UsageError for one outside of the grid."""
    index = int(np.argmin(np.abs(grid.z - level_m)))
    if abs(grid.z[index] - level_m) > max(grid.spacing_m[0] / 2, 1.0):
        raise UsageError(
            f"there is no level at {level_m:g} m: the grid's levels go from {grid.z[0]:g} to {grid.z[-1]:g} m "
            f"by {grid.spacing_m[0]:g} m"
        )
    return index


def level_height(grid: GridSpec, level_m: float) -> float:
    """Height in km of the level that is drawn for ``level_m``."""
    return float(grid.z[nearest_level(grid, level_m)]) / 1000.0


def extent_km(grid: GridSpec) -> tuple[float, float, float, float]:
    """Outer edges (west, east, south, north) of the grid in km."""
    _, dy, dx = grid.spacing_m
    x, y = grid.x, grid.y
    return (x[0] - dx / 2) / 1e3, (x[-1] + dx / 2) / 1e3, (y[0] - dy / 2) / 1e3, (y[-1] + dy / 2) / 1e3


def map_aspect(grid: GridSpec) -> float:
    """Height over width of a map, kept within what fits on a page."""
    west, east, south, north = extent_km(grid)
    return float(np.clip((north - south) / (east - west), 0.4, 2.0))


def draw_map(
    axes: Axes,
    field: Float32,
    grid: GridSpec,
    scale: ColourScale,
    *,
    view: tuple[float, float, float, float] | None = None,
    detail: bool = True,
) -> AxesImage:
    """Draw ``field [Y, X]`` with rings, coast and graticule.

    ``view`` is the part to show (west, east, south, north in km; None for all of the grid); ``detail=False`` leaves
    out the small labels.
    """
    extent = extent_km(grid)
    view = extent if view is None else view
    image = axes.imshow(field, origin="lower", extent=extent, cmap=scale.cmap, norm=scale.norm, interpolation="nearest")
    axes.set_xlim(view[:2])
    axes.set_ylim(view[2:])
    axes.set_aspect("equal")
    axes.set_facecolor(NOT_OBSERVED)
    axes.tick_params(labelsize=SMALL_SIZE)
    coast = coastlines(grid)
    if coast:
        axes.add_collection(LineCollection(list(coast), colors="0.15", linewidths=0.9), autolim=False)
    _draw_graticule(axes, grid)
    _draw_rings(axes, grid)
    if detail:
        name_lines(axes, grid, Room(axes, field, grid))
    return image


def _draw_graticule(axes: Axes, grid: GridSpec) -> None:
    lines = graticule(grid, extent_km(grid))
    collection = LineCollection(
        [line.points_km for line in lines], colors="0.55", linewidths=0.5, linestyles=(0, (1, 3))
    )
    axes.add_collection(collection, autolim=False)


def name_lines(axes: Axes, grid: GridSpec, room: Room) -> None:
    """Name parallels, meridians and rings, each kind on the side where the names hide least echo."""
    size = SMALL_SIZE - 1
    lines = graticule(grid, extent_km(grid))
    named = [[line for line in lines if line.is_parallel is kind] for kind in (True, False)]
    sets = [
        ([line.name for line in some], [[line.labels_km[end] for line in some] for end in (0, 1)]) for some in named
    ]
    radii = ring_radii_km(grid)
    if radii is not None:
        azimuths = np.radians(RING_AZIMUTHS)
        sets.append(
            (
                [f"{radius:.0f} km" for radius in radii],
                [[(radius * np.sin(a), radius * np.cos(a)) for radius in radii] for a in azimuths],
            )
        )
    for texts, choices in sets:
        for text, place in zip(texts, room.put(texts, choices, size), strict=True):
            if place is not None:
                axes.text(*place, text, ha="center", va="center", fontsize=size, color=LINE_INK, path_effects=[HALO])


def ring_radii_km(grid: GridSpec) -> NDArray[np.float64] | None:
    """Radii of the range rings, at most four within reach of the grid's edges; None where the origin is outside."""
    west, east, south, north = extent_km(grid)
    if not (west < 0 < east and south < 0 < north):
        return None
    reach = max(-west, east, -south, north)
    step = next(s for s in (10.0, 25.0, 50.0, 100.0, 200.0, 500.0, 1e9) if reach / s <= 4)
    return np.arange(step, reach * 1.0001, step)


def _draw_rings(axes: Axes, grid: GridSpec) -> None:
    radii = ring_radii_km(grid)
    if radii is None:
        return
    angle = np.linspace(0, 2 * np.pi, 181)
    circle = np.column_stack([np.sin(angle), np.cos(angle)])
    rings = [radius * circle for radius in radii]
    # A pale line under the dashes keeps them in sight on dark echo.
    for ink, width, dashes in (("#ffffff80", 1.3, "-"), (LINE_INK, 0.7, "--")):
        axes.add_collection(LineCollection(rings, colors=ink, linewidths=width, linestyles=dashes), autolim=False)
    axes.plot([0], [0], marker="+", markersize=8, markeredgewidth=1.6, color="black", path_effects=[HALO])


def label_axes(cells: Sequence[Sequence[Axes]], *, y: bool = True) -> None:
    """Name the axes of a block of maps, on its outer side only; ``y=False`` leaves out the vertical ones."""
    for axes in cells[-1]:
        axes.set_xlabel("east of origin [km]", fontsize=SMALL_SIZE + 0.5, labelpad=2)
    for row in cells if y else ():
        row[0].set_ylabel("north of origin [km]", fontsize=SMALL_SIZE + 0.5, labelpad=1)


def close_last_row(cells: list[list[Axes]], used: int) -> None:
    """Take away the cells after the first ``used`` ones; the maps above them carry the axis labels instead."""
    columns = len(cells[0])
    for spare in range(used, len(cells) * columns):
        cells[-1][spare % columns].set_visible(False)
        if len(cells) > 1:
            above = cells[-2][spare % columns]
            above.tick_params(labelbottom=True)
            label_axes([[above]], y=False)


def caption(shown: Frame) -> str:
    """Method and origin of a frame in one line."""
    method = [f"method {shown.method}"] if shown.is_forecast else []
    return " · ".join([*method, place_text(shown.grid, shown.radars)])


def field_name(grid: GridSpec, level_m: float | None) -> str:
    """What a map shows: ``column maximum of 1 to 15 km`` or ``at 3 km``, with what heights are measured from."""
    z = grid.z / 1e3
    if level_m is None and len(z) > 1:
        return f"column maximum of {z[0]:g} to {z[-1]:g} km {datum(grid)}"
    return f"at {level_height(grid, float(grid.z[0]) if level_m is None else level_m):g} km {datum(grid)}"
