"""Compiled sums over the members of an ensemble, one pass over the voxels, level by level in parallel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nowcast.types import Bool, Float32
from nowcast_kernels.jit import kernel
from nowcast_kernels.parallel import run_parallel

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


def ensemble_levels(
    members: Float32, observed: Float32, scored: Bool, thresholds: Float32, low: float, high: float, echo: float
) -> tuple[Float64, Int64, Float64]:
    """What the scores of :mod:`nowcast.verify.ensemble` are made of, for each level.

    ``members [M, Z, Y, X]``, ``observed``, ``scored [Z, Y, X]``. Returns sums ``[Z, 4]``: voxels, mean distance of the
    members to the observation, distances between the members over all pairs, variance of the members (divided by
    M - 1); voxels ``[Z, K, M + 1, 2]`` by threshold, number of members at or above it, and whether the observation is;
    ranks ``[Z, M + 1]`` of the observation among the members, ties shared out evenly, values below ``echo`` being one
    and voxels left out where nothing reaches it.
    """
    count, nz = members.shape[0], members.shape[1]
    sums = np.zeros((nz, 4), np.float64)
    exceeded = np.zeros((nz, thresholds.size, count + 1, 2), np.int64)
    ranks = np.zeros((nz, count + 1), np.float64)
    run_parallel(
        lambda z: _ensemble_level(
            members[:, z], observed[z], scored[z], thresholds, low, high, echo, sums[z], exceeded[z], ranks[z]
        ),
        nz,
    )
    return sums, exceeded, ranks


@kernel
def _ensemble_level(
    members: Float32,
    observed: Float32,
    scored: Bool,
    thresholds: Float32,
    low: float,
    high: float,
    echo: float,
    sums: Float64,
    exceeded: Int64,
    ranks: Float64,
) -> None:
    count, ny, nx = members.shape
    values = np.zeros(count, np.float64)
    for i in range(ny):
        for j in range(nx):
            if not scored[i, j]:
                continue
            o = float(min(max(observed[i, j], low), high))
            mean = 0.0
            for m in range(count):
                # Sorted as they come in: the pairs' distances and the rank then take one pass.
                x = np.float64(min(max(members[m, i, j], low), high))
                mean += x / count
                place = m
                while place > 0 and values[place - 1] > x:
                    values[place] = values[place - 1]
                    place -= 1
                values[place] = x
            sums[0] += 1.0
            for m in range(count):
                sums[1] += abs(values[m] - o) / count
                sums[2] += (2 * m - count + 1) * values[m]
                sums[3] += (values[m] - mean) ** 2 / (count - 1)
            for k in range(thresholds.size):
                above = 0
                while above < count and values[count - 1 - above] >= thresholds[k]:
                    above += 1
                exceeded[k, above, 1 if o >= thresholds[k] else 0] += 1
            if max(o, values[count - 1]) < echo:
                continue
            below, equal = 0, 0
            o = max(o, echo)
            for m in range(count):
                x = max(values[m], echo)
                below += x < o
                equal += x == o
            for rank in range(below, below + equal + 1):
                ranks[rank] += 1.0 / (equal + 1)
