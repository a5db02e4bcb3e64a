"""Sum of 3D Gaussians on a regular grid, differentiable in every parameter."""

from __future__ import annotations

from nowcast_kernels.voxelize.api import voxelize
from nowcast_kernels.voxelize.grid import RegularGrid, VoxelGrid
from nowcast_kernels.voxelize.reference import CUT, rotation_matrices

__all__ = ["CUT", "RegularGrid", "VoxelGrid", "rotation_matrices", "voxelize"]
