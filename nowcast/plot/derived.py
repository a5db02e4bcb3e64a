"""Maps by lead time of what is computed from a forecast: its error, and the probabilities of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from nowcast.ensemble import ensemble_statistics
from nowcast.errors import UsageError
from nowcast.plot.frames import (
    Frame,
    clock,
    frame_at,
    frame_of,
    lead_text,
    match_tolerance_s,
    place_text,
    spread_indices,
    utc,
)
from nowcast.plot.layout import Sheet, Strip, block_size, columns_for, map_width, new_sheet
from nowcast.plot.maps import close_last_row, draw_map, field_name, horizontal, label_axes, map_aspect, nearest_level
from nowcast.plot.style import (
    DIFFERENCES_DBZ,
    QUANTITIES,
    ColourScale,
    difference_scale,
    quantity_scale,
)
from nowcast.products import column_maximum
from nowcast.types import Float32, Forecast, GridSpec, VolumeSequence

MOST_MAPS = 12


@dataclass(frozen=True)
class SmallMap:
    """``field [Y, X]``, NaN where not observed, and what its strip says."""

    field: Float32
    text: str
    right: str


def plot_differences(
    forecast: Forecast,
    observed: VolumeSequence | None,
    *,
    leads: Sequence[int] | None = None,
    level_m: float | None = None,
) -> Figure:
    """Forecast minus observed reflectivity by lead time, of the column maximum or one level.

    Parameters
    ----------
    forecast
        Of an ensemble the control forecast or, without one, the first member.
    observed
        Volumes on its grid; None is refused like volumes of other times.
    leads
        Indices of the lead times; None for at most twelve of those that have been observed.
    level_m
        Height in metres; None for the column maximum.

    Raises
    ------
    UsageError
        None of the lead times has been observed, or there is no such level.
    """
    tolerance_s, maps = match_tolerance_s(forecast), []
    for lead in _chosen(forecast, leads):
        shown = frame_of(forecast, lead)
        seen = frame_at(observed, shown.valid_time, tolerance_s)
        if seen is None:
            continue
        error = horizontal(shown, level_m) - horizontal(seen, level_m)
        mean = f"mean |error| {np.nanmean(np.abs(error)):.1f} dBZ" if np.isfinite(error).any() else "nothing observed"
        maps.append(SmallMap(error, _when(shown), mean))
    if not maps:
        raise UsageError("no observed volume is valid at these lead times: a difference needs some, give --obs ARCHIVE")
    sheet = sheet_of(maps, forecast.grid, difference_scale(), f"within {DIFFERENCES_DBZ[6]} dBZ")
    facts = f"init {utc(forecast.init_time)} · method {forecast.method} · {place_text(forecast.grid, forecast.radars)}"
    sheet.headline(f"Forecast minus observed reflectivity, {field_name(forecast.grid, level_m)}", facts)
    return sheet.figure


def plot_probabilities(
    forecast: Forecast,
    threshold_dbz: float,
    *,
    leads: Sequence[int] | None = None,
    level_m: float | None = None,
) -> Figure:
    """Share of the members that reach a threshold by lead time, in the column or at one level.

    Raises
    ------
    UsageError
        The forecast is no ensemble, or there is no such lead or level.
    """
    if len(forecast.values) < 2:
        raise UsageError("a probability needs an ensemble: make the forecast with --members 20")
    chosen = _chosen(forecast, leads)
    members = forecast.values[:, chosen]
    fields = column_maximum(members) if level_m is None else members[:, :, nearest_level(forecast.grid, level_m)]
    maps = []
    for lead, share in zip(chosen, 100 * ensemble_statistics(fields, (threshold_dbz,), ()).probability[0], strict=True):
        most = f"max {np.nanmax(share):.0f} %" if np.isfinite(share).any() else "nothing observed"
        maps.append(SmallMap(share, _when(frame_of(forecast, lead)), most))
    share = QUANTITIES["share"]
    sheet = sheet_of(maps, forecast.grid, quantity_scale(share, "probability"), share.nothing)
    facts = f"init {utc(forecast.init_time)} · method {forecast.method}, {len(forecast.values)} members"
    what = f"Probability of {threshold_dbz:g} dBZ and more, {field_name(forecast.grid, level_m)}"
    sheet.headline(what, f"{facts} · {place_text(forecast.grid, forecast.radars)}")
    return sheet.figure


def _chosen(forecast: Forecast, leads: Sequence[int] | None) -> list[int]:
    return spread_indices(len(forecast.lead_times), MOST_MAPS) if leads is None else list(leads)


def _when(shown: Frame) -> str:
    return f"{lead_text(shown.lead_minutes)} · {clock(shown.valid_time)}"


def sheet_of(
    maps: Sequence[SmallMap],
    grid: GridSpec,
    scale: ColourScale,
    white: str,
    grey: str = "not observed",
    *,
    forecast: bool = True,
) -> Sheet:
    """Maps of one quantity side by side, with its colour bar and what white and grey mean; without a headline yet."""
    columns = columns_for(len(maps))
    rows = -(-len(maps) // columns)
    sheet = new_sheet(*block_size(rows, columns, map_width(columns), map_aspect(grid)))
    cells = sheet.cells(rows, columns)
    for axes, one in zip([axes for row in cells for axes in row], maps, strict=False):
        draw_map(axes, one.field, grid, scale, detail=False)
        Strip(axes, one.text, one.right, forecast=forecast)
    label_axes(cells)
    close_last_row(cells, len(maps))
    sheet.colour_bar(scale)
    sheet.key(white=white, grey=grey)
    return sheet
