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
MATCHED_DBZ = (20.0, 45.0)


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
    matched = np.empty(known.shape, np.float32)
    column = np.empty((len(thresholds_dbz), len(known), *known.shape[2:]), np.float32)
    said = ensemble_statistics(members, thresholds_dbz, quantile_levels)
    for lead, here in enumerate(known):
        some, mean = members[:, lead], said.mean[lead]
        matched[lead] = np.stack([_matched(some[:, z], mean[z], here[z]) for z in range(len(here))])
        for k, threshold in enumerate(thresholds_dbz):
            anywhere = ((some >= threshold) & here).any(axis=1).mean(axis=0, dtype=np.float32)
            column[k, lead] = np.where(here.any(axis=0), anywhere, np.nan)
    return EnsembleProducts(
        said.mean, matched, said.quantiles, said.probability, column, tuple(thresholds_dbz), tuple(quantile_levels)
    )


def with_strong_echo_of(member: Float32, control: Float32) -> Float32:
    """A member ``[..., Z, Y, X]`` whose strong echo is as widespread as that of the one best forecast, lead by lead.

    Moved and grown by noise, Gaussians pile up here and there, and their sum exceeds what any storm has. So the n-th
    largest value of a volume becomes that of the control: from ``MATCHED_DBZ[1]`` on in full, at ``MATCHED_DBZ[0]`` and
    below not at all, in proportion between. Where strong echo lies stays the member's own. Probability matching of
    members is common (Bowler et al. 2006, doi:10.1256/qj.04.100); here it is that of their upper end.
    """
    low, high = MATCHED_DBZ
    shape = member.shape
    out = member.reshape(-1, *shape[-3:]).copy()
    for volume, best in zip(out, control.reshape(out.shape), strict=True):
        strong = volume > low
        values = volume[strong]
        largest = np.sort(best[best > 0])[::-1][: len(values)]
        matched = np.zeros_like(values)
        matched[np.argsort(-values, kind="stable")[: len(largest)]] = largest
        share = np.clip((values - low) / (high - low), 0.0, 1.0)
        volume[strong] = values + share * (matched - values)
    return out.reshape(shape)


@dataclass(frozen=True)
class EnsembleStatistics:
    """Of members ``[M, L, ...]``: ``mean [L, ...]``, ``quantiles [Q, L, ...]``, ``probability [K, L, ...]``."""

    mean: Float32
    quantiles: Float32
    probability: Float32


def ensemble_statistics(
    members: Float32, thresholds: Sequence[float], quantile_levels: Sequence[float] = QUANTILES
) -> EnsembleStatistics:
    """Mean, quantiles, and share of the members at or above each threshold, of a quantity that is never negative.

    ``members [M, L, ...]`` are of any unit; what one of them does not know (NaN) is missing.
    """
    shape = members.shape[1:]
    mean = np.empty(shape, np.float32)
    quantiles = np.empty((len(quantile_levels), *shape), np.float32)
    probability = np.empty((len(thresholds), *shape), np.float32)
    for lead in range(len(mean)):  # one at a time: a whole ensemble sorted would not fit
        some = members[:, lead]
        known: Bool = np.asarray(np.isfinite(some).all(axis=0))
        mean[lead] = some.mean(axis=0)
        quantiles[:, lead] = _quantiles(some, known, quantile_levels)
        for k, threshold in enumerate(thresholds):
            reached = (some >= threshold).mean(axis=0, dtype=np.float32)
            probability[k, lead] = np.where(known, reached, np.nan)
    return EnsembleStatistics(mean, quantiles, probability)


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
    """``[Q, ...]`` quantiles over members ``[M, ...]``; only places where a member has more than 0 are sorted."""
    out = np.where(known, np.float32(0.0), np.float32(np.nan))[None].repeat(len(levels), axis=0)
    wet = known & (members > 0).any(axis=0)
    out[:, wet] = np.quantile(members[:, wet], levels, axis=0).astype(np.float32)
    return out
