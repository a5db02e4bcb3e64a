"""What the fit minimises: half the sum of squared residuals of a few terms, the image first.

A term gives its residual at a state, and there the two products that a Gauss-Newton step needs: the gradient (adjoint
of the derivative, applied to the residual) and the derivative applied to a direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nowcast.gaussians.compute import Compute, Field
from nowcast.gaussians.on_cpu import CPU
from nowcast.gaussians.state import SHAPE, Doubles, State, volume_in_voxels
from nowcast.types import Float32
from nowcast_kernels.voxelize import VoxelGrid

Vector = Any
"""Flat floating-point numbers: a numpy array, or a torch tensor on a device."""


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
    compute
        Where they are worked on, and where the two fields are.
    """

    target: Field
    root_weight: Field
    grid: VoxelGrid
    compute: Compute = CPU

    def at(self, state: State) -> ImageLinear:
        """Render and compare."""
        plan = self.compute.plan(state, self.grid)
        field = self.compute.render(plan, state.intensities)
        difference, slope = self.compute.compare(field, self.target, self.root_weight)
        return ImageLinear(self, state, plan, difference, slope, field)

    def weight_at(self, means: Float32) -> Float32:
        """``[N]`` the weight of reflectivity in the voxel nearest to each centre, 0 where that was not observed."""
        places = np.rint((means[:, ::-1] - np.array(self.grid.first_m)) / np.array(self.grid.spacing_m))
        index = np.clip(places, 0, np.array(self.grid.shape) - 1).astype(np.int64)
        return self.compute.values_at(self.root_weight[:1], index)[:, 0] ** 2

    def weight_for_steps(self, means: Float32) -> Doubles:
        """``[N]`` the same, at least 1, so that steps where nothing was seen stay short."""
        return np.maximum(self.weight_at(means).astype(np.float64), 1.0)


@dataclass(frozen=True)
class ImageLinear:
    """The image term at one state; ``slope`` is the residual's derivative with respect to the field."""

    term: ImageTerm
    state: State
    plan: Any
    difference: Field
    slope: Field
    field: Field

    @property
    def residual(self) -> Vector:
        """``root_weight * (rendered - observed)``, flat."""
        return self.difference.reshape(-1)

    def gradient(self) -> State:
        """Through the voxelizer's adjoint."""
        return self.term.compute.pull_back(self.plan, self.state.intensities, self.difference * self.slope)

    def push(self, direction: State) -> Vector:
        """Through the voxelizer's derivative."""
        change = self.term.compute.push_forward(self.plan, self.state.intensities, direction)
        change *= self.slope
        return change.reshape(-1)

    def curvature(self) -> None:
        """The local metric is made for this term."""

    def weight(self) -> Doubles:
        """``[N]`` what a voxel weighs at each Gaussian."""
        return self.term.weight_for_steps(self.state.means)


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
