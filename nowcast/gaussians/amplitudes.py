"""Amplitudes given the shapes: a linear least-squares problem, solved for the channels other than reflectivity.

Each channel is brought to its own best by conjugate gradients on the normal equations, preconditioned by how many
voxels each Gaussian speaks for. Reflectivity, which is clipped and so not linear, stays as it is to the bit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nowcast.gaussians.compute import Field
from nowcast.gaussians.state import Doubles, Limits, State, volume_in_voxels
from nowcast.gaussians.terms import ImageTerm
from nowcast.types import Float32


def solve_amplitudes(image: ImageTerm, state: State, price: Float32, limits: Limits, steps: int) -> State:
    """The state with better amplitudes in all channels but the first.

    Parameters
    ----------
    image
        What to draw.
    state
        Shapes, and the amplitudes to start from.
    price
        ``[N]`` of amplitude, as of :class:`nowcast.gaussians.terms.AmplitudeTerm`.
    limits
        Bounds of the amplitudes.
    steps
        Of the conjugate gradients; each costs a rendering and an adjoint.
    """
    if len(state) == 0 or state.intensities.shape[1] == 1:
        return state
    intensities, compute = state.intensities, image.compute
    plan = compute.plan(state, image.grid)
    weight = image.root_weight[1:] ** 2
    voxels = volume_in_voxels(state, image.grid.spacing_m)[:, None]
    ridge = price[:, None] * voxels
    found = np.ascontiguousarray(intensities[:, 1:])

    def normal(amplitudes: Float32, target: Field | None = None) -> Doubles:
        """``G^T W (G a - y) + ridge a``."""
        field = compute.render(plan, amplitudes)
        if target is not None:
            field -= target
        pulled = compute.pull_back(plan, amplitudes, field * weight).intensities
        return np.asarray(pulled + ridge * amplitudes, np.float64)

    downhill = -normal(found, image.target[1:])
    step = downhill / voxels
    size = (downhill * step).sum(axis=0)
    for _ in range(steps):
        direction = np.ascontiguousarray(step, np.float32)
        curved = normal(direction)
        bend = (step * curved).sum(axis=0)
        share = np.divide(size, bend, out=np.zeros_like(size), where=bend > 0)
        found += (share * step).astype(np.float32)
        downhill -= share * curved
        ready = downhill / voxels
        size, before = (downhill * ready).sum(axis=0), size
        step = ready + np.divide(size, before, out=np.zeros_like(size), where=before > 0) * step
    found = np.clip(found, limits.least[1:], limits.most[1:])
    return replace(state, intensities=np.concatenate([intensities[:, :1], found], axis=1))
