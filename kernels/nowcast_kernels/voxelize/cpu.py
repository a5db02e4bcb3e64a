"""The CPU voxelizer: numba kernels over rows of voxels, and what orders the work for them.

The grid is cut into slabs of a few y rows, each with the list of the Gaussians that reach it, in one fixed order.
Rendering gives each slab to one thread, the backward pass each Gaussian: nothing is written twice, every sum
runs in the same order, and so the bits do not depend on how many threads there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from nowcast_kernels.parallel import run_parallel
from nowcast_kernels.simd import LANES, add, keep, lane_numbers, load, mul, mul_add, splat, store, total
from nowcast_kernels.voxelize.geometry import (
    GY,
    GZ,
    MX,
    MY,
    MZ,
    N_COLUMNS,
    N_MOMENTS,
    REACH_Y,
    REACH_Z,
    WX,
    WY,
    WZ,
    B,
    parameter_gradients,
    prepare,
)
from nowcast_kernels.voxelize.grid import VoxelGrid

CUT = 9.0 * (1.0 + 1e-9)  # as in reference.py
P0, P1, P2, P3, P4, P5 = (
    np.float32(c) for c in (1.0, -0.06249984, 0.001952928, -4.0599084e-05, 6.1640145e-07, -5.982072e-09)
)
SLAB_ROWS = 16  # y rows a slab: small enough for the cache, large enough that few Gaussians are in two

GAUSSIANS_PER_PART = 512

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Plan:
    """What forward and backward share: geometry, and who reaches which slab in which order."""

    shape: tuple[int, int, int]
    spacing_m: tuple[float, float, float]
    table: Doubles  # [N, 11], see geometry
    order: Ints  # Gaussians sorted by slab of their centre, then by x
    slab_first: Ints  # [n_slabs + 1] where each slab's list starts in slab_items
    slab_items: Ints


def make_plan(means: Floats, log_scales: Floats, quats: Floats, grid: VoxelGrid) -> Plan:
    """Geometry table and work lists of the Gaussians on this grid."""
    shape = (int(grid.shape[0]), int(grid.shape[1]), int(grid.shape[2]))
    first = (float(grid.first_m[0]), float(grid.first_m[1]), float(grid.first_m[2]))
    spacing = (float(grid.spacing_m[0]), float(grid.spacing_m[1]), float(grid.spacing_m[2]))
    table = np.empty((len(means), N_COLUMNS))
    prepare(means, log_scales, quats, first, spacing, table)
    return Plan(shape, spacing, table, *_sort_into_slabs(table, shape))


def render(plan: Plan, intensities: Floats) -> Floats:
    """Field [C, Z, Y, X]."""
    nz, ny, nx = plan.shape
    width = max(nx, LANES)  # the kernels read and write sixteen voxels of a row at once
    out = np.empty((intensities.shape[1], nz, ny, width), dtype=np.float32)
    flat = out.reshape(-1)

    def work(slab: int) -> None:
        _render_slab(flat, (nz, ny, nx, width), plan.table, intensities, plan.slab_first, plan.slab_items, slab)

    run_parallel(work, len(plan.slab_first) - 1)
    return out if width == nx else np.ascontiguousarray(out[..., :nx])


def pull_back(
    plan: Plan, log_scales: Floats, quats: Floats, intensities: Floats, grad: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Gradients of means, log-scales, quaternions and intensities from that of the field [C, Z, Y, X]."""
    nz, ny, nx = plan.shape
    width = max(nx, LANES)
    if width > nx:
        grad = np.pad(grad, ((0, 0), (0, 0), (0, 0), (0, width - nx)))
    flat = np.ascontiguousarray(grad).reshape(-1)
    gradients = tuple(np.empty((len(plan.table), k), dtype=np.float32) for k in (3, 3, 4, intensities.shape[1]))

    def work(part: int) -> None:
        first = part * GAUSSIANS_PER_PART
        _pull_back_part(
            flat, (nz, ny, nx, width), plan.spacing_m, plan.table, log_scales, quats, intensities,
            plan.order[first : first + GAUSSIANS_PER_PART], *gradients,
        )  # fmt: skip

    run_parallel(work, -(-len(plan.table) // GAUSSIANS_PER_PART))
    return gradients


@njit(cache=True, nogil=True)
def _sort_into_slabs(table, shape):  # type: ignore[no-untyped-def]
    """Order of the Gaussians in space (counting sort) and the list of those that reach each slab."""
    nz, ny, nx = shape
    n = len(table)
    n_slabs = (ny + SLAB_ROWS - 1) // SLAB_ROWS
    n_columns = (nx + 15) // 16
    first_slab = np.empty(n, dtype=np.int32)
    last_slab = np.empty(n, dtype=np.int32)
    key = np.empty(n, dtype=np.int32)
    starts = np.zeros(n_slabs * n_columns + 1, dtype=np.int32)
    slab_first = np.zeros(n_slabs + 1, dtype=np.int32)
    for i in range(n):
        t = table[i]
        y0 = max(0.0, math.ceil(t[MY] - t[REACH_Y]))
        y1 = min(ny - 1.0, math.floor(t[MY] + t[REACH_Y]))
        off_z = t[MZ] + t[REACH_Z] < 0.0 or t[MZ] - t[REACH_Z] > nz - 1.0
        first_slab[i], last_slab[i] = 0, -1
        if y0 <= y1 and not off_z:
            first_slab[i], last_slab[i] = int(y0) // SLAB_ROWS, int(y1) // SLAB_ROWS
        row = int(min(max(t[MY], 0.0), ny - 1.0)) // SLAB_ROWS
        column = int(min(max(t[MX], 0.0), nx - 1.0)) // 16
        key[i] = row * n_columns + column
        starts[key[i] + 1] += 1
        for slab in range(first_slab[i], last_slab[i] + 1):
            slab_first[slab + 1] += 1
    for k in range(len(starts) - 1):
        starts[k + 1] += starts[k]
    order = np.empty(n, dtype=np.int32)
    for i in range(n):
        order[starts[key[i]]] = i
        starts[key[i]] += 1
    for slab in range(n_slabs):
        slab_first[slab + 1] += slab_first[slab]
    fill = slab_first.copy()
    items = np.empty(slab_first[n_slabs], dtype=np.int32)
    for i in order:
        for slab in range(first_slab[i], last_slab[i] + 1):
            items[fill[slab]] = i
            fill[slab] += 1
    return order, slab_first, items


@njit(cache=True, nogil=True, inline="always")
def _interval(centre, half, first, last):  # type: ignore[no-untyped-def]
    """Whole numbers low ... high within half of a centre and within first ... last; none where low > high."""
    low = max(np.ceil(centre - half), float(first))
    high = min(np.floor(centre + half), float(last))
    if low > high:
        return 0, -1
    return int(low), int(high)


@njit(cache=True, nogil=True, inline="always")
def _weight(q):  # type: ignore[no-untyped-def]
    """exp(-q / 2) for q in 0..9 to 6e-7: the eighth power of a polynomial for exp(-q / 16)."""
    p = mul_add(splat(P5), q, splat(P4))
    p = mul_add(p, q, splat(P3))
    p = mul_add(p, q, splat(P2))
    p = mul_add(p, q, splat(P1))
    p = mul_add(p, q, splat(P0))
    p = mul(p, p)
    p = mul(p, p)
    return mul(p, p)


@njit(cache=True, nogil=True)
def _lay_rows(rows, t, dz, qz, y_first, nx):  # type: ignore[no-untyped-def]
    """Where the rows y_first ... y_first + 15 of one level meet a Gaussian: low, count, ex at low, ey.

    A constant number of rows and one array, so that the compiler turns the loop into vector instructions; rows
    beyond the Gaussian get some count and are not looked at.
    """
    wx, wy, gy = t[WX], t[WY], t[GY]
    cy = t[MY] + t[B] * dz
    cx_first = t[MX] + t[GZ] * dz + gy * (y_first - t[MY])
    per_wx = 1.0 / wx
    for r in range(LANES):
        ey = wy * (y_first + r - cy)
        half = math.sqrt(max(CUT - qz - ey * ey, 0.0)) * per_wx
        cx = cx_first + gy * r
        low = max(np.ceil(cx - half), 0.0)
        rows[r] = low
        rows[LANES + r] = min(np.floor(cx + half), nx - 1.0) + 1.0 - low
        rows[2 * LANES + r] = (low - cx) * wx
        rows[3 * LANES + r] = ey


@njit(cache=True, nogil=True)
def _render_slab(out, shape, table, intensities, slab_first, slab_items, slab):  # type: ignore[no-untyped-def]
    """Clear one slab of the flat field and add every Gaussian that reaches it."""
    n_channels = intensities.shape[1]
    nz, ny, nx, width = shape
    y_first = slab * SLAB_ROWS
    y_last = min(y_first + SLAB_ROWS, ny) - 1
    for plane in range(n_channels * nz):
        out[(plane * ny + y_first) * width : (plane * ny + y_last + 1) * width] = 0.0
    lanes = lane_numbers()
    rows = np.empty(4 * LANES)
    for k in range(slab_first[slab], slab_first[slab + 1]):
        i = slab_items[k]
        t = table[i]
        wx = np.float32(t[WX])
        z0, z1 = _interval(t[MZ], t[REACH_Z], 0, nz - 1)
        for z in range(z0, z1 + 1):
            dz = z - t[MZ]
            qz = (t[WZ] * dz) ** 2
            y0, y1 = _interval(t[MY] + t[B] * dz, math.sqrt(max(CUT - qz, 0.0)) / t[WY], y_first, y_last)
            _lay_rows(rows, t, dz, qz, y0, nx)
            for r in range(y1 + 1 - y0):
                low, count, e_low, ey = int(rows[r]), int(rows[LANES + r]), rows[2 * LANES + r], rows[3 * LANES + r]
                row = (z * ny + y0 + r) * width
                for done in range(0, count, LANES):
                    start = min(low + done, width - LANES)  # the last sixteen may begin before the interval
                    skip = low + done - start
                    e = mul_add(lanes, splat(wx), splat(np.float32(e_low) + np.float32(done - skip) * wx))
                    w = _weight(mul_add(e, e, splat(np.float32(qz + ey * ey))))
                    w = keep(w, skip, count - done)
                    for c in range(n_channels):
                        at = c * nz * ny * width + row + start
                        store(out, at, mul_add(splat(intensities[i, c]), w, load(out, at)))


@njit(cache=True, nogil=True)
def _gather_moments(grad, shape, table, intensities, part, moments, g_intensities):  # type: ignore[no-untyped-def]
    """Sums over the voxels of each Gaussian of a part: see N_MOMENTS, and g w by channel."""
    n_channels = intensities.shape[1]
    nz, ny, nx, width = shape
    lanes = lane_numbers()
    rows = np.empty(4 * LANES)
    by_channel = np.zeros(n_channels * LANES, dtype=np.float32)
    sums = np.zeros(n_channels)
    for k, i in enumerate(part):
        t = table[i]
        m = moments[k]
        m[:] = 0.0
        sums[:] = 0.0
        wx = np.float32(t[WX])
        z0, z1 = _interval(t[MZ], t[REACH_Z], 0, nz - 1)
        for z in range(z0, z1 + 1):
            dz = z - t[MZ]
            ez = t[WZ] * dz
            qz = ez * ez
            y0, y1 = _interval(t[MY] + t[B] * dz, math.sqrt(max(CUT - qz, 0.0)) / t[WY], 0, ny - 1)
            s1 = sx = sy = sxx = sxy = syy = splat(np.float32(0.0))
            by_channel[:] = 0.0
            for y in range(y0, y1 + 1):
                r = (y - y0) % LANES
                if r == 0:
                    _lay_rows(rows, t, dz, qz, y, nx)
                low, count, e_low, ey = int(rows[r]), int(rows[LANES + r]), rows[2 * LANES + r], rows[3 * LANES + r]
                row = (z * ny + y) * width
                ey_all = splat(np.float32(ey))
                for done in range(0, count, LANES):
                    start = min(low + done, width - LANES)
                    skip = low + done - start
                    e = mul_add(lanes, splat(wx), splat(np.float32(e_low) + np.float32(done - skip) * wx))
                    w = _weight(mul_add(e, e, splat(np.float32(qz + ey * ey))))
                    w = keep(w, skip, count - done)
                    g = splat(np.float32(0.0))
                    for c in range(n_channels):
                        g_c = load(grad, c * nz * ny * width + row + start)
                        store(by_channel, c * LANES, mul_add(w, g_c, load(by_channel, c * LANES)))
                        g = mul_add(splat(intensities[i, c]), g_c, g)
                    gw = mul(g, w)
                    gwx = mul(gw, e)
                    gwy = mul(gw, ey_all)
                    s1 = add(s1, gw)
                    sx = add(sx, gwx)
                    sy = add(sy, gwy)
                    sxx = mul_add(gwx, e, sxx)
                    sxy = mul_add(gwx, ey_all, sxy)
                    syy = mul_add(gwy, ey_all, syy)
            for c in range(n_channels):
                sums[c] += total(load(by_channel, c * LANES))
            p1, px, py = float(total(s1)), float(total(sx)), float(total(sy))
            m[0] += p1
            m[1] += px
            m[2] += py
            m[3] += ez * p1
            m[4] += total(sxx)
            m[5] += total(sxy)
            m[6] += ez * px
            m[7] += total(syy)
            m[8] += ez * py
            m[9] += qz * p1
        for c in range(n_channels):
            g_intensities[i, c] = sums[c]


@njit(cache=True, nogil=True)
def _pull_back_part(  # type: ignore[no-untyped-def]
    grad, shape, spacing_m, table, log_scales, quats, intensities, part, g_means, g_log_scales, g_quats, g_intensities
):
    """All gradients of the Gaussians of a part."""
    moments = np.empty((len(part), N_MOMENTS))
    _gather_moments(grad, shape, table, intensities, part, moments, g_intensities)
    parameter_gradients(part, log_scales, quats, spacing_m, table, moments, g_means, g_log_scales, g_quats)
