"""Small multiples: observed against forecast by lead time, the outlook of one forecast, a sequence by time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nowcast.errors import UsageError
from nowcast.plot.frames import (
    Frame,
    clock,
    frame_at,
    frame_of,
    frames_of,
    lead_text,
    match_tolerance_s,
    peak_of,
    place_text,
    spread_indices,
    utc,
)
from nowcast.plot.layout import LEFT_IN, Sheet, Strip, block_size, columns_for, map_width, new_sheet
from nowcast.plot.maps import close_last_row, draw_map, extent_km, field_name, horizontal, label_axes, map_aspect
from nowcast.plot.style import TEXT_SIZE, Palette, reflectivity_scale
from nowcast.types import Forecast, VolumeSequence
from nowcast.units import minutes

MOST_COLUMNS = 6


def plot_panels(
    forecasts: Forecast | Sequence[Forecast],
    observed: VolumeSequence | None = None,
    *,
    leads: Sequence[int] | None = None,
    level_m: float | None = None,
    palette: Palette = "standard",
) -> Figure:
    """Observed and forecast maps by lead time: a row for the observations and one for each forecast.

    Where no observation is valid at these leads (a forecast just made), the first row shows the newest ones up to
    the initial time instead.

    Parameters
    ----------
    forecasts
        One forecast, or several with one initial time (several methods).
    observed
        Volumes to compare with; None to draw the forecasts alone.
    leads
        Indices of the lead times to draw; None for at most six, spread evenly.
    level_m
        Height in metres; None for the column maximum.

    Raises
    ------
    UsageError
        There is no forecast, the forecasts have different initial times, or no such lead or level.
    """
    forecasts = [forecasts] if isinstance(forecasts, Forecast) else list(forecasts)
    _check_together(forecasts)
    first = forecasts[0]
    if leads is None:
        leads = spread_indices(len(first.lead_times), MOST_COLUMNS)
    times = [frame_of(first, lead).valid_time for lead in leads]
    rows: list[list[Frame | None]] = []
    names = []
    if observed is not None:
        matched = [frame_at(observed, time, match_tolerance_s(first)) for time in times]
        later = any(shown is not None for shown in matched)
        rows.append(matched if later else _newest(observed, first.init_time, len(times)))
        names.append("Observed" if later else "Observed so far")
    for forecast in forecasts:
        rows.append([frame_at(forecast, time, 1.0) for time in times])
        names.append(f"Forecast\n{forecast.method}")
    sheet, cells = _sheet_of_maps(rows, level_m, palette, named=True)
    for row, name in zip(cells, names, strict=True):
        sheet.row_name(row[0], name)
    if "Observed so far" in names:
        for cell, shown in zip(cells[0], rows[0], strict=True):
            cell.set_visible(shown is not None)
    what = "Observed and forecast reflectivity" if observed is not None else "Forecast reflectivity"
    facts = f"init {utc(first.init_time)} · {place_text(first.grid, first.radars)}"
    sheet.headline(f"{what}, {field_name(first.grid, level_m)}", facts)
    return sheet.figure


def plot_times(
    volumes: VolumeSequence,
    indices: Sequence[int] | None = None,
    *,
    level_m: float | None = None,
    palette: Palette = "standard",
) -> Figure:
    """Maps of a sequence by time, at most twelve of them spread evenly; raises UsageError for no such time or level."""
    if indices is None:
        indices = spread_indices(len(volumes), 2 * MOST_COLUMNS)
    frames: list[Frame | None] = list(frames_of(volumes, indices))
    columns = columns_for(len(frames))
    frames += [None] * (-len(frames) % columns)
    rows = [frames[i : i + columns] for i in range(0, len(frames), columns)]
    sheet, cells = _sheet_of_maps(rows, level_m, palette)
    close_last_row(cells, len(indices))
    span = f"{utc(volumes.times[indices[0]])} to {utc(volumes.times[indices[-1]])}"
    facts = f"{span} · {place_text(volumes.grid, volumes.radars)}"
    sheet.headline(f"Observed reflectivity, {field_name(volumes.grid, level_m)}", facts)
    return sheet.figure


def _check_together(forecasts: Sequence[Forecast]) -> None:
    if not forecasts:
        raise UsageError("there is no forecast to draw")
    times = {utc(forecast.init_time) for forecast in forecasts}
    if len(times) > 1:
        raise UsageError(
            f"forecasts with different initial times ({', '.join(sorted(times))}) do not fit in one picture: "
            "draw them one by one"
        )


def _newest(observed: VolumeSequence, init_time: np.datetime64, count: int) -> list[Frame | None]:
    past = frames_of(observed.until(init_time))[-count:]
    return list(past) + [None] * (count - len(past))


def _sheet_of_maps(
    rows: list[list[Frame | None]], level_m: float | None, palette: Palette, *, named: bool = False
) -> tuple[Sheet, list[list[Axes]]]:
    """Maps in rows and columns, blank where there is no frame; ``named`` leaves room for the names of the rows."""
    present = [shown for row in rows for shown in row if shown is not None]
    if not present:
        raise UsageError("there is nothing to draw at these times")
    scale = reflectivity_scale(palette)
    columns = len(rows[0])
    view = extent_km(present[0].grid)
    size = block_size(len(rows), columns, map_width(columns), map_aspect(present[0].grid))
    sheet = new_sheet(*size, left=LEFT_IN + (0.42 if named else 0.0))
    cells = sheet.cells(len(rows), columns)
    for axes_row, row in zip(cells, rows, strict=True):
        for cell, shown in zip(axes_row, row, strict=True):
            if shown is None:
                _leave_blank(cell)
                continue
            field = horizontal(shown, level_m)
            draw_map(cell, field, shown.grid, scale, view=view, detail=False)
            lead = f"{lead_text(shown.lead_minutes)} · " if shown.is_forecast else ""
            Strip(cell, f"{lead}{clock(shown.valid_time)}", peak_of(field), forecast=shown.is_forecast)
    label_axes(cells)
    sheet.colour_bar(scale)
    sheet.key(certain=all(shown.certain for shown in present))
    return sheet, cells


def _leave_blank(cell: Axes) -> None:
    cell.set(xticks=[], yticks=[])
    for spine in cell.spines.values():
        spine.set_visible(False)
    cell.text(
        0.5, 0.5, "no volume", transform=cell.transAxes, ha="center", va="center", fontsize=TEXT_SIZE, color="0.4"
    )


def leads_of(lead_times: NDArray[np.timedelta64], wanted_minutes: Sequence[float]) -> list[int]:
    """Indices of the given leads in minutes; raises UsageError for one that a forecast does not have."""
    there = np.array([minutes(lead) for lead in lead_times])
    indices = []
    for wanted in wanted_minutes:
        match = np.flatnonzero(np.abs(there - wanted) < 0.5)
        if match.size == 0:
            known = ", ".join(f"{lead:g}" for lead in there)
            raise UsageError(f"the forecast has no lead of {wanted:g} minutes: choose among {known}")
        indices.append(int(match[0]))
    return indices
