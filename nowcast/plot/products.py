"""Maps of products over time: one sheet a product, each with classes of its own."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from nowcast.plot.derived import MOST_MAPS, SmallMap, sheet_of
from nowcast.plot.frames import clock, lead_text, origin_text, spread_indices, utc
from nowcast.plot.style import LEVELS_DBZ, ColourScale, Palette, reflectivity_scale, rising_scale
from nowcast.products.catalogue import PRODUCTS
from nowcast.products.files import ProductField, ProductFile
from nowcast.units import minutes

_KILOMETRES = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0)
_RAIN = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 50.0, 100.0)
CLASSES: dict[str, tuple[str, float, tuple[float, ...]]] = {
    "height_of_maximum": ("km", 1e-3, _KILOMETRES),
    "echo_top": ("km", 1e-3, _KILOMETRES),
    "vil": ("kg/m²", 1.0, (0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0)),
    "vil_density": ("g/m³", 1.0, (0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0)),
    "rain_rate": ("mm/h", 1.0, _RAIN),
    "rain_accumulation": ("mm", 1.0, _RAIN),
    "mesh": ("mm", 1.0, (5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 75.0, 100.0)),
    "posh": ("%", 100.0, (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0)),
}
"""The unit that a product is drawn in, the factor to it, and the lower bounds of its classes; others are in dBZ."""


def plot_product(
    file: ProductFile, field: ProductField, *, times: list[int] | None = None, palette: Palette = "standard"
) -> Figure:
    """One product of a file at the given times, or at most twelve; raises UsageError for an unknown palette."""
    unit, factor, _ = CLASSES.get(field.product, ("dBZ", 1.0, ()))
    scale = _scale(field.product, palette)
    chosen = spread_indices(len(file.valid_times), MOST_MAPS) if times is None else times
    maps = []
    for t in chosen:
        values = factor * field.values[t]
        known = np.isfinite(values).any()
        most = f"max {np.nanmax(values):.3g} {unit}" if known else "nothing observed"
        maps.append(SmallMap(values, _when(file, t), most))
    white = f"below {scale.ticks[0]:g} {unit}" if field.product in CLASSES else f"no echo (below {LEVELS_DBZ[0]} dBZ)"
    sheet = sheet_of(maps, file.grid, scale, white, forecast=file.init_time is not None)
    issued = [] if file.init_time is None else [f"init {utc(file.init_time)}", f"method {file.method}"]
    day = [] if file.init_time is not None else [f"observed, last {utc(file.valid_times[chosen[-1]])}"]
    sheet.headline(field_title(field), " · ".join([*issued, *day, f"origin {origin_text(file.grid)}"]))
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


def _scale(product: str, palette: Palette) -> ColourScale:
    if product not in CLASSES:
        return reflectivity_scale(palette)
    unit, _, bounds = CLASSES[product]
    return rising_scale(bounds, f"{PRODUCTS[product].long_name} [{unit}]", palette)


def _when(file: ProductFile, t: int) -> str:
    valid = clock(file.valid_times[t])
    return valid if file.init_time is None else f"{lead_text(minutes(file.valid_times[t] - file.init_time))} · {valid}"
