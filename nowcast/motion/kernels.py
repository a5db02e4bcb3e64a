"""Compiled inner loops of motion estimation and advection.

Levels run in parallel, and what is summed within a level is summed in a fixed order: results do not depend on the
number of threads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nowcast_kernels.jit import inlined, kernel
from nowcast_kernels.parallel import run_parallel

Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]


@inlined
def _bilinear(image: Float32, y: float, x: float) -> float:
    """Value of ``image`` at a fractional index inside it."""
    ny, nx = image.shape
    i, j = min(int(y), max(ny - 2, 0)), min(int(x), max(nx - 2, 0))
    fy, fx = y - i, x - j
    i1, j1 = min(i + 1, ny - 1), min(j + 1, nx - 1)
    low = image[i, j] * (1 - fx) + image[i, j1] * fx
    high = image[i1, j] * (1 - fx) + image[i1, j1] * fx
    return low * (1 - fy) + high * fy


def warp_to_newest(
    frames: Float32, mask: Bool, velocity: Float32, age_s: Float32, spacing_m: Float32
) -> tuple[Float32, Bool]:
    """Carry earlier frames to the place where a constant velocity would have them at the newest time.

    ``frames`` and ``mask`` ``[T, Z, Y, X]``, ``velocity`` ``[Z, 2, Y, X]`` m/s, ``age_s`` ``[T]`` seconds before the
    newest frame, ``spacing_m`` (dy, dx). Returns the warped frames and where they rest on observed voxels only.
    """
    out = np.zeros(frames.shape, np.float32)
    known = np.zeros(frames.shape, np.bool_)
    run_parallel(lambda z: _warp_level(z, frames, mask, velocity, age_s, spacing_m, out, known), frames.shape[1])
    return out, known


@kernel
def _warp_level(
    z: int,
    frames: Float32,
    mask: Bool,
    velocity: Float32,
    age_s: Float32,
    spacing_m: Float32,
    out: Float32,
    known: Bool,
) -> None:
    nt, _, ny, nx = frames.shape
    for t in range(nt):
        back_y, back_x = age_s[t] / spacing_m[0], age_s[t] / spacing_m[1]
        for i in range(ny):
            for j in range(nx):
                y = i - velocity[z, 1, i, j] * back_y
                x = j - velocity[z, 0, i, j] * back_x
                if y < 0 or x < 0 or y > ny - 1 or x > nx - 1:
                    continue
                i0, j0 = int(y), int(x)
                i1, j1 = min(i0 + 1, ny - 1), min(j0 + 1, nx - 1)
                if mask[t, z, i0, j0] and mask[t, z, i0, j1] and mask[t, z, i1, j0] and mask[t, z, i1, j1]:
                    known[t, z, i, j] = True
                    out[t, z, i, j] = _bilinear(frames[t, z], y, x)


@inlined
def _cross_known(known: Bool, i: int, j: int) -> bool:
    """Whether a voxel and its four neighbours across are known."""
    return known[i, j] and known[i - 1, j] and known[i + 1, j] and known[i, j - 1] and known[i, j + 1]


def normal_equations(
    warped: Float32,
    known: Bool,
    velocity: Float32,
    interval_s: Float32,
    weight: Float32,
    spacing_m: Float32,
    robust_dbz: float,
    cell: int,
) -> Float32:
    """Least-squares terms of the velocity, summed over frames that follow each other and over square cells of voxels.

    For a frame a and the next one b, both carried to the newest time with the velocity v, a better one v' satisfies
    ``b - a + dt grad . (v' - v) = 0``, where grad is the gradient of their mean. ``interval_s`` and ``weight`` are
    ``[T - 1]``. Returns ``[5, Z, ceil(Y / cell), ceil(X / cell)]``: the matrix xx, xy, yy and the right-hand side x, y,
    for v' itself, not for the correction. Where a frame is not known it has no say.
    """
    _, nz, ny, nx = warped.shape
    terms = np.zeros((5, nz, -(-ny // cell), -(-nx // cell)), np.float32)
    run_parallel(
        lambda z: _sum_level(z, warped, known, velocity, interval_s, weight, spacing_m, robust_dbz, cell, terms), nz
    )
    return terms


@kernel
def _sum_level(
    z: int,
    warped: Float32,
    known: Bool,
    velocity: Float32,
    interval_s: Float32,
    weight: Float32,
    spacing_m: Float32,
    robust_dbz: float,
    cell: int,
    terms: Float32,
) -> None:
    nt, _, ny, nx = warped.shape
    for p in range(nt - 1):
        a, b, known_a, known_b = warped[p, z], warped[p + 1, z], known[p, z], known[p + 1, z]
        per_y, per_x = interval_s[p] / (4 * spacing_m[0]), interval_s[p] / (4 * spacing_m[1])
        for i in range(1, ny - 1):
            for j in range(1, nx - 1):
                if a[i, j] <= 0 and b[i, j] <= 0:
                    continue
                if not (_cross_known(known_a, i, j) and _cross_known(known_b, i, j)):
                    continue
                gx = (a[i, j + 1] - a[i, j - 1] + b[i, j + 1] - b[i, j - 1]) * per_x
                gy = (a[i + 1, j] - a[i - 1, j] + b[i + 1, j] - b[i - 1, j]) * per_y
                difference = b[i, j] - a[i, j]
                # Cauchy weight: growth and decay that no motion explains loses its say.
                w = weight[p] / (1 + (difference / robust_dbz) ** 2)
                rest = gx * velocity[z, 0, i, j] + gy * velocity[z, 1, i, j] - difference
                y, x = i // cell, j // cell
                terms[0, z, y, x] += w * gx * gx
                terms[1, z, y, x] += w * gx * gy
                terms[2, z, y, x] += w * gy * gy
                terms[3, z, y, x] += w * gx * rest
                terms[4, z, y, x] += w * gy * rest


def advect_levels(field: Float32, velocity: Float32, lead_s: Float32, spacing_m: Float32, max_step_s: float) -> Float32:
    """``[L, Z, Y, X]``: the field carried along backward trajectories in a velocity that stays as it is.

    ``field`` ``[Z, Y, X]``, ``velocity`` ``[Z, 2, Y, X]`` m/s, ``lead_s`` ``[L]`` rising. Trajectories go on from
    lead to lead; each lead takes one interpolation of the original field.
    """
    out = np.zeros((lead_s.size, *field.shape), np.float32)
    run_parallel(lambda z: _advect_level(z, field, velocity, lead_s, spacing_m, max_step_s, out), field.shape[0])
    return out


@kernel
def _advect_level(
    z: int, field: Float32, velocity: Float32, lead_s: Float32, spacing_m: Float32, max_step_s: float, out: Float32
) -> None:
    _, ny, nx = field.shape
    u, v = velocity[z, 0], velocity[z, 1]
    for i in range(ny):
        for j in range(nx):
            y, x, now = float(i), float(j), 0.0
            for lead in range(lead_s.size):
                span = lead_s[lead] - now
                steps = max(1, int(np.ceil(span / max_step_s)))
                for _ in range(steps):
                    half_y, half_x = 0.5 * span / steps / spacing_m[0], 0.5 * span / steps / spacing_m[1]
                    dy, dx = 0.0, 0.0
                    for _ in range(3):
                        my = min(max(y - dy, 0.0), ny - 1.0)
                        mx = min(max(x - dx, 0.0), nx - 1.0)
                        dy, dx = half_y * _bilinear(v, my, mx), half_x * _bilinear(u, my, mx)
                    y -= 2 * dy
                    x -= 2 * dx
                now = lead_s[lead]
                if 0.0 <= y <= ny - 1 and 0.0 <= x <= nx - 1:
                    out[lead, z, i, j] = _bilinear(field[z], y, x)
