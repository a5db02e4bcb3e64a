"""The regular grid on which Gaussians are rendered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from nowcast_kernels.errors import KernelInputError


class VoxelGrid(Protocol):
    """What the voxelizer needs to know of a grid; axes run (z, y, x), lengths are in metres."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels (nz, ny, nx)."""
        ...

    @property
    def first_m(self) -> tuple[float, float, float]:
        """Coordinates (z0, y0, x0) of the centre of the first voxel."""
        ...

    @property
    def spacing_m(self) -> tuple[float, float, float]:
        """Distance (dz, dy, dx) from one voxel centre to the next."""
        ...


@dataclass(frozen=True)
class RegularGrid:
    """A `VoxelGrid` with nothing else to it.

    Parameters
    ----------
    shape : tuple of int
        Number of voxels (nz, ny, nx), each at least 1.
    first_m : tuple of float
        Coordinates (z0, y0, x0) of the centre of the first voxel, in metres.
    spacing_m : tuple of float
        Distance (dz, dy, dx) between voxel centres, in metres, each positive.

    Raises
    ------
    KernelInputError
        If an extent is below 1, a spacing is not positive, or a number is not finite.
    """

    shape: tuple[int, int, int]
    first_m: tuple[float, float, float]
    spacing_m: tuple[float, float, float]

    def __post_init__(self) -> None:
        check_grid(self)


def check_grid(grid: VoxelGrid) -> None:
    """Refuse a grid without three extents of at least 1, finite origins and positive spacings."""
    if len(grid.shape) != 3 or any(int(n) != n or n < 1 for n in grid.shape):
        raise KernelInputError(f"grid.shape must be three extents of at least 1 (nz, ny, nx), got {grid.shape}")
    if len(grid.first_m) != 3 or not all(map(math.isfinite, grid.first_m)):
        raise KernelInputError(f"grid.first_m must be three finite metres (z0, y0, x0), got {grid.first_m}")
    if len(grid.spacing_m) != 3 or not all(math.isfinite(d) and d > 0 for d in grid.spacing_m):
        raise KernelInputError(f"grid.spacing_m must be three positive metres (dz, dy, dx), got {grid.spacing_m}")
