"""Compiled counting, one pass over the voxels, level by level in parallel and in a fixed order within a level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nowcast.types import Bool, Float32
from nowcast_kernels.jit import kernel
from nowcast_kernels.parallel import run_parallel

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


def count_levels(
    forecast: Float32, observed: Float32, scored: Bool, thresholds: Float32, low: float, high: float
) -> tuple[Int64, Float64]:
    """Contingency counts and sums of errors of each level.

    ``forecast``, ``observed``, ``scored`` ``[Z, Y, X]``; an event is a value at or above a threshold. Returns counts
    ``[Z, K, 3]`` (hits, misses, false alarms) and sums ``[Z, 4]``: voxels, error, absolute error, squared error.
    """
    nz = forecast.shape[0]
    counts = np.zeros((nz, thresholds.size, 3), np.int64)
    sums = np.zeros((nz, 4), np.float64)
    run_parallel(
        lambda z: _count_level(forecast[z], observed[z], scored[z], thresholds, low, high, counts[z], sums[z]), nz
    )
    return counts, sums


@kernel
def _count_level(
    forecast: Float32,
    observed: Float32,
    scored: Bool,
    thresholds: Float32,
    low: float,
    high: float,
    counts: Int64,
    sums: Float64,
) -> None:
    ny, nx = forecast.shape
    for i in range(ny):
        for j in range(nx):
            if not scored[i, j]:
                continue
            f = min(max(forecast[i, j], low), high)
            o = min(max(observed[i, j], low), high)
            error = np.float64(f) - np.float64(o)
            sums[0] += 1.0
            sums[1] += error
            sums[2] += abs(error)
            sums[3] += error * error
            for k in range(thresholds.size):
                if o >= thresholds[k]:
                    counts[k, 0 if f >= thresholds[k] else 1] += 1
                elif f >= thresholds[k]:
                    counts[k, 2] += 1


def fraction_sums(forecast: Float32, observed: Float32, scored: Bool, thresholds: Float32, windows: Int64) -> Float64:
    """``[Z, K, W, 2]``: of each level, sums of (pf - po)^2 and of pf^2 + po^2 over scored voxels.

    pf and po are the shares of voxels with an event within a square window of ``windows`` ``[W]`` voxels, odd; voxels
    that are not scored, and those beyond the grid, hold no event.
    """
    nz = forecast.shape[0]
    sums = np.zeros((nz, thresholds.size, windows.size, 2), np.float64)
    run_parallel(lambda z: _fractions_level(forecast[z], observed[z], scored[z], thresholds, windows, sums[z]), nz)
    return sums


@kernel
def _fractions_level(
    forecast: Float32, observed: Float32, scored: Bool, thresholds: Float32, windows: Int64, sums: Float64
) -> None:
    ny, nx = forecast.shape
    above_f = np.zeros((ny + 1, nx + 1), np.int64)
    above_o = np.zeros((ny + 1, nx + 1), np.int64)
    for k in range(thresholds.size):
        for i in range(ny):
            row_f, row_o = 0, 0
            for j in range(nx):
                if scored[i, j]:
                    row_f += forecast[i, j] >= thresholds[k]
                    row_o += observed[i, j] >= thresholds[k]
                above_f[i + 1, j + 1] = above_f[i, j + 1] + row_f
                above_o[i + 1, j + 1] = above_o[i, j + 1] + row_o
        if above_f[ny, nx] == 0 and above_o[ny, nx] == 0:
            continue
        for w in range(windows.size):
            half, area = windows[w] // 2, float(windows[w] * windows[w])
            for i in range(ny):
                i0, i1 = max(i - half, 0), min(i + half + 1, ny)
                for j in range(nx):
                    if not scored[i, j]:
                        continue
                    j0, j1 = max(j - half, 0), min(j + half + 1, nx)
                    f = above_f[i1, j1] - above_f[i0, j1] - above_f[i1, j0] + above_f[i0, j0]
                    o = above_o[i1, j1] - above_o[i0, j1] - above_o[i1, j0] + above_o[i0, j0]
                    pf, po = f / area, o / area
                    sums[k, w, 0] += (pf - po) ** 2
                    sums[k, w, 1] += pf * pf + po * po
