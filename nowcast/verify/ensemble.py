"""Scores of an ensemble of M equally likely members, from sums over voxels.

They are made from what :class:`EnsembleTally` keeps. Values are limited to 0..80 dBZ; voxels that are not scored count
in none. NaN where nothing was scored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nowcast.types import Bool, Float32
from nowcast.units import ECHO_FLOOR_DBZ, MAX_DBZ
from nowcast.verify.ensemble_kernels import ensemble_levels

Array = NDArray[np.float64]

ECHO_DBZ = 5.0
"""For the ranks, anything below is "no echo" and of one value: the tail of an interpolation is not a forecast."""


class EnsembleTally:
    """Sums over ensembles by lead time, pooled over the forecasts added.

    Attributes
    ----------
    sums
        ``[L, Z, 4]`` voxels n; mean distance of members to observation; distance between members, summed over pairs;
        variance of the members.
    exceeded
        ``[L, K, M + 1, 2]`` int64 voxels by number of members at or above a threshold, where the observation was
        below it (0) and at or above it (1).
    ranks
        ``[L, M + 1]`` voxels by rank of the observation among the members, where it or a member reaches ``ECHO_DBZ``.
    """

    def __init__(self, leads: int, levels: int, members: int, thresholds_dbz: tuple[float, ...]) -> None:
        self.members = members
        self.thresholds = np.array(thresholds_dbz, np.float32)
        self.sums = np.zeros((leads, levels, 4), np.float64)
        self.exceeded = np.zeros((leads, len(thresholds_dbz), members + 1, 2), np.int64)
        self.ranks = np.zeros((leads, members + 1), np.float64)

    def add(self, lead: int, members: Float32, observed: Float32, scored: Bool) -> None:
        """Score the members ``[M, Z, Y, X]`` at one lead time."""
        sums, exceeded, ranks = ensemble_levels(
            members, observed, scored, self.thresholds, ECHO_FLOOR_DBZ, MAX_DBZ, ECHO_DBZ
        )
        self.sums[lead] += sums
        self.exceeded[lead] += exceeded.sum(axis=0)
        self.ranks[lead] += ranks.sum(axis=0)

    def merge(self, other: EnsembleTally) -> None:
        """Add what another tally of ensembles of the same size holds."""
        self.sums += other.sums
        self.exceeded += other.exceeded
        self.ranks += other.ranks

    def crps(self, *, fair: bool = False) -> Array:
        """``[L]`` CRPS by lead time, dBZ, all levels together."""
        return crps(self.sums.sum(axis=1), self.members, fair=fair)

    def spread(self) -> Array:
        """``[L]`` spread by lead time, dBZ, all levels together."""
        return spread(self.sums.sum(axis=1), self.members)


def crps(sums: Array, members: int, *, fair: bool = False) -> Array:
    """Continuous ranked probability score, dBZ, best 0; of one member it is the mean absolute error.

    ``mean |x_i - y| - 1 / (2 M^2) sum_ij |x_i - x_j|``: that of the M members as they are (the step function of their
    distribution, "ecdf" in ``scores``), which is what is reported as CRPS (Hersbach 2000,
    doi:10.1175/1520-0434(2000)015<0559:DOTCRP>2.0.CO;2). ``fair`` divides by ``2 M (M - 1)`` instead: what an
    unlimited ensemble of the same kind would get, to compare ensembles of different sizes (Ferro 2014,
    doi:10.1002/qj.2270).

    ``sums [..., 4]`` as in :class:`EnsembleTally`; returns ``[...]``.
    """
    pairs = sums[..., 2] / (members * (members - 1 if fair else members))
    return _share(sums[..., 1] - pairs, sums[..., 0])


def spread(sums: Array, members: int) -> Array:
    """Spread, dBZ: ``sqrt((M + 1) / M * mean variance)``, variances divided by M - 1.

    For a reliable ensemble it is the root mean square error of the ensemble mean (Fortin et al. 2014,
    doi:10.1175/JHM-D-14-0008.1).
    """
    return np.sqrt((members + 1) / members * _share(sums[..., 3], sums[..., 0]))


def brier(exceeded: NDArray[np.integer], *, fair: bool = False) -> Array:
    """Brier score of the share k / M of members with the event, 0 to 1, best 0.

    ``mean (k / M - o)^2``, o being 1 where the event was observed (Brier 1950); ``fair`` takes ``k (M - k) /
    (M^2 (M - 1))`` from it, as for :func:`crps`. ``exceeded [..., M + 1, 2]``; returns ``[...]``.
    """
    members = exceeded.shape[-2] - 1
    probability = np.arange(members + 1) / members
    loss = exceeded[..., 0] * probability**2 + exceeded[..., 1] * (1 - probability) ** 2
    if fair:
        loss = loss - exceeded.sum(axis=-1) * probability * (1 - probability) / (members - 1)
    return _share(loss.sum(axis=-1), exceeded.sum(axis=(-2, -1)))


def brier_skill(exceeded: NDArray[np.integer]) -> Array:
    """Brier skill score: 1 minus Brier score over that of the share of voxels with the event here; best 1.

    NaN where the event was observed nowhere or everywhere.
    """
    base = _share(exceeded[..., 1].sum(axis=-1), exceeded.sum(axis=(-2, -1)))
    reference = base * (1 - base)
    return 1 - _share(brier(exceeded), reference)


def observed_share(exceeded: NDArray[np.integer]) -> Array:
    """``[..., M + 1]``: how often the event came where k of M members had it, the reliability curve.

    Wilks (2019), Statistical Methods in the Atmospheric Sciences, 4th ed., section 9.4.4. NaN where no voxel had k.
    """
    return _share(exceeded[..., 1], exceeded.sum(axis=-1))


def _share(part: NDArray[np.number], whole: NDArray[np.number]) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, np.nan)
