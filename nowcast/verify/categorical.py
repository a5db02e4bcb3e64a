"""Scores of a yes-no event, "at or above a threshold", from its contingency counts.

All take ``counts [..., 3]``: hits h, misses m, false alarms f, pooled over whatever shall be scored together; a voxel
that is not scored is in none of them. They return ``[...]`` float64, NaN where the denominator is 0: no event was
forecast or observed there. Correct negatives enter none of them. Formulas: Wilks (2019), Statistical Methods in the
Atmospheric Sciences, 4th ed., section 9.2; computed by the ``scores`` package (Leeuwenburg et al. 2024,
doi:10.21105/joss.06889).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scores.categorical import BasicContingencyManager

Counts = NDArray[np.integer] | NDArray[np.floating]
Scores = NDArray[np.float64]


def csi(counts: Counts) -> Scores:
    """Critical success index ``h / (h + m + f)``, 0 to 1, best 1."""
    return _score(counts, "critical_success_index")


def probability_of_detection(counts: Counts) -> Scores:
    """Share of observed events that were forecast, ``h / (h + m)``, 0 to 1, best 1."""
    return _score(counts, "probability_of_detection")


def false_alarm_ratio(counts: Counts) -> Scores:
    """Share of forecast events that did not come, ``f / (h + f)``, 0 to 1, best 0."""
    return _score(counts, "false_alarm_ratio")


def frequency_bias(counts: Counts) -> Scores:
    """Forecast over observed events, ``(h + f) / (h + m)``, 0 and up, best 1."""
    return _score(counts, "frequency_bias")


def _score(counts: Counts, name: str) -> Scores:
    with np.errstate(divide="ignore", invalid="ignore"):
        result = np.asarray(getattr(_table(counts), name)().values, np.float64)
    # A positive count over zero is undefined, not infinitely bad.
    return np.where(np.isfinite(result), result, np.nan)


def _table(counts: Counts) -> BasicContingencyManager:
    import xarray as xr
    from scores.categorical import BasicContingencyManager

    axes = [f"axis_{k}" for k in range(np.ndim(counts) - 1)]
    hits, misses, false_alarms = (xr.DataArray(np.asarray(counts)[..., k].astype(float), dims=axes) for k in range(3))
    nothing = xr.zeros_like(hits)
    return BasicContingencyManager(
        {
            "tp_count": hits,
            "tn_count": nothing,
            "fp_count": false_alarms,
            "fn_count": misses,
            "total_count": hits + misses + false_alarms,
        }
    )
