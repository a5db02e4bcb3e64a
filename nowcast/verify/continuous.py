"""Errors of the value itself, in dBZ, from sums over voxels.

All take ``sums [..., 4]``: number of voxels n, sum of e, of abs(e), of e squared, where e is forecast minus observed
reflectivity, both limited to 0..80 dBZ. Voxels that are not scored are in none of the sums. They return ``[...]``
float64 dBZ, NaN where n is 0. Formulas: Wilks (2019), Statistical Methods in the Atmospheric Sciences, 4th ed.,
section 9.3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def mean_error(sums: Array) -> Array:
    """Bias ``sum(e) / n``, dBZ, best 0; positive where the forecast has more echo."""
    return _mean(sums, 1)


def mean_absolute_error(sums: Array) -> Array:
    """MAE ``sum(|e|) / n``, dBZ, best 0."""
    return _mean(sums, 2)


def root_mean_square_error(sums: Array) -> Array:
    """RMSE ``sqrt(sum(e^2) / n)``, dBZ, best 0."""
    return np.sqrt(_mean(sums, 3))


def _mean(sums: Array, column: int) -> Array:
    count = sums[..., 0]
    return np.where(count > 0, sums[..., column] / np.maximum(count, 1), np.nan)
