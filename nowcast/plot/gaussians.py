"""Fitted Gaussians over the field that they stand for, seen from above and in a vertical section."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nowcast.plot.ellipses import cut_by, draw_ellipses, from_above, mean_motion
from nowcast.plot.frames import Frame, check_index, clock, datum, frame_at, origin_text, peak_of, utc
from nowcast.plot.layout import GAP_IN, STRIP_IN, Sheet, Strip, new_sheet
from nowcast.plot.maps import draw_map, extent_km, label_axes, map_aspect
from nowcast.plot.sections import Line, default_line, draw_line, draw_section, label_sections
from nowcast.plot.style import LEVELS_DBZ, ColourScale, Palette, difference_scale, reflectivity_scale
from nowcast.products import column_maximum
from nowcast.types import Float32, GaussianSequence, GaussianSet, VolumeSequence

MOST_ELLIPSES = 1000
ARROW_MINUTES = 60.0
ARROWS_ACROSS = 11
"""Motion is averaged over cells so large that about so many fit side by side,"""
ARROWS_UP = 4
"""and so many on top of each other."""
MAP_IN, SECTION_IN = 3.2, 1.7


def plot_gaussians(
    sequence: GaussianSequence,
    volumes: VolumeSequence | None = None,
    index: int = -1,
    *,
    line: Line | None = None,
    palette: Palette = "standard",
) -> Figure:
    """Observed and rendered field, the Gaussians as one-sigma ellipses, and rendered minus observed.

    The maps show column maxima; the sections below run along one line. Arrows on the ellipses are the motion of the
    Gaussians in an hour, averaged over cells. At most 1000 of the strongest ellipses are drawn.

    Parameters
    ----------
    sequence
        Fitted Gaussians.
    volumes
        The volumes that they were fitted to; None to draw the reconstruction alone.
    index
        Which time of the sequence.
    line
        Where to cut; None for :func:`nowcast.plot.sections.default_line`.

    Raises
    ------
    UsageError
        There is no such time.
    """
    from nowcast.gaussians import render

    check_index(sequence, index)
    rendered = np.asarray(render(sequence.at(index), sequence.grid)[0], np.float32)
    observed = frame_at(volumes, sequence.times[index], 1.0)
    if observed is not None:
        rendered = np.where(np.isnan(observed.field), np.float32(np.nan), rendered)
    fitted = Frame(rendered, sequence.grid, sequence.times[index])
    line = default_line(observed or fitted) if line is None else line
    scale = reflectivity_scale(palette)
    fields = [("RENDERED", fitted)] if observed is None else [("OBSERVED", observed), ("RENDERED", fitted)]
    sheet, maps, sections = _blocks(2 if observed is None else 4, map_aspect(sequence.grid))
    for (name, shown), chart, cut in zip(fields, maps, sections, strict=False):
        _draw_field(chart, cut, name, shown, line, scale)
    _draw_gaussians(maps[len(fields)], sections[len(fields)], sequence.at(index), fitted, line, scale)
    if observed is not None:
        _draw_difference(maps[-1], sections[-1], fitted, observed, line)
    _draw_motion(maps[len(fields)], sections[len(fields)], sequence, index, line)
    label_axes([maps])
    label_sections([sections])
    facts = f"{utc(fitted.valid_time)} · origin {origin_text(fitted.grid)} · height {datum(fitted.grid)}"
    note = (
        f"maps: column maximum · ellipses: one sigma, grey where negative · arrows: motion in {ARROW_MINUTES:.0f} min"
    )
    sheet.headline(f"{sequence.means.shape[1]} Gaussians", facts, note)
    _draw_bars(sheet, len(maps), scale, difference=observed is not None)
    sheet.key(certain=observed is None or observed.certain)
    return sheet.figure


def _blocks(columns: int, aspect: float) -> tuple[Sheet, list[Axes], list[Axes]]:
    """A sheet with a row of maps above a row of sections, and room for colour bars below."""
    width = columns * MAP_IN + (columns - 1) * GAP_IN
    map_height, middle = MAP_IN * aspect + STRIP_IN, 0.52
    sheet = new_sheet(width, map_height + middle + SECTION_IN, right=0.25, bottom=1.42, top=0.84)
    left, bottom, _, _ = sheet.inner
    [maps] = sheet.cells(1, columns, (left, bottom + SECTION_IN + middle, width, map_height))
    [sections] = sheet.cells(1, columns, (left, bottom, width, SECTION_IN))
    return sheet, maps, sections


def _draw_field(chart: Axes, cut: Axes, name: str, shown: Frame, line: Line, scale: ColourScale) -> None:
    top = column_maximum(shown.field)
    draw_map(chart, top, shown.grid, scale, detail=False)
    draw_line(chart, line)
    Strip(chart, f"{name} · {clock(shown.valid_time)}", peak_of(top), forecast=False)
    draw_section(cut, shown.field, shown.grid, line, scale)
    Strip(cut, name, forecast=False)


def _draw_gaussians(
    chart: Axes, cut: Axes, gaussians: GaussianSet, fitted: Frame, line: Line, scale: ColourScale
) -> None:
    """Ellipses on ground that shows only what was observed."""
    ground = np.where(np.isnan(fitted.field), np.float32(np.nan), np.float32(0.0))
    draw_map(chart, column_maximum(ground), fitted.grid, scale, detail=False)
    draw_section(cut, ground, fitted.grid, line, scale)
    for axes, ellipses, what in (
        (chart, from_above(gaussians), "FROM ABOVE"),
        (cut, cut_by(gaussians, line), "CUT BY THE SECTION"),
    ):
        drawn = ellipses.strongest(MOST_ELLIPSES, float(LEVELS_DBZ[0]))
        draw_ellipses(axes, drawn, scale)
        shown = len(drawn.amplitudes)
        Strip(
            axes,
            f"GAUSSIANS {what}",
            f"the strongest {shown}" if shown == MOST_ELLIPSES else f"{shown} shown",
            forecast=False,
        )


def _draw_difference(chart: Axes, cut: Axes, fitted: Frame, observed: Frame, line: Line) -> None:
    scale = difference_scale()
    difference: Float32 = fitted.field - observed.field
    top = column_maximum(fitted.field) - column_maximum(observed.field)
    draw_map(chart, top, fitted.grid, scale, detail=False)
    mean = float(np.nanmean(np.abs(difference))) if np.isfinite(difference).any() else float("nan")
    Strip(chart, "RENDERED − OBSERVED", f"volume MAE {mean:.2f} dBZ", forecast=False)
    draw_section(cut, difference, fitted.grid, line, scale)
    Strip(cut, "RENDERED − OBSERVED", forecast=False)


def _draw_motion(chart: Axes, cut: Axes, sequence: GaussianSequence, index: int, line: Line) -> None:
    """Arrows on the ellipses: from above, and along and up the section, for what it cuts."""
    gaussians, grid = sequence.at(index), sequence.grid
    east, north, up = sequence.velocities[index].detach().cpu().numpy().astype(np.float64).T
    along = east * line.direction[0] + north * line.direction[1]
    west_km, east_km, _, _ = extent_km(grid)
    wide, high = line.length_km / ARROWS_ACROSS, float(grid.z[-1] - grid.z[0]) / 1e3 / ARROWS_UP
    for axes, ellipses, velocities, cell_km in (
        (chart, from_above(gaussians), (east, north), ((east_km - west_km) / ARROWS_ACROSS,) * 2),
        (cut, cut_by(gaussians, line), (along, up), (wide, max(high, 0.1))),
    ):
        places, motion = mean_motion(ellipses, np.column_stack(velocities), cell_km)
        if len(places):
            axes.quiver(
                *places.T, *(motion * ARROW_MINUTES * 60.0 / 1e3).T, angles="xy", scale_units="xy", scale=1.0,
                width=0.006, color="black", edgecolor="white", linewidth=0.5, zorder=4,
            )  # fmt: skip


def _draw_bars(sheet: Sheet, columns: int, scale: ColourScale, *, difference: bool) -> None:
    left, bottom = sheet.inner[0], 0.80
    scale = replace(scale, label="reflectivity; of an ellipse, the peak of that Gaussian alone [dBZ]")
    if not difference:
        sheet.colour_bar_below(scale, (left, bottom, sheet.inner[2]))
        return
    width = (columns - 1) * (MAP_IN + GAP_IN) - GAP_IN
    sheet.colour_bar_below(scale, (left, bottom, width))
    sheet.colour_bar_below(difference_scale(), (left + width + GAP_IN, bottom, MAP_IN))
