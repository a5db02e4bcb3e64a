"""The global constraint: Gaussians stand as densely as there is echo.

Each Gaussian, drawn with unit weight and one round shape, adds to a density on a coarse grid that must match a blurred,
clipped copy of the observed field, scaled to the number of Gaussians. It pulls Gaussians from where they crowd to echo
that has too few, over distances at which the image term has no gradient (arXiv 2502.14895, the "energy" constraint).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from nowcast.checks import check_numbers
from nowcast.gaussians.state import SHAPE, Doubles, State
from nowcast.gaussians.terms import ImageTerm, Vector
from nowcast.types import Float32
from nowcast.units import dbz_to_model
from nowcast_kernels.voxelize import RegularGrid, VoxelGrid, cpu
from nowcast_kernels.voxelize.tangent import push_forward


@dataclass(frozen=True)
class Density:
    """Settings of the constraint.

    Attributes
    ----------
    weight
        Strength relative to the image term; 0 leaves it out.
    clip_dbz
        Reflectivity above this attracts no more Gaussians.
    reach_m, depth_m
        Horizontal and vertical standard deviation of the unit shape; the coarse grid has half that spacing.
    """

    weight: float = 0.0
    clip_dbz: float = 30.0
    reach_m: float = 7500.0
    depth_m: float = 1500.0

    def __post_init__(self) -> None:
        check_numbers(self, "density", positive=("clip_dbz", "reach_m", "depth_m"), not_negative=("weight",))

    @property
    def sigmas_m(self) -> tuple[float, float, float]:
        """Of the unit shape along z, y, x."""
        return self.depth_m, self.reach_m, self.reach_m


class DensityTerm:
    """Squared difference of the Gaussians' density and that of the echo on the coarse grid."""

    def __init__(self, image: ImageTerm, count: int, density: Density) -> None:
        grid, sigmas = image.grid, density.sigmas_m
        factors = [max(1, round(0.5 * s / d)) for s, d in zip(sigmas, grid.spacing_m, strict=True)]
        self.coarse = _coarsened(grid, factors)
        target, root_weight = (image.compute.to_host(field[0]) for field in (image.target, image.root_weight))
        echo = np.clip(target, 0.0, dbz_to_model(density.clip_dbz)) * (root_weight > 0)
        voxels = [s / d for s, d in zip(sigmas, grid.spacing_m, strict=True)]
        blurred = gaussian_filter(echo.astype(np.float32), voxels, mode="constant", truncate=3.0)
        sampled = blurred[tuple(slice((f - 1) // 2, None, f) for f in factors)]
        one = math.prod(math.sqrt(2 * math.pi) * s / d for s, d in zip(sigmas, self.coarse.spacing_m, strict=True))
        total = float(sampled.sum())
        self.target = sampled * np.float32(count * one / total if total > 0 else 0.0)
        self.unit_scales = np.log(np.array(sigmas[::-1], np.float32))
        self.root_weight = np.float32(math.sqrt(density.weight / one))

    def at(self, state: State) -> DensityLinear:
        """Evaluate at a state: only the centres count."""
        n = len(state)
        shapes = np.broadcast_to(self.unit_scales, (n, 3)).copy()
        upright = np.zeros((n, 4), np.float32)
        upright[:, 0] = 1.0
        unit = State(state.means, shapes, upright, np.ones((n, 1), np.float32))
        plan = cpu.make_plan(unit.means, shapes, upright, self.coarse)
        difference = (cpu.render(plan, unit.intensities)[0] - self.target) * self.root_weight
        return DensityLinear(self, unit, plan, difference, state.intensities.shape[1])


def _coarsened(grid: VoxelGrid, factors: list[int]) -> RegularGrid:
    """The grid of every f-th voxel along each axis."""
    nz, ny, nx = (-(-(n - (f - 1) // 2) // f) for n, f in zip(grid.shape, factors, strict=True))
    z, y, x = (a + (f - 1) // 2 * d for a, d, f in zip(grid.first_m, grid.spacing_m, factors, strict=True))
    dz, dy, dx = (f * d for d, f in zip(grid.spacing_m, factors, strict=True))
    return RegularGrid((nz, ny, nx), (z, y, x), (dz, dy, dx))


@dataclass(frozen=True)
class DensityLinear:
    """The constraint at one state."""

    term: DensityTerm
    unit: State
    plan: cpu.Plan
    difference: Float32
    channels: int

    @property
    def residual(self) -> Vector:
        """Scaled difference of densities, flat."""
        return self.difference.reshape(-1)

    def gradient(self) -> State:
        """With respect to the centres; all else is zero."""
        _, shapes, upright, ones = self.unit.arrays()
        pulled, *_ = cpu.pull_back(self.plan, shapes, upright, ones, (self.difference * self.term.root_weight)[None])
        silent = np.zeros((len(ones), self.channels), np.float32)
        return State(pulled, np.zeros_like(shapes), np.zeros_like(upright), silent)

    def push(self, direction: State) -> Vector:
        """Along a change of the centres."""
        _, shapes, upright, ones = self.unit.arrays()
        still = np.zeros_like(shapes), np.zeros_like(upright), np.zeros_like(ones)
        change = push_forward(self.plan, shapes, upright, ones, direction.means, *still)
        return (change[0] * self.term.root_weight).reshape(-1)

    def curvature(self) -> Doubles:
        """Small against that of the image term."""
        return np.zeros((len(self.unit), SHAPE + self.channels))
