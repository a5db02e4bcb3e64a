"""Confidence intervals over weather events: what other events of the same climate might have given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Score = Callable[[Array], Array]

DRAWS = 1000
LEVEL = 0.95
FEW_EVENTS = 10
"""From fewer events a percentile interval covers too little: the resamples hardly differ from each other."""


def resampled(by_event: NDArray[np.number]) -> Array:
    """``[DRAWS, ...]``: sums ``[E, ...]`` by event, added up over E events drawn with replacement.

    The draws are the same for every array of as many events, so that methods can be compared draw by draw.
    """
    events = len(by_event)
    chosen = np.random.default_rng(0).multinomial(events, np.full(events, 1 / events), size=DRAWS)
    return np.tensordot(chosen.astype(np.float64), by_event.astype(np.float64), axes=1)


def interval(values: Array) -> Array:
    """``[..., 2]``: the percentile interval at ``LEVEL`` of resampled scores ``[DRAWS, ...]``.

    Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13. A draw in which the score is not defined
    is left out; NaN where it never is. Whole events are drawn, as forecasts from one storm are not independent.
    """
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    known: NDArray[np.bool_] = np.asarray(np.isfinite(values).any(axis=0))
    filled = np.where(known, values, 0.0)
    bounds = np.moveaxis(np.nanquantile(filled, tails, axis=0), 0, -1)
    return np.where(known[..., None], bounds, np.nan)


def note(events: int) -> str:
    """What the intervals of so many events are worth, as a sentence."""
    if events == 1:
        return (
            "One event: there is no interval, because how a method does on other storms cannot be told from one. "
            "Resampling times within it would tell how sure we are about this storm only."
        )
    few = "; with so few events they are too narrow, look at the events themselves" if events < FEW_EVENTS else ""
    return f"Intervals at {LEVEL:.0%}: {DRAWS} bootstrap resamples of the {events} events as wholes{few}."
