"""What an ensemble says: its mean, its quantiles, how probable strong echo is, and a mean as sharp as its members.

All take members ``[M, L, Z, Y, X]`` in dBZ, equally likely, and give fields of float32 that are NaN where a member is:
what one member does not know the ensemble does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nowcast.types import Bool, Float32

THRESHOLDS_DBZ = (20.0, 35.0, 45.0)
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class EnsembleProducts:
    """Fields derived from the members of a forecast.

    Attributes
    ----------
    mean
        ``[L, Z, Y, X]`` dBZ, mean of the members' reflectivity factors in dBZ.
    matched_mean
        ``[L, Z, Y, X]`` dBZ, the mean's pattern with the members' distribution of values, level by level.
    quantiles
        ``[Q, L, Z, Y, X]`` dBZ at ``quantile_levels``, linearly interpolated between the members.
    probability
        ``[K, L, Z, Y, X]`` share of the members at or above each of ``thresholds_dbz``.
    column_probability
        ``[K, L, Y, X]`` share of the members that reach it anywhere in the column, as far as it is known.
    """

    mean: Float32
    matched_mean: Float32
    quantiles: Float32
    probability: Float32
    column_probability: Float32
    thresholds_dbz: tuple[float, ...]
    quantile_levels: tuple[float, ...]


def ensemble_products(
    members: Float32,
    thresholds_dbz: Sequence[float] = THRESHOLDS_DBZ,
    quantile_levels: Sequence[float] = QUANTILES,
) -> EnsembleProducts:
    """All products of the members ``[M, L, Z, Y, X]``."""
    known: Bool = np.asarray(np.isfinite(members).all(axis=0))
    leads, *shape = known.shape
    matched = np.empty(known.shape, np.float32)
    quantiles = np.empty((len(quantile_levels), *known.shape), np.float32)
    probability = np.empty((len(thresholds_dbz), *known.shape), np.float32)
    column = np.empty((len(thresholds_dbz), leads, *shape[1:]), np.float32)
    mean = np.empty(known.shape, np.float32)
    for lead in range(leads):  # one at a time: a whole ensemble sorted would not fit
        some = members[:, lead]
        mean[lead] = some.mean(axis=0)
        matched[lead] = np.stack([_matched(some[:, z], mean[lead, z], known[lead, z]) for z in range(shape[0])])
        quantiles[:, lead] = _quantiles(some, known[lead], quantile_levels)
        for k, threshold in enumerate(thresholds_dbz):
            reached = some >= threshold
            probability[k, lead] = np.where(known[lead], reached.mean(axis=0, dtype=np.float32), np.nan)
            anywhere = (reached & known[lead]).any(axis=1).mean(axis=0, dtype=np.float32)
            column[k, lead] = np.where(known[lead].any(axis=0), anywhere, np.nan)
    return EnsembleProducts(
        mean, matched, quantiles, probability, column, tuple(thresholds_dbz), tuple(quantile_levels)
    )


def _matched(members: Float32, mean: Float32, known: Bool) -> Float32:
    """Probability-matched mean of one level (Ebert 2001, doi:10.1175/1520-0493(2001)129<2461:AOAPMS>2.0.CO;2).

    The n-th largest value of the mean becomes the median of the n-th M largest values of all members.
    """
    count = len(members)
    pooled = np.sort(members[:, known].reshape(-1))[count // 2 :: count]
    out = np.full(mean.shape, np.nan, np.float32)
    values = mean[known]
    placed = np.empty_like(values)
    placed[np.argsort(values, kind="stable")] = pooled
    out[known] = np.where(values > 0, placed, 0.0)
    return out


def _quantiles(members: Float32, known: Bool, levels: Sequence[float]) -> Float32:
    """``[Q, Z, Y, X]`` quantiles over the members; only voxels where a member has echo are sorted."""
    out = np.where(known, np.float32(0.0), np.float32(np.nan))[None].repeat(len(levels), axis=0)
    wet = known & (members > 0).any(axis=0)
    out[:, wet] = np.quantile(members[:, wet], levels, axis=0).astype(np.float32)
    return out
