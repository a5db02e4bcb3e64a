"""Rain at the ground from reflectivity near it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nowcast.errors import ConfigError
from nowcast.types import Float32
from nowcast.units import dbz_to_linear

RELATIONS: dict[str, tuple[float, float]] = {
    "marshall-palmer": (200.0, 1.6),
    "convective": (300.0, 1.4),
    "tropical": (250.0, 1.2),
    "stratiform-east": (130.0, 2.0),
    "stratiform-west": (75.0, 2.0),
}
"""``a`` and ``b`` of ``Z = a R ** b`` with Z in mm6 m-3 and R in mm/h: Marshall and Palmer (1948,
doi:10.1175/1520-0469(1948)005<0165:TDORWS>2.0.CO;2; these numbers by Marshall et al. 1955), and those of the WSR-88D
(Federal Meteorological Handbook No. 11, part C): convective, tropical after Rosenfeld et al. 1993, cool-season
stratiform rain east and west of the continental divide."""


def z_r_relation(text: str) -> tuple[float, float]:
    """``a`` and ``b`` of a relation by name, or of ``A,B``; raises ConfigError."""
    if text in RELATIONS:
        return RELATIONS[text]
    try:
        a, b = (float(part) for part in text.split(","))
    except ValueError:
        a = b = math.nan
    if not (0 < a < math.inf and 0 < b < math.inf):
        raise ConfigError(f"Z-R relation {text!r}: expected A,B above 0 such as 200,1.6, or {', '.join(RELATIONS)}")
    return a, b


def rain_rate(
    dbz: Float32, a: float = 200.0, b: float = 1.6, least_dbz: float = 7.0, most_dbz: float = 53.0
) -> Float32:
    """Rain rate, mm/h, of reflectivity of any shape: ``R = (Z / a) ** (1 / b)``.

    Below ``least_dbz`` (0.1 mm/h by Marshall and Palmer) it is 0; reflectivity counts up to ``most_dbz``, because more
    is hail (Fulton et al. 1998, doi:10.1175/1520-0434(1998)013<0377:TWRA>2.0.CO;2). Missing where reflectivity is.
    """
    rate = (dbz_to_linear(np.minimum(dbz, np.float32(most_dbz))) / a) ** (1.0 / b)
    return np.where(dbz < least_dbz, np.float32(0.0), rate).astype(np.float32)


def accumulated_rain(
    rate: Float32, seconds: NDArray[np.float64], since_s: float, longest_gap_s: float = 1800.0
) -> Float32:
    """Rain fallen since ``since_s``, mm, ``[T, Y, X]`` at each of the rising times ``seconds [T]``.

    The integral of ``rate [T, Y, X]`` in mm/h by trapezoids between the times; before the first of them its rate holds.
    Missing from the first time on at which the rate is, and from a gap of more than ``longest_gap_s`` on: what falls
    unseen is not known.
    """
    steps = np.diff(np.concatenate([[since_s], seconds]))
    hours = np.where(steps <= longest_gap_s, steps / 3600.0, np.nan).astype(np.float32)[:, None, None]
    means = rate.copy()
    means[1:] = (rate[1:] + rate[:-1]) / 2
    return np.cumsum(means * hours, axis=0, dtype=np.float32)
