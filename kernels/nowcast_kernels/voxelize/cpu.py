"""The CPU voxelizer: numba kernels over the rows of voxels that Gaussians reach.

Rendering gives each slab of the grid to one thread, the backward pass each Gaussian: nothing is written twice,
every sum runs in an order that the inputs alone decide, and so the bits do not depend on how many threads there are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nowcast_kernels.jit import kernel
from nowcast_kernels.parallel import run_parallel
from nowcast_kernels.simd import (
    LANES,
    add,
    keep,
    lane_numbers,
    load,
    mul,
    mul_add,
    prefetch,
    scratch,
    splat,
    store,
    to_float32,
    total,
)
from nowcast_kernels.voxelize.geometry import N_MOMENTS, WX, parameter_gradients
from nowcast_kernels.voxelize.plan import SLAB_ROWS, Floats, Plan, gather, make_plan
from nowcast_kernels.voxelize.rows import advance, lay_rows, levels, row_lists, weight

__all__ = ["Plan", "channel_list", "make_plan", "padded_shape", "pull_back", "render"]

GAUSSIANS_PER_PART = 512  # that a thread takes at a time in the backward pass
ROWS_AHEAD = 16  # of the row at work, asked for from memory


def render(plan: Plan, intensities: Floats) -> Floats:
    """Field [C, Z, Y, X] float32 of Gaussians with intensities [N, C] float32."""
    n_channels = intensities.shape[1]
    shape = padded_shape(plan)
    out = np.empty((n_channels, *shape[:2], shape[3]), dtype=np.float32)
    flat, amplitudes, channels = out.reshape(-1), gather(intensities, plan.order), channel_list(n_channels)

    def work(slab: int) -> None:
        _render_slab(flat, shape, plan.table, amplitudes, channels, plan.slab_first, plan.slab_items, slab)

    run_parallel(work, len(plan.slab_first) - 1)
    return np.ascontiguousarray(out[..., : plan.shape[2]])


def pull_back(
    plan: Plan, log_scales: Floats, quats: Floats, intensities: Floats, grad: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Gradients of means, log-scales, quaternions and intensities from that of the field, [C, Z, Y, X] float32.

    The arrays are those that the plan was made from and that were rendered.
    """
    n_channels = intensities.shape[1]
    shape = padded_shape(plan)
    beyond = shape[3] - plan.shape[2]
    if beyond:
        grad = np.pad(grad, ((0, 0), (0, 0), (0, 0), (0, beyond)))
    flat = np.ascontiguousarray(grad).reshape(-1)
    channels = channel_list(n_channels)
    g_means, g_log_scales, g_quats, g_intensities = (
        np.empty((len(plan.order), k), dtype=np.float32) for k in (3, 3, 4, n_channels)
    )

    def work(part: int) -> None:
        rows = slice(part * GAUSSIANS_PER_PART, (part + 1) * GAUSSIANS_PER_PART)
        _pull_back_part(
            flat, shape, plan.spacing_m, plan.table[rows], plan.order[rows], log_scales, quats, intensities, channels,
            g_means, g_log_scales, g_quats, g_intensities,
        )  # fmt: skip

    run_parallel(work, -(-len(plan.order) // GAUSSIANS_PER_PART))
    return g_means, g_log_scales, g_quats, g_intensities


def padded_shape(plan: Plan) -> tuple[int, int, int, int]:
    """(nz, ny, nx, width): in memory a row has width voxels, at least the sixteen that a kernel touches at once."""
    nz, ny, nx = plan.shape
    return nz, ny, nx, max(nx, LANES)


def channel_list(n_channels: int) -> tuple[int] | NDArray[np.int8]:
    """Something as long as there are channels; for one channel its type says so, and the compiler drops the loop."""
    return (0,) if n_channels == 1 else np.zeros(n_channels, dtype=np.int8)


@kernel
def _render_slab(out, shape, table, intensities, channels, slab_first, slab_items, slab):  # type: ignore[no-untyped-def]
    """Clear one slab of the flat field and add every Gaussian that reaches it."""
    nz, ny, _, width = shape
    y_first = slab * SLAB_ROWS
    y_last = min(y_first + SLAB_ROWS, ny) - 1
    for k in range(len(channels) * nz):
        out[(k * ny + y_first) * width : (k * ny + y_last + 1) * width] = 0.0
    lists = row_lists(ny)
    for k in range(slab_first[slab], slab_first[slab + 1]):
        i = slab_items[k]
        t = table[i]
        z, z_last = levels(t, nz)
        while z <= z_last:
            n, z = lay_rows(lists, t, z, z_last, y_first, y_last, shape)
            _add_rows(out, channels, nz * ny * width, width, np.float32(t[WX]), intensities[i], lists, n)


@kernel
def _add_rows(out, channels, plane, width, wx, amplitude, lists, n):  # type: ignore[no-untyped-def]
    """Add a Gaussian on n rows to the flat field."""
    places, terms, _ = lists
    lane_wx = mul(to_float32(lane_numbers()), splat(wx))
    for r in range(n):
        at, skip, count = places[0, r], places[1, r], places[2, r]
        ex, ey, ez = terms[0, r], terms[1, r], terms[2, r]
        q_row = splat(ey * ey + ez * ez)
        while count > 0:
            e = add(lane_wx, splat(ex))
            w = keep(weight(mul_add(e, e, q_row)), skip, count)
            for c in range(len(channels)):
                store(out, c * plane + at, mul_add(splat(amplitude[c]), w, load(out, c * plane + at)))
            if count <= LANES:
                break
            at, skip, count, ex = advance(at, count, ex, wx, width)


@kernel
def _pull_back_part(  # type: ignore[no-untyped-def]
    grad, shape, spacing_m, table, order, log_scales, quats, intensities, channels,
    g_means, g_log_scales, g_quats, g_intensities,
):  # fmt: skip
    """All gradients of a part of the sorted Gaussians: their rows of the table and of the order."""
    nz, ny, _, width = shape
    lists = row_lists(ny)
    by_channel = scratch(len(channels) * LANES)
    sums = np.empty(len(channels))
    moments = np.zeros((len(order), N_MOMENTS))
    amplitudes = gather(intensities, order)
    for i in range(len(order)):
        t = table[i]
        sums[:] = 0.0
        z, z_last = levels(t, nz)
        while z <= z_last:
            n, z = lay_rows(lists, t, z, z_last, 0, ny - 1, shape)
            _sum_rows(
                grad, channels, nz * ny * width, width, np.float32(t[WX]), amplitudes[i], lists, n,
                by_channel, moments[i], sums,
            )  # fmt: skip
        for c in range(len(channels)):
            g_intensities[order[i], c] = sums[c]
    log_scales, quats = gather(log_scales, order), gather(quats, order)
    parameter_gradients(log_scales, quats, spacing_m, table, moments, order, g_means, g_log_scales, g_quats)


@kernel
def _sum_rows(grad, channels, plane, width, wx, amplitude, lists, n, by_channel, moments, sums):  # type: ignore[no-untyped-def]
    """Add to the moments of a Gaussian, and to its sums of g w by channel, what n rows hold."""
    places, terms, _ = lists
    lane_wx = mul(to_float32(lane_numbers()), splat(wx))
    zero = splat(np.float32(0.0))
    by_channel[:] = 0.0
    s = sx = sy = sz = sxx = sxy = sxz = syy = syz = szz = zero
    for r in range(n):
        at, skip, count = places[0, r], places[1, r], places[2, r]
        ex, ey, ez = terms[0, r], terms[1, r], terms[2, r]
        q_row = splat(ey * ey + ez * ez)
        prefetch(grad, places[0, min(r + ROWS_AHEAD, n - 1)])
        while count > 0:
            e = add(lane_wx, splat(ex))
            w = keep(weight(mul_add(e, e, q_row)), skip, count)
            g = zero
            for c in range(len(channels)):
                g_c = load(grad, c * plane + at)
                store(by_channel, c * LANES, mul_add(w, g_c, load(by_channel, c * LANES)))
                g = mul_add(splat(amplitude[c]), g_c, g)
            gw = mul(g, w)
            gwx, gwy, gwz = mul(gw, e), mul(gw, splat(ey)), mul(gw, splat(ez))
            s, sx, sy, sz = add(s, gw), add(sx, gwx), add(sy, gwy), add(sz, gwz)
            sxx, sxy, sxz = mul_add(gwx, e, sxx), mul_add(gwx, splat(ey), sxy), mul_add(gwx, splat(ez), sxz)
            syy, syz, szz = mul_add(gwy, splat(ey), syy), mul_add(gwy, splat(ez), syz), mul_add(gwz, splat(ez), szz)
            if count <= LANES:
                break
            at, skip, count, ex = advance(at, count, ex, wx, width)
    for k, lane_sums in enumerate((s, sx, sy, sz, sxx, sxy, sxz, syy, syz, szz)):
        moments[k] += total(lane_sums)
    for c in range(len(channels)):
        sums[c] += total(load(by_channel, c * LANES))
