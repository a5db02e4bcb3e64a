"""How every picture looks: the reflectivity colours, sizes, labels, and the one way to save a figure.

Reflectivity is always drawn in classes of 5 dBZ. White is "observed, no echo" (below the first class); flat grey is
"not observed". Figures are made with :class:`matplotlib.figure.Figure` and never through pyplot, so that nothing
global changes and no window system is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import cmweather  # noqa: F401  (registers its colour maps with matplotlib)
import matplotlib as mpl
import numpy as np
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, to_hex
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from nowcast.errors import UsageError
from nowcast.io.atomic import atomic_path
from nowcast.units import MAX_DBZ

Palette = Literal["standard", "safe"]
"""``"standard"``: the colours of the US weather service; ``"safe"``: HomeyerRainbow, for colour-blind eyes too."""

PALETTES: dict[str, str] = {"standard": "NWSRef", "safe": "HomeyerRainbow"}
LEVELS_DBZ = np.arange(5, 80, 5)
"""Lower bounds of the reflectivity classes, dBZ; the last class is open."""
DIFFERENCES_DBZ = np.array([-40, -30, -20, -10, -5, -2, 2, 5, 10, 20, 30, 40])

NO_ECHO = "#ffffff"
NOT_OBSERVED = "#c9c9c9"
OBSERVED_INK = "#3c3c3c"
FORECAST_INK = "#0b4f9e"
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 12.0, 9.5, 8.0
DPI = 110
FORMATS = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class ColourScale:
    """Colours of a quantity: colour map, class bounds, and what stands beside the colour bar."""

    cmap: Colormap
    norm: BoundaryNorm
    label: str
    extend: str
    ticks: tuple[float, ...]


@lru_cache(maxsize=4)
def reflectivity_scale(palette: Palette = "standard") -> ColourScale:
    """The classes of reflectivity, the same in every picture; raises UsageError for an unknown palette."""
    if palette not in PALETTES:
        raise UsageError(f"no palette {palette!r}: choose one of {', '.join(PALETTES)}")
    source = mpl.colormaps[PALETTES[palette]]
    colours = [source((level + 2.5) / MAX_DBZ) for level in LEVELS_DBZ]
    cmap = ListedColormap(colours[:-1], name=f"reflectivity-{palette}").with_extremes(
        under=NO_ECHO, over=colours[-1], bad=NOT_OBSERVED
    )
    norm = BoundaryNorm(LEVELS_DBZ, len(colours) - 1)
    return ColourScale(cmap, norm, "reflectivity [dBZ]", "max", tuple(LEVELS_DBZ.tolist()))


@lru_cache(maxsize=1)
def difference_scale() -> ColourScale:
    """Classes for a difference in dBZ: blue is less, red is more, white within 2 dBZ."""
    bounds = DIFFERENCES_DBZ
    source = mpl.colormaps["RdBu_r"]
    colours = [source(i / len(bounds)) for i in range(len(bounds) + 1)]
    middle = len(bounds) // 2
    colours[middle] = (1.0, 1.0, 1.0, 1.0)
    cmap = ListedColormap(colours[1:-1], name="difference").with_extremes(
        under=colours[0], over=colours[-1], bad=NOT_OBSERVED
    )
    return ColourScale(cmap, BoundaryNorm(bounds, len(bounds) - 1), "difference [dBZ]", "both", tuple(bounds.tolist()))


@dataclass(frozen=True)
class Quantity:
    """How what is no reflectivity is drawn, in pictures and on the page: its classes rise from 0.

    ``cmap`` names a colour map that suits all eyes, ``bounds`` the lower bounds of the classes in ``unit``;
    what is below the first is drawn as nothing, and called ``nothing``.
    """

    cmap: str
    bounds: tuple[float, ...]
    unit: str
    nothing: str

    @property
    def colours(self) -> list[str]:
        """The colour of each class, ``#rrggbb``."""
        most = max(len(self.bounds) - 1, 1)
        return [to_hex(mpl.colormaps[self.cmap](0.15 + 0.85 * i / most)) for i in range(len(self.bounds))]


_RAIN = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 50.0, 100.0)
QUANTITIES = {
    "height": Quantity("viridis", (0.001, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0, 16.0), "km", "no echo"),
    "vil": Quantity(
        "plasma_r", (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0), "kg/m²", "below 0.1 kg/m²"
    ),
    "vil_density": Quantity("plasma_r", (0.1, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0), "g/m³", "below 0.1 g/m³"),
    "rain_rate": Quantity("YlGnBu", _RAIN, "mm/h", "no rain (below 0.1 mm/h)"),
    "rain": Quantity("YlGnBu", _RAIN, "mm", "no rain (below 0.1 mm)"),
    "hail": Quantity(
        "inferno_r", (5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 75.0, 100.0), "mm", "below 5 mm"
    ),
    "share": Quantity("YlOrRd", (5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0), "%", "below 5 %"),
}


def quantity_scale(quantity: Quantity, name: str) -> ColourScale:
    """Its classes, white below the first."""
    *inner, last = quantity.colours
    cmap = ListedColormap(inner, name=name).with_extremes(under=NO_ECHO, over=last, bad=NOT_OBSERVED)
    ticks = tuple(bound for bound in quantity.bounds if bound >= 0.1)
    return ColourScale(cmap, BoundaryNorm(quantity.bounds, len(inner)), f"{name} [{quantity.unit}]", "max", ticks)


def class_colours(scale: ColourScale) -> list[str]:
    """Every colour that a field takes when drawn in this scale, as ``#rrggbb``: the classes, then not observed."""
    bounds = scale.norm.boundaries
    middles = np.concatenate([[bounds[0] - 1.0], 0.5 * (bounds[1:] + bounds[:-1]), [bounds[-1] + 1.0], [np.nan]])
    return drawn_colours(scale, middles)


def drawn_colours(scale: ColourScale, values: ArrayLike) -> list[str]:
    """The colours of values (dBZ; NaN is not observed) exactly as matplotlib writes them to a picture's bytes."""
    flat = np.ma.masked_invalid(np.ravel(np.asarray(values, np.float64)))
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b, _ in scale.cmap(scale.norm(flat), bytes=True)]


def save_figure(figure: Figure, path: Path | str, *, dpi: int = DPI) -> Path:
    """Write a figure as PNG, SVG or PDF, by the suffix of ``path``; the file appears whole or not at all.

    Raises
    ------
    UsageError
        The suffix is none of these.
    OutputError
        The file cannot be written.
    """
    target = Path(path)
    kind = target.suffix.lower()
    if kind not in FORMATS:
        raise UsageError(f"cannot draw {target.name!r}: the name must end in one of {', '.join(FORMATS)}")
    # Without a date in it the same picture gives the same bytes.
    dateless = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(kind)
    with atomic_path(target) as temporary:
        figure.savefig(temporary, format=kind[1:], dpi=dpi, metadata=dateless)
    return target
