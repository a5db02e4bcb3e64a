"""Compiled loops of the quality control: what each gate's neighbours look like. They release the GIL."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from nowcast.types import Bool, Float32


@njit(cache=True, nogil=True)
def neighbour_shares(
    dbz: Float32, half_rays: NDArray[np.intp], half_gates: int, no_echo_dbz: float, drop_db: float
) -> tuple[Float32, Float32]:
    """For each gate with echo, the share of observed neighbours with echo, and with echo nearly as strong.

    ``dbz [R, G]``: NaN not observed; at or below ``no_echo_dbz`` no echo. The neighbourhood is ``half_rays [G]`` rays and
    ``half_gates`` gates to each side, rays closing the circle. "Nearly as strong" is no more than ``drop_db`` weaker.
    Both results ``[R, G]`` are 1 where there is no echo and 0 where no neighbour was observed.
    """
    rays, gates = dbz.shape
    fill = np.ones((rays, gates), np.float32)
    support = np.ones((rays, gates), np.float32)
    for i in range(rays):
        for j in range(gates):
            own = dbz[i, j]
            if not own > no_echo_dbz:
                continue
            observed, echoes, alike = 0, 0, 0
            for a in range(-half_rays[j], half_rays[j] + 1):
                row = dbz[(i + a) % rays]
                for b in range(max(j - half_gates, 0), min(j + half_gates + 1, gates)):
                    value = row[b]
                    if value == value and not (a == 0 and b == j):
                        observed += 1
                        echoes += value > no_echo_dbz
                        alike += value > no_echo_dbz and value >= own - drop_db
            fill[i, j] = echoes / max(observed, 1)
            support[i, j] = alike / max(observed, 1)
    return fill, support


@njit(cache=True, nogil=True)
def strongest_nearby(dbz: Float32, ray_of: NDArray[np.intp], gate_of: NDArray[np.intp], reach: int) -> Float32:
    """The strongest of the gates around the ones that another sweep's gates ``(ray_of[i], gate_of[j])`` correspond to.

    NaN where none was observed; ``gate_of`` is -1 beyond the sweep's range.
    """
    rays, gates = dbz.shape
    out = np.full((ray_of.size, gate_of.size), np.nan, np.float32)
    for i in range(ray_of.size):
        for j in range(gate_of.size):
            if gate_of[j] < 0:
                continue
            best = np.float32(np.nan)
            for a in range(-reach, reach + 1):
                row = dbz[(ray_of[i] + a) % rays]
                for b in range(max(gate_of[j] - reach, 0), min(gate_of[j] + reach + 1, gates)):
                    if row[b] == row[b] and not best >= row[b]:
                        best = row[b]
            out[i, j] = best
    return out


@njit(cache=True, nogil=True)
def smooth_along_range(values: Float32, half_gates: int) -> Float32:
    """Mean over the finite values of ``2 half_gates + 1`` gates of the same ray, NaN where there are none."""
    rays, gates = values.shape
    out = np.full((rays, gates), np.nan, np.float32)
    for i in range(rays):
        total, count = 0.0, 0
        for j in range(-half_gates, gates):
            coming, going = j + half_gates, j - half_gates - 1
            if coming < gates and values[i, coming] == values[i, coming]:
                total += values[i, coming]
                count += 1
            if going >= 0 and values[i, going] == values[i, going]:
                total -= values[i, going]
                count -= 1
            if j >= 0 and count > 0:
                out[i, j] = total / count
    return out


@njit(cache=True, nogil=True)
def remove_small_clusters(echo: Bool, min_gates: NDArray[np.float64]) -> Bool:
    """Mark gates of echo whose connected cluster is too small.

    Gates connect to their eight neighbours, rays close the circle. A gate at range index j adds ``1 / min_gates[j]``
    to its cluster's size; clusters below 1 are marked.
    """
    rays, gates = echo.shape
    small = np.zeros((rays, gates), np.bool_)
    seen = np.zeros((rays, gates), np.bool_)
    stack = np.empty(rays * gates, np.int64)
    members = np.empty(rays * gates, np.int64)
    for i in range(rays):
        for j in range(gates):
            if not echo[i, j] or seen[i, j]:
                continue
            depth, count, size = 1, 0, 0.0
            stack[0] = i * gates + j
            seen[i, j] = True
            while depth > 0:
                depth -= 1
                at = stack[depth]
                members[count] = at
                count += 1
                r, g = at // gates, at % gates
                size += 1.0 / min_gates[g]
                for a in range(-1, 2):
                    rr = (r + a) % rays
                    for gg in range(max(g - 1, 0), min(g + 2, gates)):
                        if echo[rr, gg] and not seen[rr, gg]:
                            seen[rr, gg] = True
                            stack[depth] = rr * gates + gg
                            depth += 1
            if size < 1.0:
                for m in range(count):
                    small[members[m] // gates, members[m] % gates] = True
    return small
