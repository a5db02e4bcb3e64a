"""Maps of products over time: one sheet a product, each with classes of its own."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from nowcast.plot.derived import MOST_MAPS, SmallMap, sheet_of
from nowcast.plot.frames import clock, lead_text, place_text, spread_indices, utc
from nowcast.plot.style import LEVELS_DBZ, QUANTITIES, Palette, quantity_scale, reflectivity_scale
from nowcast.products.catalogue import PRODUCTS
from nowcast.products.files import ProductField, ProductFile
from nowcast.units import minutes

DRAWN: dict[str, tuple[str, float]] = {
    "height_of_maximum": ("height", 1e-3),
    "echo_top": ("height", 1e-3),
    "vil": ("vil", 1.0),
    "vil_density": ("vil_density", 1.0),
    "rain_rate": ("rain_rate", 1.0),
    "rain_accumulation": ("rain", 1.0),
    "mesh": ("hail", 1.0),
    "posh": ("share", 100.0),
}
"""Which of :data:`~nowcast.plot.style.QUANTITIES` a product is, and the factor to its unit; others are in dBZ."""


def plot_product(
    file: ProductFile, field: ProductField, *, times: list[int] | None = None, palette: Palette = "standard"
) -> Figure:
    """One product of a file at the given times, or at most twelve; raises UsageError for an unknown palette.

    Sums of observed rain are drawn from the second volume on: at the first they are over no time.
    """
    scale, unit, white, factor = reflectivity_scale(palette), "dBZ", f"no echo (below {LEVELS_DBZ[0]} dBZ)", 1.0
    if field.product in DRAWN:
        name, factor = DRAWN[field.product]
        unit, white = QUANTITIES[name].unit, QUANTITIES[name].nothing
        scale = quantity_scale(QUANTITIES[name], PRODUCTS[field.product].long_name)
    title, grey, there = field_title(field), "not observed", list(range(len(file.valid_times)))
    if field.product == "rain_accumulation":
        title, grey = f"Rain since {clock(file.valid_times[0])}", "not known all the time since"
        if file.init_time is not None:
            title = f"Rain since the initial time {clock(file.init_time)}"
        elif len(there) > 1:
            there = there[1:]
    chosen = [there[i] for i in spread_indices(len(there), MOST_MAPS)] if times is None else times
    maps = []
    for t in chosen:
        values = factor * field.values[t]
        most = f"max {np.nanmax(values):.3g} {unit}" if np.isfinite(values).any() else "nothing known"
        maps.append(SmallMap(values, _when(file, t), most))
    sheet = sheet_of(maps, file.grid, scale, white, grey, forecast=file.init_time is not None)
    issued = [] if file.init_time is None else [f"init {utc(file.init_time)}", f"method {file.method}"]
    day = [] if file.init_time is not None else [f"observed, last {utc(file.valid_times[chosen[-1]])}"]
    sheet.headline(title, " · ".join([*issued, *day, place_text(file.grid, file.radars)]))
    return sheet.figure


def field_title(field: ProductField) -> str:
    """``Echo top of 18 dBZ``, ``Reflectivity at constant altitude, 2 km``."""
    name = PRODUCTS[field.product].long_name
    if field.plane is not None:
        name += f" of {field.plane:g} dBZ" if field.product == "echo_top" else f", {field.plane / 1e3:g} km"
    return name[:1].upper() + name[1:]


def field_stem(field: ProductField) -> str:
    """What the picture is called after the file: ``echo_top-18dbz``, ``cappi-2000m``, ``vil``."""
    if field.plane is None:
        return field.product
    return f"{field.product}-{field.plane:g}{'dbz' if field.product == 'echo_top' else 'm'}"


def _when(file: ProductFile, t: int) -> str:
    valid = clock(file.valid_times[t])
    return valid if file.init_time is None else f"{lead_text(minutes(file.valid_times[t] - file.init_time))} · {valid}"
