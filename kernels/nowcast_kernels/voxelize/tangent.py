"""Directional derivative of the rendered field: the adjoint of `cpu.pull_back`.

With e = W (v - m) and w = exp(-q / 2), a change of a Gaussian's parameters changes its weight by w times a polynomial::

    dw = w (c . e + e^T C e),   c = W dm,   C = sum_k dl_k f_k f_k^T + sum_(i<j) t_ij (s_i / s_j - s_j / s_i) f_i f_j^T

where f_k = s_k W r_k and t_ij is the turn in the plane of axes i and j that the change of the quaternion makes.
A Gauss-Newton step needs this product; one costs little more than rendering. ``kernels/README.md`` has the gradients.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from nowcast_kernels.parallel import run_parallel
from nowcast_kernels.simd import LANES, keep, lane_numbers, load, mul, mul_add, splat, store
from nowcast_kernels.voxelize.cpu import CUT, SLAB_ROWS, Floats, Plan, _interval, _lay_rows, _weight
from nowcast_kernels.voxelize.geometry import GY, GZ, MY, MZ, REACH_Z, WX, WY, WZ, B, _rotation

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
    """Derivative [C, Z, Y, X] of the field when the parameters move in the given direction."""
    nz, ny, nx = plan.shape
    width = max(nx, LANES)
    coefficients = np.empty((len(plan.table), N_COEFFICIENTS))
    _coefficients(log_scales, quats, plan.spacing_m, plan.table, d_means, d_log_scales, d_quats, coefficients)
    out = np.empty((intensities.shape[1], nz, ny, width), dtype=np.float32)
    flat = out.reshape(-1)

    def work(slab: int) -> None:
        _push_slab(
            flat, (nz, ny, nx, width), plan.table, coefficients, intensities, d_intensities,
            plan.slab_first, plan.slab_items, slab,
        )  # fmt: skip

    run_parallel(work, len(plan.slab_first) - 1)
    return out if width == nx else np.ascontiguousarray(out[..., :nx])


@njit(cache=True, nogil=True)
def _coefficients(log_scales, quats, spacing_m, table, d_means, d_log_scales, d_quats, out):  # type: ignore[no-untyped-def]
    """Polynomial [N, 9] in (ex, ey, ez) that multiplies each Gaussian's weight."""
    f = np.empty((3, 3))
    for i in range(len(table)):
        t, o = table[i], out[i]
        rx, ry, rz, q, norm = _rotation(quats, i)
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


@njit(cache=True, nogil=True)
def _push_slab(  # type: ignore[no-untyped-def]
    out, shape, table, coefficients, intensities, d_intensities, slab_first, slab_items, slab
):
    """Clear one slab of the flat field and add the change of every Gaussian that reaches it."""
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
        t, o = table[i], coefficients[i]
        wx = np.float32(t[WX])
        z0, z1 = _interval(t[MZ], t[REACH_Z], 0, nz - 1)
        for z in range(z0, z1 + 1):
            dz = z - t[MZ]
            ez = t[WZ] * dz
            qz = ez * ez
            y0, y1 = _interval(t[MY] + t[B] * dz, math.sqrt(max(CUT - qz, 0.0)) / t[WY], y_first, y_last)
            _lay_rows(rows, t, dz, qz, y0, nx)
            for r in range(y1 + 1 - y0):
                low, count, e_low, ey = int(rows[r]), int(rows[LANES + r]), rows[2 * LANES + r], rows[3 * LANES + r]
                row = (z * ny + y0 + r) * width
                k0 = np.float32(ey * (o[1] + o[6] * ey + o[7] * ez) + ez * (o[2] + o[8] * ez))
                k1 = np.float32(o[0] + o[4] * ey + o[5] * ez)
                k2 = np.float32(o[3])
                for done in range(0, count, LANES):
                    start = min(low + done, width - LANES)
                    skip = low + done - start
                    e = mul_add(lanes, splat(wx), splat(np.float32(e_low) + np.float32(done - skip) * wx))
                    w = _weight(mul_add(e, e, splat(np.float32(qz + ey * ey))))
                    w = keep(w, skip, count - done)
                    change = mul(w, mul_add(mul_add(splat(k2), e, splat(k1)), e, splat(k0)))
                    for c in range(n_channels):
                        at = c * nz * ny * width + row + start
                        added = mul_add(splat(intensities[i, c]), change, load(out, at))
                        store(out, at, mul_add(splat(d_intensities[i, c]), w, added))
