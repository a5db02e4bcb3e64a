"""What a page can show on its map, and the colours of each quantity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nowcast.ensemble import THRESHOLDS_DBZ
from nowcast.plot.style import LEVELS_DBZ, PALETTES, QUANTITIES, Quantity, class_colours, reflectivity_scale
from nowcast.view.codes import DBZ, Coding

BEST, MEAN, CHANCE = "forecast", "mean", "chance"
GROUPS = {BEST: "Reflectivity and products", MEAN: "Ensemble mean", CHANCE: "Share of the members, in the column"}


@dataclass(frozen=True)
class Scale:
    """How a quantity is stored and drawn.

    Attributes
    ----------
    unit, label
        What stands behind a value, and beside the colours.
    coding
        How values become codes.
    bounds
        Lower bounds of the classes, rising; the last is open, and what is below the first is drawn as nothing.
    colours
        For each palette the colour of each class, ``#rrggbb``.
    nothing
        What being below the first bound is called.
    factor, digits
        A value is shown times ``factor``, with so many digits after the point.
    """

    unit: str
    label: str
    coding: Coding
    bounds: tuple[float, ...]
    colours: dict[str, list[str]]
    nothing: str
    factor: float = 1.0
    digits: int = 1

    def facts(self) -> dict[str, Any]:
        """For the page."""
        return {**vars(self), "coding": vars(self.coding)}


def _scale(quantity: Quantity, name: str, coding: Coding, factor: float = 1.0, digits: int = 1) -> Scale:
    """Of a quantity, whose colours are the same in every palette: they suit all eyes."""
    bounds = tuple(bound / factor for bound in quantity.bounds)
    colours = dict.fromkeys(PALETTES, quantity.colours)
    label = f"{name} [{quantity.unit}]"
    return Scale(quantity.unit, label, coding, bounds, colours, quantity.nothing, factor, digits)


def scales() -> dict[str, Scale]:
    """The scales by name. Each quantity has the colours of every other picture."""
    # The first and last of a scale's colours are no echo and not observed, which the page draws to suit light and dark.
    dbz = {name: class_colours(reflectivity_scale(name))[1:-1] for name in PALETTES}
    lowest = f"no echo (below {LEVELS_DBZ[0]} dBZ)"
    fine = Coding(0.02, 2)
    return {
        "dbz": Scale("dBZ", "reflectivity [dBZ]", DBZ, tuple(map(float, LEVELS_DBZ)), dbz, lowest),
        "height": _scale(QUANTITIES["height"], "height", Coding(20.0, 2), 1e-3),
        "vil": _scale(QUANTITIES["vil"], "VIL", fine),
        "rain": _scale(QUANTITIES["rain_rate"], "rain rate", fine),
        "amount": _scale(QUANTITIES["rain"], "rain", fine),
        "share": _scale(QUANTITIES["share"], "share of members", Coding(0.005, 1), 100.0, 0),
    }


@dataclass(frozen=True)
class Layer:
    """A thing to show on the map.

    Attributes
    ----------
    key, name, scale
        Of the page; the name for people; a name of :func:`scales`.
    kind
        ``column`` and ``level`` are taken from the volume by the page; ``plane`` is made here.
    group
        The volume that profile and 3D show with it: ``forecast``, ``mean``; ``chance`` shows the forecast's.
    product, plane
        Of a plane the name of :mod:`nowcast.products` and which of its planes.
    """

    key: str
    name: str
    kind: str
    scale: str
    group: str = BEST
    product: str = ""
    plane: int | None = None

    def facts(self) -> dict[str, Any]:
        """For the page."""
        volume = MEAN if self.group == MEAN else BEST
        return {
            "key": self.key, "name": self.name, "kind": self.kind, "scale": self.scale, "volume": volume,
            "group": GROUPS[self.group],
        }  # fmt: skip


PRODUCTS = (
    Layer("low", "Low level (1 km)", "plane", "dbz", product="low_level_reflectivity"),
    Layer("height", "Height of the maximum", "plane", "height", product="height_of_maximum"),
    *(
        Layer(f"top{dbz}", f"Echo top {dbz} dBZ", "plane", "height", product="echo_top", plane=k)
        for k, dbz in enumerate((18, 30, 45))
    ),
    Layer("vil", "Vertically integrated liquid", "plane", "vil", product="vil"),
    Layer("rain", "Rain rate", "plane", "rain", product="rain_rate"),
    Layer("amount", "Rain since the initial time", "plane", "amount", product="rain_accumulation"),
)


def volume_layers(group: str = BEST) -> list[Layer]:
    """What the page takes from a volume itself."""
    of = "Mean: " if group == MEAN else ""
    return [
        Layer(f"{group}-column", f"{of}Column maximum", "column", "dbz", group),
        Layer(f"{group}-level", f"{of}Level", "level", "dbz", group),
    ]


def chance_layers() -> list[Layer]:
    """How many members reach a threshold anywhere in the column."""
    return [
        Layer(f"chance{dbz:g}", f"Members reaching {dbz:g} dBZ", "plane", "share", CHANCE) for dbz in THRESHOLDS_DBZ
    ]
