"""The Gaussians as flat arrays while they are fitted, and the coordinates in which they are moved.

A step is given in each Gaussian's own frame: a shift of the centre in units of its scales along its axes (3), changes
of the log-scales (3), turns about its axes in radians (3), and changes of the amplitudes (C). In these coordinates one
and the same step size suits large and small Gaussians.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nowcast.types import Float32
from nowcast_kernels.jit import kernel
from nowcast_kernels.voxelize.geometry import rotation

Doubles = NDArray[np.float64]

SHAPE = 9
"""Number of local coordinates before the amplitudes: shift, log-scales, turn."""


@dataclass(frozen=True)
class State:
    """N Gaussians, float32, or a direction or gradient in the space of their parameters.

    ``means [N, 3]`` m (x, y, z), ``log_scales [N, 3]``, ``quats [N, 4]`` of length one (wxyz), ``intensities [N, C]``
    in model scale.
    """

    means: Float32
    log_scales: Float32
    quats: Float32
    intensities: Float32

    def __len__(self) -> int:
        return len(self.means)

    def arrays(self) -> tuple[Float32, Float32, Float32, Float32]:
        """Means, log-scales, quaternions, intensities."""
        return self.means, self.log_scales, self.quats, self.intensities

    def take(self, rows: Any) -> State:
        """The Gaussians of the given rows."""
        return State(*(array[rows] for array in self.arrays()))

    def put(self, rows: Any, others: State) -> State:
        """These Gaussians with the others in the given rows."""
        arrays = [array.copy() for array in self.arrays()]
        for whole, part in zip(arrays, others.arrays(), strict=True):
            whole[rows] = part
        return State(*arrays)

    def join(self, other: State) -> State:
        """These Gaussians and then the others."""
        return State(*(np.concatenate(pair) for pair in zip(self.arrays(), other.arrays(), strict=True)))

    @staticmethod
    def empty(channels: int) -> State:
        """No Gaussian."""
        return State(*(np.zeros((0, width), np.float32) for width in (3, 3, 4, channels)))


@dataclass(frozen=True)
class Limits:
    """Bounds of the log-scales ``[3]`` and of the amplitudes ``[C]``.

    The third axis of a Gaussian starts vertical, and stays nearly so in storms that are wider than deep.
    """

    low: Float32
    high: Float32
    least: Float32
    most: Float32


def retract(state: State, step: Doubles, limits: Limits) -> State:
    """The Gaussians after a step ``[N, 9 + C]`` in local coordinates."""
    moved = State(*(np.empty_like(array) for array in state.arrays()))
    _retract(*state.arrays(), step, limits.low, limits.high, limits.least, limits.most, *moved.arrays())
    return moved


def to_local(state: State, gradient: State) -> Doubles:
    """Gradient ``[N, 9 + C]`` in local coordinates from one in the parameters."""
    local = np.empty((len(state), SHAPE + state.intensities.shape[1]))
    _to_local(state.log_scales, state.quats, *gradient.arrays(), local)
    return local


def to_parameters(state: State, step: Doubles) -> State:
    """Direction in the parameters of an infinitesimal step in local coordinates: the adjoint of :func:`to_local`."""
    direction = State(*(np.empty_like(array) for array in state.arrays()))
    _to_parameters(state.log_scales, state.quats, step, *direction.arrays())
    return direction


def volume_in_voxels(state: State, spacing_m: tuple[float, float, float]) -> Doubles:
    """``[N]`` the integral of each unit Gaussian's square, in voxels: how many voxels it speaks for, at least one."""
    scales = np.exp(state.log_scales.astype(np.float64).sum(axis=1))
    return np.maximum(math.pi**1.5 * scales / math.prod(spacing_m), 1.0)


@kernel
def _retract(means, log_scales, quats, intensities, step, low, high, least, most, m_out, l_out, q_out, a_out):  # type: ignore[no-untyped-def]
    for i in range(len(means)):
        rx, ry, rz, _, _ = rotation(quats, i)
        r = (rx, ry, rz)
        for k in range(3):
            shift = 0.0
            for j in range(3):
                shift += r[k][j] * math.exp(log_scales[i, j]) * step[i, j]
            m_out[i, k] = means[i, k] + shift
            l_out[i, k] = min(max(log_scales[i, k] + step[i, 3 + k], low[k]), high[k])
        hx, hy, hz = 0.5 * step[i, 6], 0.5 * step[i, 7], 0.5 * step[i, 8]
        half = math.sqrt(hx * hx + hy * hy + hz * hz)
        sinc = math.sin(half) / half if half > 1e-8 else 1.0
        c, hx, hy, hz = math.cos(half), sinc * hx, sinc * hy, sinc * hz
        w, x, y, z = float(quats[i, 0]), float(quats[i, 1]), float(quats[i, 2]), float(quats[i, 3])
        n0 = w * c - x * hx - y * hy - z * hz
        n1 = w * hx + x * c + y * hz - z * hy
        n2 = w * hy - x * hz + y * c + z * hx
        n3 = w * hz + x * hy - y * hx + z * c
        norm = math.sqrt(n0 * n0 + n1 * n1 + n2 * n2 + n3 * n3)
        q_out[i, 0], q_out[i, 1], q_out[i, 2], q_out[i, 3] = n0 / norm, n1 / norm, n2 / norm, n3 / norm
        for k in range(intensities.shape[1]):
            a_out[i, k] = min(max(intensities[i, k] + step[i, 9 + k], least[k]), most[k])


@kernel
def _to_local(log_scales, quats, g_means, g_log_scales, g_quats, g_intensities, out):  # type: ignore[no-untyped-def]
    for i in range(len(g_means)):
        rx, ry, rz, _, _ = rotation(quats, i)
        r = (rx, ry, rz)
        for j in range(3):
            pull = r[0][j] * g_means[i, 0] + r[1][j] * g_means[i, 1] + r[2][j] * g_means[i, 2]
            out[i, j] = math.exp(log_scales[i, j]) * pull
            out[i, 3 + j] = g_log_scales[i, j]
        w, x, y, z = float(quats[i, 0]), float(quats[i, 1]), float(quats[i, 2]), float(quats[i, 3])
        gw, gx, gy, gz = float(g_quats[i, 0]), float(g_quats[i, 1]), float(g_quats[i, 2]), float(g_quats[i, 3])
        out[i, 6] = 0.5 * (-x * gw + w * gx + z * gy - y * gz)
        out[i, 7] = 0.5 * (-y * gw - z * gx + w * gy + x * gz)
        out[i, 8] = 0.5 * (-z * gw + y * gx - x * gy + w * gz)
        for k in range(g_intensities.shape[1]):
            out[i, 9 + k] = g_intensities[i, k]


@kernel
def _to_parameters(log_scales, quats, step, d_means, d_log_scales, d_quats, d_intensities):  # type: ignore[no-untyped-def]
    for i in range(len(step)):
        rx, ry, rz, _, _ = rotation(quats, i)
        r = (rx, ry, rz)
        for k in range(3):
            shift = 0.0
            for j in range(3):
                shift += r[k][j] * math.exp(log_scales[i, j]) * step[i, j]
            d_means[i, k] = shift
            d_log_scales[i, k] = step[i, 3 + k]
        hx, hy, hz = 0.5 * step[i, 6], 0.5 * step[i, 7], 0.5 * step[i, 8]
        w, x, y, z = float(quats[i, 0]), float(quats[i, 1]), float(quats[i, 2]), float(quats[i, 3])
        d_quats[i, 0] = -x * hx - y * hy - z * hz
        d_quats[i, 1] = w * hx + y * hz - z * hy
        d_quats[i, 2] = w * hy - x * hz + z * hx
        d_quats[i, 3] = w * hz + x * hy - y * hx
        for k in range(d_intensities.shape[1]):
            d_intensities[i, k] = step[i, 9 + k]
