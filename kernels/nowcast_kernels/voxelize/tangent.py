"""Directional derivative of the rendered field: what `cpu.pull_back` is the adjoint of.

With e = W (v - m) and w = exp(-q / 2), a change of a Gaussian's parameters changes its weight by w times a polynomial::

    dw = w (c . e + e^T C e),   c = W dm,   C = sum_k dl_k f_k f_k^T + sum_(i<j) t_ij (s_i / s_j - s_j / s_i) f_i f_j^T

where f_k = s_k W r_k and t_ij is the turn in the plane of axes i and j that the change of the quaternion makes.
A Gauss-Newton step needs this product; one costs little more than rendering. ``kernels/README.md`` has the gradients.
"""

from __future__ import annotations

import math

import numpy as np

from nowcast_kernels.jit import kernel
from nowcast_kernels.parallel import run_parallel
from nowcast_kernels.simd import LANES, add, keep, lane_numbers, load, mul, mul_add, splat, store, to_float32
from nowcast_kernels.voxelize.cpu import channel_list, padded_shape
from nowcast_kernels.voxelize.geometry import GY, GZ, WX, WY, WZ, B, rotation
from nowcast_kernels.voxelize.plan import SLAB_ROWS, Floats, Plan, gather
from nowcast_kernels.voxelize.rows import advance, lay_rows, levels, row_lists, weight

N_COEFFICIENTS = 9  # of ex, ey, ez, ex ex, ex ey, ex ez, ey ey, ey ez, ez ez


def push_forward(
    plan: Plan,
    log_scales: Floats,
    quats: Floats,
    intensities: Floats,
    d_means: Floats,
    d_log_scales: Floats,
    d_quats: Floats,
    d_intensities: Floats,
) -> Floats:
    """Derivative [C, Z, Y, X] of the field when the parameters move in the given direction.

    The first arrays are those that the plan was made from and that were rendered; all float32.
    """
    shape = padded_shape(plan)
    n_channels = intensities.shape[1]
    log_scales, quats, d_means, d_log_scales, d_quats = (
        gather(array, plan.order) for array in (log_scales, quats, d_means, d_log_scales, d_quats)
    )
    amplitudes, d_amplitudes = gather(intensities, plan.order), gather(d_intensities, plan.order)
    coefficients = np.empty((len(plan.order), N_COEFFICIENTS))
    _coefficients(plan.spacing_m, plan.table, log_scales, quats, d_means, d_log_scales, d_quats, coefficients)
    out = np.empty((n_channels, *shape[:2], shape[3]), dtype=np.float32)
    flat, channels = out.reshape(-1), channel_list(n_channels)

    def work(slab: int) -> None:
        _push_slab(
            flat, shape, plan.table, coefficients, amplitudes, d_amplitudes, channels,
            plan.slab_first, plan.slab_items, slab,
        )  # fmt: skip

    run_parallel(work, len(plan.slab_first) - 1)
    return np.ascontiguousarray(out[..., : plan.shape[2]])


@kernel
def _coefficients(spacing_m, table, log_scales, quats, d_means, d_log_scales, d_quats, out):  # type: ignore[no-untyped-def]
    """Polynomial [N, 9] in (ex, ey, ez) that multiplies each Gaussian's weight."""
    f = np.empty((3, 3))
    for i in range(len(table)):
        t, o = table[i], out[i]
        rx, ry, rz, q, norm = rotation(quats, i)
        wz, wy, wx = t[WZ] / spacing_m[0], t[WY] / spacing_m[1], t[WX] / spacing_m[2]
        b = t[B] * spacing_m[1] / spacing_m[0]
        gy = t[GY] * spacing_m[2] / spacing_m[1]
        gz = t[GZ] * spacing_m[2] / spacing_m[0]
        dx, dy, dz = float(d_means[i, 0]), float(d_means[i, 1]), float(d_means[i, 2])
        o[0] = wx * (dx - gy * dy - gz * dz)
        o[1] = wy * (dy - b * dz)
        o[2] = wz * dz
        s0, s1, s2 = math.exp(log_scales[i, 0]), math.exp(log_scales[i, 1]), math.exp(log_scales[i, 2])
        scale = (s0, s1, s2)
        for k in range(3):
            f[k, 0] = scale[k] * wx * (rx[k] - gy * ry[k] - gz * rz[k])
            f[k, 1] = scale[k] * wy * (ry[k] - b * rz[k])
            f[k, 2] = scale[k] * wz * rz[k]
        w, x, y, z = q
        dw, dqx, dqy, dqz = float(d_quats[i, 0]), float(d_quats[i, 1]), float(d_quats[i, 2]), float(d_quats[i, 3])
        # Turn about the Gaussian's own axes: vector part of 2 conj(q) dq / |q|.
        tx = 2.0 / norm * (-x * dw + w * dqx + z * dqy - y * dqz) * (s1 / s2 - s2 / s1)
        ty = 2.0 / norm * (-y * dw - z * dqx + w * dqy + x * dqz) * (s2 / s0 - s0 / s2)
        tz = 2.0 / norm * (-z * dw + y * dqx - x * dqy + w * dqz) * (s0 / s1 - s1 / s0)
        l0, l1, l2 = float(d_log_scales[i, 0]), float(d_log_scales[i, 1]), float(d_log_scales[i, 2])
        at = 3
        for r in range(3):
            for c in range(r, 3):
                square = l0 * f[0, r] * f[0, c] + l1 * f[1, r] * f[1, c] + l2 * f[2, r] * f[2, c]
                mixed = tx * (f[1, r] * f[2, c] + f[2, r] * f[1, c])
                mixed += ty * (f[0, r] * f[2, c] + f[2, r] * f[0, c])
                mixed += tz * (f[0, r] * f[1, c] + f[1, r] * f[0, c])
                value = square + 0.5 * mixed
                o[at] = value if r == c else 2.0 * value
                at += 1


@kernel
def _push_slab(  # type: ignore[no-untyped-def]
    out, shape, table, coefficients, amplitudes, d_amplitudes, channels, slab_first, slab_items, slab
):
    """Clear one slab of the flat field and add the change of every Gaussian that reaches it."""
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
            _push_rows(
                out, channels, nz * ny * width, width, np.float32(t[WX]), coefficients[i],
                amplitudes[i], d_amplitudes[i], lists, n,
            )  # fmt: skip


@kernel
def _push_rows(out, channels, plane, width, wx, o, amplitude, d_amplitude, lists, n):  # type: ignore[no-untyped-def]
    """Add the change of a Gaussian on n rows to the flat field."""
    places, terms, _ = lists
    lane_wx = mul(to_float32(lane_numbers()), splat(wx))
    k2 = splat(np.float32(o[3]))
    for r in range(n):
        at, skip, count = places[0, r], places[1, r], places[2, r]
        ex, ey, ez = terms[0, r], terms[1, r], terms[2, r]
        q_row = splat(ey * ey + ez * ez)
        # Along a row the polynomial is k0 + k1 ex + k2 ex^2.
        k0 = splat(np.float32(ey * (o[1] + o[6] * ey + o[7] * ez) + ez * (o[2] + o[8] * ez)))
        k1 = splat(np.float32(o[0] + o[4] * ey + o[5] * ez))
        while count > 0:
            e = add(lane_wx, splat(ex))
            w = keep(weight(mul_add(e, e, q_row)), skip, count)
            change = mul(w, mul_add(mul_add(k2, e, k1), e, k0))
            for c in range(len(channels)):
                field = mul_add(splat(amplitude[c]), change, load(out, c * plane + at))
                store(out, c * plane + at, mul_add(splat(d_amplitude[c]), w, field))
            if count <= LANES:
                break
            at, skip, count, ex = advance(at, count, ex, wx, width)
