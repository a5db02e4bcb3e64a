"""Which products are made, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from nowcast.checks import check_numbers
from nowcast.ensemble import QUANTILES
from nowcast.errors import ConfigError
from nowcast.products.catalogue import HAIL, PRODUCTS, product_names
from nowcast.products.hail import SIZES
from nowcast.products.rain import z_r_relation

STANDARD_HEIGHTS_M = (2000.0, 4000.0, 8000.0)


@dataclass(frozen=True)
class ProductConfig:
    """Settings of the products; heights in m above sea level, or above z = 0 where a grid counts from elsewhere.

    Attributes
    ----------
    names
        The products, see ``docs/products.md``: those that a forecast publishes beside its file, and none where this is
        empty; ``nowcast products`` makes all that it can where it is empty.
    heights_m
        Heights of the CAPPIs; where empty those of 2, 4 and 8 km that the grid reaches.
    low_m, low_most_m
        Height of the low-level reflectivity, and how high it may be taken from where that was not observed.
    echo_top_dbz
        Thresholds of the echo tops.
    vil_cap_dbz
        Reflectivity counts up to this in VIL.
    vil_density_top_dbz
        The echo top that VIL density is over.
    least_observed
        Share of a column that must have been observed for an integral over it, or to say that no echo reaches a
        threshold.
    zr
        Z-R relation of rain: a name, or ``A,B`` of Z = A R ** B.
    rain_least_dbz, rain_most_dbz
        No rain below the first; reflectivity counts up to the second.
    rain_longest_gap_minutes
        Rain is not summed up over a longer gap between times.
    isotherms_m
        Heights of 0 and -20 degrees Celsius, which hail products need.
    ground_m
        Height of the ground, from which the freezing level counts in the probability of hail.
    hail_size
        ``witt``, or ``mh75`` or ``mh95`` (Murillo and Homeyer 2019).
    thresholds
        By product, the values whose probability an ensemble gives, in place of the usual ones.
    quantiles
        Quantiles of an ensemble.
    """

    names: tuple[str, ...] = ()
    heights_m: tuple[float, ...] = ()
    low_m: float = 1000.0
    low_most_m: float = 3000.0
    echo_top_dbz: tuple[float, ...] = (18.0, 30.0, 45.0)
    vil_cap_dbz: float = 56.0
    vil_density_top_dbz: float = 18.0
    least_observed: float = 0.5
    zr: str = "marshall-palmer"
    rain_least_dbz: float = 7.0
    rain_most_dbz: float = 53.0
    rain_longest_gap_minutes: float = 30.0
    isotherms_m: tuple[float, float] | None = None
    ground_m: float = 0.0
    hail_size: str = "witt"
    thresholds: dict[str, tuple[float, ...]] = field(default_factory=dict)
    quantiles: tuple[float, ...] = QUANTILES

    def __post_init__(self) -> None:
        check_numbers(
            self,
            "products",
            positive=("echo_top_dbz", "vil_cap_dbz", "vil_density_top_dbz", "rain_least_dbz"),
            not_negative=("rain_longest_gap_minutes",),
            share=("least_observed", "quantiles"),
        )
        product_names(self.names)
        product_names(self.thresholds)
        z_r_relation(self.zr)
        for name in ("heights_m", "echo_top_dbz", "quantiles"):
            _check_rising(name, getattr(self, name))
        for name, values in self.thresholds.items():
            _check_rising(f"thresholds of {name}", values)
        if self.hail_size not in SIZES:
            raise ConfigError(f"products hail_size is {self.hail_size!r}: expected {', '.join(SIZES)}")
        levels = self.isotherms_m
        if levels is not None and not (len(levels) == 2 and levels[0] < levels[1]):
            raise ConfigError(f"products isotherms_m are {levels}: expected the height of 0 degrees, then that of -20")
        lacking = [name for name in self.names if name in HAIL and self.isotherms_m is None]
        if lacking:
            raise ConfigError(
                f"products {', '.join(lacking)}: needs the heights of 0 and -20 degrees Celsius, "
                "products isotherms_m or --isotherms, such as 4200,7400"
            )

    def chosen(self) -> tuple[str, ...]:
        """The products to make; where none is named all but those that need what is not told."""
        possible = [name for name in PRODUCTS if name not in HAIL or self.isotherms_m is not None]
        return self.names or tuple(possible)

    def thresholds_of(self, name: str) -> tuple[float, ...]:
        """The values of a product whose probability an ensemble gives."""
        return tuple(self.thresholds.get(name, PRODUCTS[name].thresholds))


def _check_rising(name: str, values: Any) -> None:
    if any(not a < b for a, b in pairwise(values)):
        raise ConfigError(f"products {name} is {values}: expected rising values")
