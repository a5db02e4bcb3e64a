"""What the fit minimises: half the sum of squared residuals of a few terms, the image first.

A term gives its residual at a state, and there the two products that a Gauss-Newton step needs: the gradient (adjoint
of the derivative, applied to the residual) and the derivative applied to a direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nowcast.gaussians.state import SHAPE, Doubles, State, volume_in_voxels
from nowcast.types import Float32
from nowcast.units import MAX_DBZ, dbz_to_model
from nowcast_kernels.jit import kernel
from nowcast_kernels.voxelize import VoxelGrid, cpu
from nowcast_kernels.voxelize.tangent import push_forward

Vector = NDArray[np.floating]


class Linear(Protocol):
    """A term at one state."""

    @property
    def residual(self) -> Vector:
        """Flat residual."""
        ...

    def gradient(self) -> State:
        """Derivative of half the squared residual with respect to the parameters."""
        ...

    def push(self, direction: State) -> Vector:
        """Derivative of the residual along a direction, flat."""
        ...

    def curvature(self) -> Doubles | None:
        """``[N, 9 + C]`` what the term adds to the diagonal of the local metric, None if that knows it already."""
        ...


class Term(Protocol):
    """A sum of squares to minimise."""

    def at(self, state: State) -> Linear:
        """Evaluate at a state."""
        ...


@dataclass(frozen=True)
class ImageTerm:
    """The rendered field against the observed one.

    The first channel is reflectivity, whose rendering is clipped to no echo from below and to the strongest echo from
    above: a field beyond the clip is no error where the observation sits at it.

    Attributes
    ----------
    target
        ``[C, Z, Y, X]`` float32 in model scale, any value where the weight is 0.
    root_weight
        ``[C, Z, Y, X]`` float32, square root of each voxel's weight; 0 where not observed.
    grid
        The voxels.
    """

    target: Float32
    root_weight: Float32
    grid: VoxelGrid

    def at(self, state: State) -> ImageLinear:
        """Render and compare."""
        plan = cpu.make_plan(state.means, state.log_scales, state.quats, self.grid)
        field = cpu.render(plan, state.intensities)
        residual, free = np.empty_like(field), np.empty_like(field)
        ceiling = np.float32(dbz_to_model(MAX_DBZ))
        for c in range(len(field)):
            low, high = (np.float32(0.0), ceiling) if c == 0 else (np.float32(-np.inf), np.float32(np.inf))
            parts = (a[c].reshape(-1) for a in (field, self.target, self.root_weight, residual, free))
            _compare(low, high, *parts)
        return ImageLinear(state, plan, residual, free, field)


@dataclass(frozen=True)
class ImageLinear:
    """The image term at one state; ``slope`` is the residual's derivative with respect to the field."""

    state: State
    plan: cpu.Plan
    difference: Float32
    slope: Float32
    field: Float32

    @property
    def residual(self) -> Vector:
        """``root_weight * (rendered - observed)``, flat."""
        return self.difference.reshape(-1)

    def gradient(self) -> State:
        """Through the voxelizer's adjoint."""
        _, log_scales, quats, intensities = self.state.arrays()
        return State(*cpu.pull_back(self.plan, log_scales, quats, intensities, self.difference * self.slope))

    def push(self, direction: State) -> Vector:
        """Through the voxelizer's derivative."""
        _, log_scales, quats, intensities = self.state.arrays()
        change = push_forward(self.plan, log_scales, quats, intensities, *direction.arrays())
        change *= self.slope
        return change.reshape(-1)

    def curvature(self) -> None:
        """The local metric is made for this term."""


@kernel
def _compare(floor, ceiling, field, target, root_weight, residual, slope):  # type: ignore[no-untyped-def]
    """Weighted difference, one-sided where the target sits at a clip."""
    for i in range(len(field)):
        difference = field[i] - target[i]
        free = (target[i] <= floor and difference < 0.0) or (target[i] >= ceiling and difference > 0.0)
        w = np.float32(0.0) if free else root_weight[i]
        slope[i] = w
        residual[i] = w * difference if w > 0.0 else np.float32(0.0)


@dataclass(frozen=True)
class AmplitudeTerm:
    """A price on amplitude, in units of the image term: ``price [N]`` times the energy each Gaussian alone draws."""

    price: Float32
    spacing_m: tuple[float, float, float]

    def at(self, state: State) -> AmplitudeLinear:
        """Evaluate at a state."""
        root = np.sqrt(self.price * volume_in_voxels(state, self.spacing_m)).astype(np.float32)[:, None]
        return AmplitudeLinear(state, root)


@dataclass(frozen=True)
class AmplitudeLinear:
    """The price at one state; ``root [N, 1]`` is the root of price times voxels, which grows with the scales."""

    state: State
    root: Float32

    @property
    def residual(self) -> Vector:
        """Flat."""
        return (self.root * self.state.intensities).reshape(-1)

    def gradient(self) -> State:
        """Towards less amplitude and smaller scales."""
        means, log_scales, quats, intensities = self.state.arrays()
        energy = self.root**2 * intensities
        scales = np.broadcast_to(0.5 * (energy * intensities).sum(axis=1, keepdims=True), log_scales.shape)
        return State(np.zeros_like(means), scales, np.zeros_like(quats), energy)

    def push(self, direction: State) -> Vector:
        """Along changes of amplitudes and scales."""
        growth = 0.5 * direction.log_scales.sum(axis=1, keepdims=True) * self.state.intensities
        return (self.root * (direction.intensities + growth)).reshape(-1)

    def curvature(self) -> Doubles:
        """On the amplitudes."""
        diagonal = np.zeros((len(self.state), SHAPE + self.state.intensities.shape[1]))
        diagonal[:, SHAPE:] = self.root**2
        return diagonal
