"""From Gaussian parameters to what the render loops need, and from their sums back to gradients.

All in float64 and once per Gaussian: where a row starts and ends, and so which voxels a Gaussian reaches, is
decided here and in the row set-up with double precision; only the field itself is float32.

With d = v - m in voxel units, the quadratic form is written as a sum of three squares::

    ez = wz dz,   ey = wy (dy - b dz),   ex = wx (dx - gy dy - gz dz),   q = ex^2 + ey^2 + ez^2

so that a level (dz fixed) holds an ellipse, a row of it (dy fixed too) holds an interval, and q along the row is
a parabola plus a constant: no cancellation, whatever the axis ratio. ``kernels/README.md`` has the derivation.
"""

from __future__ import annotations

import math

import numpy as np

from nowcast_kernels.jit import inlined, kernel
from nowcast_kernels.voxelize.reference import CUT

# Columns of the geometry table [N, 11].
MZ, MY, MX, WZ, WY, WX, B, GY, GZ, REACH_Z, REACH_Y = range(11)
N_COLUMNS = 11
N_MOMENTS = 10  # sums of g w times 1, ex, ey, ez, ex ex, ex ey, ex ez, ey ey, ey ez, ez ez


@inlined
def rotation(quats, i):  # type: ignore[no-untyped-def]
    """Rows of the rotation matrix of quaternion i, and the quaternion's length."""
    w, x, y, z = float(quats[i, 0]), float(quats[i, 1]), float(quats[i, 2]), float(quats[i, 3])
    norm = math.sqrt(w * w + x * x + y * y + z * z)
    w, x, y, z = w / norm, x / norm, y / norm, z / norm
    rx = (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y))
    ry = (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x))
    rz = (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y))
    return rx, ry, rz, (w, x, y, z), norm


@kernel
def prepare(means, log_scales, quats, order, first_m, spacing_m, table):  # type: ignore[no-untyped-def]
    """Fill the geometry table [n, 11] of the Gaussians at rows ``order``: centre, squares and reach, in voxels."""
    dz, dy, dx = spacing_m
    for row, i in enumerate(order):
        rx, ry, rz, _, _ = rotation(quats, i)
        syy = syz = szz = pxx = pxy = pxz = 0.0  # of the covariance S and of its inverse P, in voxel units
        det = 1.0
        for k in range(3):
            variance = math.exp(2.0 * log_scales[i, k])
            syy += variance * ry[k] * ry[k]
            syz += variance * ry[k] * rz[k]
            szz += variance * rz[k] * rz[k]
            pxx += rx[k] * rx[k] / variance
            pxy += rx[k] * ry[k] / variance
            pxz += rx[k] * rz[k] / variance
            det *= variance
        t = table[row]
        t[MZ] = (means[i, 2] - first_m[0]) / dz
        t[MY] = (means[i, 1] - first_m[1]) / dy
        t[MX] = (means[i, 0] - first_m[2]) / dx
        t[WZ] = dz / math.sqrt(szz)
        t[WY] = dy * math.sqrt(szz / (det * pxx))
        t[WX] = dx * math.sqrt(pxx)
        t[B] = syz / szz * (dz / dy)
        t[GY] = -pxy / pxx * (dy / dx)
        t[GZ] = -pxz / pxx * (dz / dx)
        t[REACH_Z] = math.sqrt(CUT * szz) / dz
        t[REACH_Y] = math.sqrt(CUT * syy) / dy


@kernel
def parameter_gradients(log_scales, quats, spacing_m, table, moments, order, g_means, g_log_scales, g_quats):  # type: ignore[no-untyped-def]
    """Turn the moments [n, 10] of Gaussians into gradients of mean, log-scales and quaternion at rows ``order``."""
    f = np.empty((3, 3))
    ef = np.empty((3, 3))
    for i in range(len(moments)):
        m, t, to = moments[i], table[i], order[i]
        rx, ry, rz, q, norm = rotation(quats, i)
        # W in metres: e = W (v - m), upper triangular in (x, y, z).
        wz, wy, wx = t[WZ] / spacing_m[0], t[WY] / spacing_m[1], t[WX] / spacing_m[2]
        b = t[B] * spacing_m[1] / spacing_m[0]
        gy = t[GY] * spacing_m[2] / spacing_m[1]
        gz = t[GZ] * spacing_m[2] / spacing_m[0]
        # dL/dm = W^T sum(g w e)
        hx, hy = wx * m[1], wy * m[2]
        g_means[to, 0] = hx
        g_means[to, 1] = hy - gy * hx
        g_means[to, 2] = wz * m[3] - b * hy - gz * hx
        # Unit vectors f_k = s_k W r_k; F = f^T (sum g w e e^T) f.
        s0, s1, s2 = math.exp(log_scales[i, 0]), math.exp(log_scales[i, 1]), math.exp(log_scales[i, 2])
        scale = (s0, s1, s2)
        for k in range(3):
            f[k, 0] = scale[k] * wx * (rx[k] - gy * ry[k] - gz * rz[k])
            f[k, 1] = scale[k] * wy * (ry[k] - b * rz[k])
            f[k, 2] = scale[k] * wz * rz[k]
            ef[k, 0] = m[4] * f[k, 0] + m[5] * f[k, 1] + m[6] * f[k, 2]
            ef[k, 1] = m[5] * f[k, 0] + m[7] * f[k, 1] + m[8] * f[k, 2]
            ef[k, 2] = m[6] * f[k, 0] + m[8] * f[k, 1] + m[9] * f[k, 2]
        for k in range(3):
            g_log_scales[to, k] = f[k, 0] * ef[k, 0] + f[k, 1] * ef[k, 1] + f[k, 2] * ef[k, 2]
        f01 = f[0, 0] * ef[1, 0] + f[0, 1] * ef[1, 1] + f[0, 2] * ef[1, 2]
        f02 = f[0, 0] * ef[2, 0] + f[0, 1] * ef[2, 1] + f[0, 2] * ef[2, 2]
        f12 = f[1, 0] * ef[2, 0] + f[1, 1] * ef[2, 1] + f[1, 2] * ef[2, 2]
        # Torque about the Gaussian's own axes, then dL/dq = 2 q (0, torque) / |q|.
        tx, ty, tz = f12 * (s1 / s2 - s2 / s1), f02 * (s2 / s0 - s0 / s2), f01 * (s0 / s1 - s1 / s0)
        w, x, y, z = q
        g_quats[to, 0] = 2.0 / norm * (-x * tx - y * ty - z * tz)
        g_quats[to, 1] = 2.0 / norm * (w * tx + y * tz - z * ty)
        g_quats[to, 2] = 2.0 / norm * (w * ty + z * tx - x * tz)
        g_quats[to, 3] = 2.0 / norm * (w * tz + x * ty - y * tx)
