"""The products by name: what a file says of each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from nowcast.errors import ConfigError

OBSERVED = "0: observed, no echo. Fill value: not observed."
PART = "Of columns observed in part: the least it can be. Fill value: less than products.least_observed was observed."
NO_TOP = "0: no echo reaches it. Fill value: not known. Where the column above was not observed: the least it can be."


@dataclass(frozen=True)
class Product:
    """What a product is.

    Attributes
    ----------
    long_name, unit, comment
        For its variable; the comment says what no echo and missing are.
    thresholds
        Values whose probability an ensemble gives.
    standard_name
        Of CF, empty where CF has none.
    over
        Name of the dimension that a product with several planes has beside time and place, empty where it has one.
    """

    long_name: str
    unit: str
    comment: str
    thresholds: tuple[float, ...]
    standard_name: str = ""
    over: str = ""


_DBZ, _STRONG = "equivalent_reflectivity_factor", (20.0, 35.0, 45.0)
PRODUCTS: dict[str, Product] = {
    "cappi": Product("reflectivity at constant altitude", "dBZ", OBSERVED, _STRONG, _DBZ, over="cappi_height"),
    "low_level_reflectivity": Product("reflectivity near the ground", "dBZ", OBSERVED, _STRONG, _DBZ),
    "column_maximum": Product("column maximum of reflectivity", "dBZ", OBSERVED, _STRONG, _DBZ),
    "height_of_maximum": Product(
        "height of the column maximum", "m", "0: no echo. Fill value: not observed.", (4000.0, 8000.0)
    ),
    "echo_top": Product("echo top", "m", NO_TOP, (6000.0, 9000.0, 12000.0), over="echo_top_dbz"),
    "vil": Product("vertically integrated liquid", "kg m-2", PART, (5.0, 15.0, 30.0)),
    "vil_density": Product("VIL over the height of the echo top", "g m-3", PART, (1.0, 2.0, 3.5)),
    "rain_rate": Product(
        "rain rate", "mm h-1", "0: no rain. Fill value: not observed.", (1.0, 5.0, 20.0), "rainfall_rate"
    ),
    "rain_accumulation": Product(
        "rain since the start",
        "mm",
        "Since the forecast reference time, or the first volume. Fill value: not known all the time since then.",
        (1.0, 5.0, 10.0, 20.0),
        "thickness_of_rainfall_amount",
    ),
    "mesh": Product("maximum expected size of hail", "mm", PART, (10.0, 20.0, 40.0)),
    "posh": Product("probability of severe hail", "1", PART, (0.5,)),
}
HAIL = ("mesh", "posh")


def product_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names, if all are products; raises ConfigError with the nearest name, or all there are."""
    for name in names:
        if name not in PRODUCTS:
            close = difflib.get_close_matches(name, PRODUCTS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(PRODUCTS)}"
            raise ConfigError(f"unknown product {name!r}: {hint}")
    return tuple(dict.fromkeys(names))
