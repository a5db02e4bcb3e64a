"""Vertical sections of volumes along any straight line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from nowcast.errors import UsageError
from nowcast.plot.frames import Frame, Source, clock, datum, frame_at, frame_of, match_tolerance_s, peak_of, utc
from nowcast.plot.layout import GAP_IN, STRIP_IN, Sheet, Strip, new_sheet
from nowcast.plot.maps import HALO, caption, draw_map, extent_km, label_axes, map_aspect
from nowcast.plot.style import NOT_OBSERVED, SMALL_SIZE, TEXT_SIZE, ColourScale, Palette, reflectivity_scale
from nowcast.products import column_maximum
from nowcast.types import Float32, GridSpec

DEFAULT_LENGTH_KM = 150.0


@dataclass(frozen=True)
class Line:
    """A straight line over the ground from (x0, y0) to (x1, y1), km east and north of the grid's origin."""

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        if not np.isfinite([self.x0, self.y0, self.x1, self.y1]).all() or self.length_km < 1e-3:
            raise UsageError(f"a section from ({self.x0}, {self.y0}) to ({self.x1}, {self.y1}) km has no length")

    @property
    def length_km(self) -> float:
        return float(np.hypot(self.x1 - self.x0, self.y1 - self.y0))

    @property
    def direction(self) -> NDArray[np.float64]:
        """Unit vector (x, y) from the start to the end."""
        return np.array([self.x1 - self.x0, self.y1 - self.y0]) / self.length_km

    def text(self) -> str:
        return f"from ({self.x0:.0f}, {self.y0:.0f}) to ({self.x1:.0f}, {self.y1:.0f}) km"


def plot_section(
    source: Source,
    indices: Sequence[int] = (-1,),
    *,
    line: Line | None = None,
    observed: Source | None = None,
    member: int | None = None,
    palette: Palette = "standard",
) -> Figure:
    """Sections along one line at one or several times, beside a map that shows where the line runs.

    Parameters
    ----------
    source
        Observed volumes or a forecast.
    indices
        Which of its times, one section each, from top to bottom.
    line
        Where to cut; None for :func:`default_line` of the first of these times.
    observed
        Volumes to draw in a second column at the same valid times.
    member
        Which member of an ensemble; None for the control forecast or, without one, the first.

    Raises
    ------
    UsageError
        There is no such time, or the line does not cross the grid.
    """
    frames = [frame_of(source, index, member) for index in indices]
    line = default_line(frames[0]) if line is None else line
    _check_crosses(line, frames[0].grid)
    columns: list[list[Frame | None]] = [list(frames)]
    if observed is not None:
        columns.insert(0, [frame_at(observed, f.valid_time, match_tolerance_s(source)) for f in frames])
    scale = reflectivity_scale(palette)
    first = frames[0]
    sheet, chart, cells = _map_and_sections(len(frames), len(columns), map_aspect(first.grid))
    draw_map(chart, column_maximum(first.field), first.grid, scale, detail=False)
    draw_line(chart, line)
    Strip(chart, f"{first.mark} · column maximum", forecast=first.is_forecast)
    label_axes([[chart]])
    for column, shown in enumerate(columns):
        for row, one in enumerate(shown):
            _fill_cell(cells[row][column], one, frames[row], line, scale)
    label_sections(cells)
    times = f"init {utc(first.init_time)}" if first.init_time is not None else f"valid {utc(first.valid_time)}"
    sheet.headline(f"Vertical section {line.text()}", f"{times} · {caption(first)} · height {datum(first.grid)}")
    sheet.colour_bar(scale)
    sheet.key(certain=all(f.certain for column in columns for f in column if f is not None))
    return sheet.figure


def _map_and_sections(rows: int, columns: int, aspect: float) -> tuple[Sheet, Axes, list[list[Axes]]]:
    """A sheet with a map on the left and a block of sections on the right."""
    map_width = 3.4 if rows < 3 else 3.8
    map_height = map_width * aspect
    section_width = 4.6 if columns == 1 else 3.9
    width = map_width + 0.75 + section_width * columns + GAP_IN * (columns - 1)
    height = max(map_height + STRIP_IN, 1.65 * rows + GAP_IN * (rows - 1))
    sheet = new_sheet(width, height)
    left, bottom, _, _ = sheet.inner
    # The map stands level with the top of the sections.
    chart = sheet.axes(left, bottom + height - STRIP_IN - map_height, map_width, map_height)
    x = left + map_width + 0.75
    cells = sheet.cells(rows, columns, (x, bottom, width + left - x, height))
    return sheet, chart, cells


def label_sections(cells: Sequence[Sequence[Axes]]) -> None:
    """Name the axes of a block of sections, on its outer side only."""
    for cell in cells[-1]:
        cell.set_xlabel("distance along A–B [km]", fontsize=SMALL_SIZE + 0.5, labelpad=2)
    for row in cells:
        row[0].set_ylabel("height [km]", fontsize=SMALL_SIZE + 0.5, labelpad=2)


def _fill_cell(cell: Axes, shown: Frame | None, wanted: Frame, line: Line, scale: ColourScale) -> None:
    if shown is None:
        Strip(cell, f"OBSERVED · {clock(wanted.valid_time)}", "no volume", forecast=False)
        cell.set_xlim(0.0, line.length_km)
        cell.set_ylim(section_heights_km(wanted.grid))
        return
    draw_section(cell, shown.field, shown.grid, line, scale)
    peak = peak_of(sample_section(shown.field, shown.grid, line))
    Strip(cell, f"{shown.mark} · {clock(shown.valid_time)}", peak, forecast=shown.is_forecast)


def default_line(shown: Frame) -> Line:
    """West to east through the deepest echo of a frame, 150 km long where the grid has the room.

    The deepest echo is where the mean over the column, smoothed over 5 x 5 columns, is greatest: a storm's core
    rather than one strong pixel.
    """
    depth = uniform_filter(np.nan_to_num(shown.field, nan=0.0).mean(axis=0), size=5, mode="constant")
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    if depth.max() <= 0.0:
        row, column = depth.shape[0] // 2, depth.shape[1] // 2
    west, east, _, _ = extent_km(shown.grid)
    x, y = float(shown.grid.x[column]) / 1e3, float(shown.grid.y[row]) / 1e3
    half = min(DEFAULT_LENGTH_KM, east - west) / 2
    x = float(np.clip(x, west + half, east - half))
    return Line(x - half, y, x + half, y)


def sample_section(field: Float32, grid: GridSpec, line: Line) -> Float32:
    """Values of ``field [Z, Y, X]`` along a line, ``[Z, S]``: of the nearest voxel, NaN outside of the grid.

    Points are half the horizontal spacing apart, or closer. Nearest values, and no interpolation, because a mean of
    two dBZ values is a colour that neither map nor data holds.
    """
    _, dy, dx = grid.spacing_m
    count = max(int(np.ceil(line.length_km * 1e3 / (0.5 * min(dx, dy)))), 2)
    along = (np.arange(count) + 0.5) / count
    column = np.rint(((line.x0 + along * (line.x1 - line.x0)) * 1e3 - grid.first_m[2]) / dx).astype(int)
    row = np.rint(((line.y0 + along * (line.y1 - line.y0)) * 1e3 - grid.first_m[1]) / dy).astype(int)
    _, ny, nx = grid.shape
    inside = (row >= 0) & (row < ny) & (column >= 0) & (column < nx)
    section = np.full((grid.shape[0], count), np.nan, np.float32)
    section[:, inside] = field[:, row[inside], column[inside]]
    return section


def section_heights_km(grid: GridSpec) -> tuple[float, float]:
    """From the ground, or the lowest level's lower edge where that is below it, to the highest one's upper edge."""
    half = grid.spacing_m[0] / 2
    return min(0.0, (grid.z[0] - half) / 1e3), (grid.z[-1] + half) / 1e3


def draw_section(axes: Axes, field: Float32, grid: GridSpec, line: Line, scale: ColourScale) -> None:
    """Draw the section of ``field [Z, Y, X]`` along a line; below the lowest level nothing is observed."""
    dz_km = grid.spacing_m[0] / 1e3
    bottom, top = grid.z[0] / 1e3 - dz_km / 2, grid.z[-1] / 1e3 + dz_km / 2
    axes.set_facecolor(NOT_OBSERVED)
    axes.imshow(
        sample_section(field, grid, line), origin="lower", extent=(0.0, line.length_km, bottom, top), aspect="auto",
        cmap=scale.cmap, norm=scale.norm, interpolation="nearest",
    )  # fmt: skip
    axes.set_xlim(0.0, line.length_km)
    axes.set_ylim(section_heights_km(grid))
    axes.tick_params(labelsize=SMALL_SIZE)
    axes.grid(color="0.45", linewidth=0.4, linestyle=":")
    for x, name, side in ((0.0, "A", "left"), (1.0, "B", "right")):
        axes.annotate(
            name, (x, 0.0), xycoords="axes fraction", xytext=(4 if x == 0 else -4, 3), textcoords="offset points",
            ha=side, fontsize=TEXT_SIZE, fontweight="bold", path_effects=[HALO],
        )  # fmt: skip


def draw_line(axes: Axes, line: Line) -> None:
    """Mark a section's line A–B on a map."""
    axes.plot([line.x0, line.x1], [line.y0, line.y1], color="black", linewidth=1.6, path_effects=[HALO])
    # Above the line and a little inwards, so that they stay on the map when the line ends at its edge.
    across = np.array([-line.direction[1], line.direction[0]])
    across *= 1.0 if across[1] >= 0 else -1.0
    for x, y, name, sign in ((line.x0, line.y0, "A", 1), (line.x1, line.y1, "B", -1)):
        dx, dy = 8 * across + 6 * sign * line.direction
        axes.annotate(
            name,
            (x, y),
            xytext=(float(dx), float(dy)),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=TEXT_SIZE,
            fontweight="bold",
            path_effects=[HALO],
            annotation_clip=True,
        )


def _check_crosses(line: Line, grid: GridSpec) -> None:
    west, east, south, north = extent_km(grid)
    along = np.linspace(0.0, 1.0, 501)
    x, y = line.x0 + along * (line.x1 - line.x0), line.y0 + along * (line.y1 - line.y0)
    if not ((x >= west) & (x <= east) & (y >= south) & (y <= north)).any():
        raise UsageError(
            f"a section {line.text()} does not cross the grid, which reaches from {west:.0f} to {east:.0f} km east "
            f"and {south:.0f} to {north:.0f} km north: give the line in km"
        )
