"""Compiled loops of the quality control: what each gate's neighbours look like. They release the GIL."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nowcast.types import Bool, Float32
from nowcast_kernels.jit import kernel

Index = NDArray[np.intp]


@kernel
def neighbour_shares(
    dbz: Float32, ray: Index, gate: Index, half_rays: Index, half_gates: int, echo_dbz: float, drop_db: float
) -> tuple[Float32, Float32]:
    """For each gate ``(ray[e], gate[e])``: the share of neighbours with echo, and with echo nearly as strong.

    ``dbz [R, G]``: NaN not observed; echo above ``echo_dbz``. The neighbourhood is ``half_rays [G]`` rays and
    ``half_gates`` gates to each side, rays closing the circle. "Nearly as strong" is no more than ``drop_db`` weaker,
    where less than 0 dBZ counts as 0. Both results ``[E]`` are 0 where no neighbour was observed.
    """
    rays, gates = dbz.shape
    fill = np.zeros(ray.size, np.float32)
    support = np.zeros(ray.size, np.float32)
    for e in range(ray.size):
        i, j = ray[e], gate[e]
        enough = max(dbz[i, j], 0.0) - drop_db
        observed, echoes, alike = -1, -1, -1  # the gate itself does not count
        for a in range(-half_rays[j], half_rays[j] + 1):
            row = dbz[(i + a) % rays]
            for b in range(max(j - half_gates, 0), min(j + half_gates + 1, gates)):
                value = row[b]
                observed += value == value
                if value > echo_dbz:
                    echoes += 1
                    alike += max(value, 0.0) >= enough
        if observed > 0:
            fill[e] = echoes / observed
            support[e] = alike / observed
    return fill, support


@kernel
def strongest_nearby(dbz: Float32, ray: Index, gate: Index, reach: int) -> Float32:
    """The strongest gate within ``reach`` rays and gates of each ``(ray[e], gate[e])`` ``[E]``.

    NaN where none was observed, or where ``gate`` is -1: beyond the sweep's range.
    """
    rays, gates = dbz.shape
    out = np.full(ray.size, np.nan, np.float32)
    for e in range(ray.size):
        if gate[e] >= 0:
            best = np.float32(np.nan)
            for a in range(-reach, reach + 1):
                row = dbz[(ray[e] + a) % rays]
                for b in range(max(gate[e] - reach, 0), min(gate[e] + reach + 1, gates)):
                    if row[b] == row[b] and not best >= row[b]:
                        best = row[b]
            out[e] = best
    return out


@kernel
def shares_along_and_beside(
    dbz: Float32, ray: Index, gate: Index, half_gates: int, aside: int, echo_dbz: float
) -> tuple[Float32, Float32]:
    """For each gate: the share of echo along its own ray, and on the two rays ``aside`` rays away.

    Both ``[E]``, over ``half_gates`` gates to each side in range.
    """
    rays, gates = dbz.shape
    along = np.zeros(ray.size, np.float32)
    beside = np.zeros(ray.size, np.float32)
    for e in range(ray.size):
        first, last = max(gate[e] - half_gates, 0), min(gate[e] + half_gates + 1, gates)
        own, others = 0, 0
        left, right = (ray[e] - aside) % rays, (ray[e] + aside) % rays
        for g in range(first, last):
            own += dbz[ray[e], g] > echo_dbz
            others += (dbz[left, g] > echo_dbz) + (dbz[right, g] > echo_dbz)
        along[e] = own / (last - first)
        beside[e] = 0.5 * others / (last - first)
    return along, beside


@kernel
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


@kernel
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
