"""The rows of voxels that one Gaussian reaches, and its weight along a row.

Shared by everything that runs over the voxels of Gaussians on the CPU. Rows are listed first, sixteen at a time, and
then worked through sixteen voxels at a time; both are straight code without branches on the data.
"""

from __future__ import annotations

import numpy as np

from nowcast_kernels.jit import inlined, kernel
from nowcast_kernels.simd import (
    LANES,
    add,
    ceil,
    floor,
    lane_numbers,
    maximum,
    minimum,
    mul,
    mul_add,
    splat,
    square_root,
    store,
    sub,
    to_float32,
    to_float64,
    to_int32,
)
from nowcast_kernels.voxelize.geometry import GY, GZ, MX, MY, MZ, REACH_Z, WX, WY, WZ, B
from nowcast_kernels.voxelize.reference import CUT

ROWS_AT_ONCE = 512  # rows listed before they are worked through: their list stays in the first cache

# exp(-q / 16) for q in 0..9 as a polynomial, fitted for relative error; its eighth power has an error below 6e-7.
P0, P1, P2 = np.float32(1.0), np.float32(-0.06249984), np.float32(0.001952928)
P3, P4, P5 = np.float32(-4.0599084e-05), np.float32(6.1640145e-07), np.float32(-5.982072e-09)


@kernel
def row_lists(ny):  # type: ignore[no-untyped-def]
    """Empty lists (places, terms, spans) that hold the rows of one level beyond ROWS_AT_ONCE; see `lay_rows`."""
    length = ROWS_AT_ONCE + ny + LANES
    spans = np.empty((2, LANES), dtype=np.int32)
    return np.empty((3, length), dtype=np.int32), np.empty((3, length), dtype=np.float32), spans


@inlined
def interval(centre, half, first, last):  # type: ignore[no-untyped-def]
    """Whole numbers low ... high within half of a centre and within first ... last; none where low > high."""
    low = max(np.ceil(centre - half), float(first))
    high = min(np.floor(centre + half), float(last))
    if low > high:
        return 0, -1
    return int(low), int(high)


@inlined
def _span_levels(spans, t, z, y_first, y_last):  # type: ignore[no-untyped-def]
    """First and last y that a Gaussian reaches at each of the levels z ... z + 15."""
    dz = sub(add(to_float64(lane_numbers()), splat(float(z))), splat(t[MZ]))
    ez = mul(dz, splat(t[WZ]))
    half = mul(square_root(maximum(sub(splat(CUT), mul(ez, ez)), splat(0.0))), splat(1.0 / t[WY]))
    centre = mul_add(dz, splat(t[B]), splat(t[MY]))
    low, high = ceil(sub(centre, half)), floor(add(centre, half))
    store(spans, 0, to_int32(minimum(maximum(low, splat(float(y_first))), splat(y_last + 1.0))))
    store(spans, LANES, to_int32(maximum(minimum(high, splat(float(y_last))), splat(y_first - 1.0))))


@kernel
def lay_rows(lists, t, z, z_last, y_first, y_last, shape):  # type: ignore[no-untyped-def]
    """List the rows from level z on where the Gaussian of table row t meets the grid's rows y_first ... y_last.

    Returns how many there are and the level to go on with: the lists are handed back when they are long enough.

    places : flat index of sixteen voxels of the row that begin with the interval, or end with the row;
        how many of them come before the interval; how many voxels it has (none where not positive).
    terms : ex at the first of the sixteen, ey and ez.
    """
    places, terms, spans = lists
    _, ny, nx, width = shape
    length = places.shape[1]
    lanes = to_float64(lane_numbers())
    lane_rows = mul(lane_numbers(), splat(np.int32(width)))
    wx, wy, half_unit, gy = splat(t[WX]), splat(t[WY]), splat(1.0 / t[WX]), splat(t[GY])
    n = 0
    for block in range(z, z_last + 1, LANES):
        _span_levels(spans, t, block, y_first, y_last)
        for z in range(block, min(block + LANES, z_last + 1)):
            if n > ROWS_AT_ONCE:
                return n, z
            dz = z - t[MZ]
            ez = t[WZ] * dz
            left = splat(max(CUT - ez * ez, 0.0))
            ey_0 = splat(-t[WY] * (t[MY] + t[B] * dz))
            cx_0 = splat(t[MX] + t[GZ] * dz - t[GY] * t[MY])
            y_stop = spans[1, z - block] + 1
            for y in range(spans[0, z - block], y_stop, LANES):
                ys = add(lanes, splat(float(y)))
                ey = mul_add(ys, wy, ey_0)
                half = mul(half_unit, square_root(maximum(sub(left, mul(ey, ey)), splat(0.0))))
                centre = mul_add(ys, gy, cx_0)
                low = minimum(maximum(ceil(sub(centre, half)), splat(0.0)), splat(float(nx)))
                high = minimum(floor(add(centre, half)), splat(nx - 1.0))
                start = minimum(low, splat(float(width - LANES)))
                begin, first = to_int32(start), to_int32(low)
                store(places, n, add(begin, add(lane_rows, splat(np.int32((z * ny + y) * width)))))
                store(places, length + n, sub(first, begin))
                store(places, 2 * length + n, add(sub(to_int32(high), first), splat(np.int32(1))))
                store(terms, n, to_float32(mul(sub(start, centre), wx)))
                store(terms, length + n, to_float32(ey))
                store(terms, 2 * length + n, splat(np.float32(ez)))
                n += min(y_stop - y, LANES)
    return n, z_last + 1


@inlined
def levels(t, nz):  # type: ignore[no-untyped-def]
    """First and last level that a Gaussian reaches; none where first > last."""
    return interval(t[MZ], t[REACH_Z], 0, nz - 1)


@inlined
def weight(q):  # type: ignore[no-untyped-def]
    """exp(-q / 2) for a vector q within 0..9; anything outside."""
    p = mul_add(splat(P5), q, splat(P4))
    p = mul_add(p, q, splat(P3))
    p = mul_add(p, q, splat(P2))
    p = mul_add(p, q, splat(P1))
    p = mul_add(p, q, splat(P0))
    p = mul(p, p)
    p = mul(p, p)
    return mul(p, p)


@inlined
def advance(at, count, ex, wx, width):  # type: ignore[no-untyped-def]
    """Place, skip, count and ex of the next sixteen voxels of a long row; the last ones overlap those before."""
    skip = max(at % width + 2 * LANES - width, 0)
    return at + LANES - skip, skip, count - LANES, ex + np.float32(LANES - skip) * wx
