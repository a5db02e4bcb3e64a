"""The closed-form metric that makes one step size suit every Gaussian.

For one Gaussian alone, the matrix of Gauss and Newton in local coordinates has a closed form: with V voxels spoken for
(:func:`nowcast.gaussians.state.volume_in_voxels`) and amplitudes a_c, A = sum a_c^2,

    shift  A V / 2;   log-scales  A V (I / 2 + J / 4);   amplitudes  V;   log-scale with amplitude  a_c V / 2;
    turn in the plane of axes i, j  A V (s_i / s_j - s_j / s_i)^2 / 4

(J all ones; moments of exp(-|e|^2)). Solving with it is what makes a gradient into a step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nowcast.gaussians.state import SHAPE, Doubles, State, volume_in_voxels
from nowcast_kernels.jit import kernel

AMPLITUDE_FLOOR = 1e-3  # (2.2 dBZ)^2 in model scale: keeps the steps of faint Gaussians bounded
TURN_FLOOR = 0.05  # a round Gaussian cannot be turned: keeps its steps bounded


@dataclass(frozen=True)
class Metric:
    """The metric at one state: diagonal parts ``[N, 9 + C]`` and the coupling of log-scales and amplitudes."""

    diagonal: Doubles
    spread: Doubles
    coupling: Doubles

    @staticmethod
    def at(
        state: State,
        spacing_m: tuple[float, float, float],
        extra: Doubles | None = None,
        weight: Doubles | None = None,
    ) -> Metric:
        """The metric of the image term, whose voxels at each Gaussian weigh ``weight [N]``, plus that of the others.

        ``extra [N, 9 + C]`` is the diagonal that the other terms add; None for either where there is none.
        """
        amplitudes = state.intensities.astype(np.float64)
        voxels = volume_in_voxels(state, spacing_m) * (1.0 if weight is None else weight)
        strength = ((amplitudes**2).sum(axis=1) + AMPLITUDE_FLOOR) * voxels
        scales = np.exp(state.log_scales.astype(np.float64))
        ratio = scales[:, (1, 2, 0)] / scales[:, (2, 0, 1)]
        turn = 0.25 * (ratio - 1.0 / ratio) ** 2 + TURN_FLOOR
        diagonal = np.empty((len(state), SHAPE + amplitudes.shape[1]))
        diagonal[:, 0:6] = 0.5 * strength[:, None]
        diagonal[:, 6:9] = strength[:, None] * turn
        diagonal[:, 9:] = voxels[:, None]
        if extra is not None:
            diagonal += extra
        return Metric(diagonal, 0.25 * strength, 0.5 * amplitudes * voxels[:, None])

    def solve(self, gradient: Doubles) -> Doubles:
        """The step whose image under the metric is the gradient."""
        step = np.empty_like(gradient)
        _solve(self.diagonal, self.spread, self.coupling, gradient, step)
        return step

    def times(self, step: Doubles) -> Doubles:
        """The metric applied to a step."""
        out = np.empty_like(step)
        _times(self.diagonal, self.spread, self.coupling, step, out)
        return out


@kernel
def _solve(diagonal, spread, coupling, gradient, step):  # type: ignore[no-untyped-def]
    """One Gaussian after the other: numpy would go through memory a dozen times."""
    channels = coupling.shape[1]
    for i in range(len(gradient)):
        d, g, c, s = diagonal[i], gradient[i], coupling[i], step[i]
        for k in range(len(g)):
            s[k] = g[k] / d[k]
        # Amplitudes eliminated, the log-scales see alpha I + beta J.
        pulled = held_by = 0.0
        for k in range(channels):
            held = c[k] / d[SHAPE + k]
            pulled += held * g[SHAPE + k]
            held_by += held * c[k]
        beta = spread[i] - held_by
        x, y, z = 1.0 / d[3], 1.0 / d[4], 1.0 / d[5]
        rx, ry, rz = g[3] - pulled, g[4] - pulled, g[5] - pulled
        shared = beta * (x * rx + y * ry + z * rz) / (1.0 + beta * (x + y + z))
        s[3], s[4], s[5] = x * (rx - shared), y * (ry - shared), z * (rz - shared)
        grown = s[3] + s[4] + s[5]
        for k in range(channels):
            s[SHAPE + k] -= c[k] / d[SHAPE + k] * grown


@kernel
def _times(diagonal, spread, coupling, step, out):  # type: ignore[no-untyped-def]
    channels = coupling.shape[1]
    for i in range(len(step)):
        d, c, s, o = diagonal[i], coupling[i], step[i], out[i]
        grown, brightened = s[3] + s[4] + s[5], 0.0
        for k in range(channels):
            brightened += c[k] * s[SHAPE + k]
        for k in range(len(s)):
            o[k] = d[k] * s[k]
        for k in range(3, 6):
            o[k] += spread[i] * grown
            o[k] += brightened
        for k in range(channels):
            o[SHAPE + k] += c[k] * grown
