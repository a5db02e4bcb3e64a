"""The motion of echo on a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nowcast.errors import InputError
from nowcast.types import Float32, GridSpec


@dataclass(frozen=True)
class MotionField:
    """Horizontal velocity of the echo, one field per level.

    Attributes
    ----------
    velocities
        ``[Z, 2, Y, X]`` float32 m/s as (u east, v north), finite everywhere.
    grid
        The voxels.
    """

    velocities: Float32
    grid: GridSpec

    def __post_init__(self) -> None:
        nz, ny, nx = self.grid.shape
        if self.velocities.shape != (nz, 2, ny, nx):
            raise InputError(f"motion has shape {self.velocities.shape}, not {(nz, 2, ny, nx)}")
        if not np.isfinite(self.velocities).all():
            raise InputError("motion holds values that are not finite")

    @staticmethod
    def still(grid: GridSpec) -> MotionField:
        """No motion anywhere."""
        nz, ny, nx = grid.shape
        return MotionField(np.zeros((nz, 2, ny, nx), np.float32), grid)

    def sample(self, points: NDArray[np.floating]) -> Float32:
        """Velocity ``[N, 2]`` m/s (u, v) at ``points`` ``[N, 3]`` m (x, y, z).

        Trilinear between voxel centres; a point outside the grid takes the nearest edge's velocity.
        """
        shape = self.grid.shape
        lower, upper, share = [], [], []
        for axis, place in enumerate(self.grid.index_of(points).T):
            index = np.clip(place, 0, shape[axis] - 1)
            low = np.minimum(index.astype(np.int64), max(shape[axis] - 2, 0))
            lower.append(low)
            upper.append(np.minimum(low + 1, shape[axis] - 1))
            share.append((index - low).astype(np.float32))
        out = np.zeros((len(points), 2), np.float32)
        for corner in np.ndindex(2, 2, 2):
            z, y, x = (upper[a] if corner[a] else lower[a] for a in range(3))
            weight = np.ones(len(points), np.float32)
            for a in range(3):
                weight = weight * (share[a] if corner[a] else 1 - share[a])
            out += weight[:, None] * self.velocities[z, :, y, x]
        return out
