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

AMPLITUDE_FLOOR = 1e-3  # (2.2 dBZ)^2 in model scale: keeps the steps of faint Gaussians bounded
TURN_FLOOR = 0.05  # a round Gaussian cannot be turned: keeps its steps bounded


@dataclass(frozen=True)
class Metric:
    """The metric at one state: diagonal parts ``[N, 9 + C]`` and the coupling of log-scales and amplitudes."""

    diagonal: Doubles
    spread: Doubles
    coupling: Doubles

    @staticmethod
    def at(state: State, spacing_m: tuple[float, float, float], extra: Doubles | None = None) -> Metric:
        """The metric of the image term, plus the diagonal ``extra`` of the other terms."""
        amplitudes = state.intensities.astype(np.float64)
        voxels = volume_in_voxels(state, spacing_m)
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
        step = gradient / self.diagonal
        held = self.coupling / self.diagonal[:, SHAPE:]
        # Amplitudes eliminated, the log-scales see alpha I + beta J.
        right = gradient[:, 3:6] - (held * gradient[:, SHAPE:]).sum(axis=1, keepdims=True)
        alpha = self.diagonal[:, 3:6]
        beta = self.spread - (held * self.coupling).sum(axis=1)
        inverse = 1.0 / alpha
        shared = beta * (inverse * right).sum(axis=1) / (1.0 + beta * inverse.sum(axis=1))
        step[:, 3:6] = inverse * (right - shared[:, None])
        step[:, SHAPE:] -= held * step[:, 3:6].sum(axis=1, keepdims=True)
        return step

    def times(self, step: Doubles) -> Doubles:
        """The metric applied to a step."""
        out = self.diagonal * step
        out[:, 3:6] += (self.spread * step[:, 3:6].sum(axis=1))[:, None]
        out[:, 3:6] += (self.coupling * step[:, SHAPE:]).sum(axis=1, keepdims=True)
        out[:, SHAPE:] += self.coupling * step[:, 3:6].sum(axis=1, keepdims=True)
        return out
