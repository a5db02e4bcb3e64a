"""What the fit does with voxels, wherever they are worked on: on a processor or on a CUDA device.

What grows with the grid is behind this; Gaussians, and directions in the space of their parameters, come and go as
numpy arrays. A field is what a place holds voxels in: a numpy array or a torch tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nowcast.gaussians.state import State
from nowcast.types import Float32, VolumeSequence
from nowcast.units import MAX_DBZ, dbz_to_model
from nowcast_kernels.voxelize import VoxelGrid

Field = Any
"""``[C, Z, Y, X]`` or ``[Z, Y, X]`` float32, where the voxels are worked on."""
Indices = NDArray[np.int64]

CLIPS = 0.0, dbz_to_model(MAX_DBZ)
"""Between which values the rendering of reflectivity, the first channel, is clipped, in model scale."""
RESIDUAL_BLUR = 0.7  # voxels: a Gaussian is worth its place where residuals of one sign stand together
BLUR_REACH = 3.0  # standard deviations at which the blur ends


class Compute(Protocol):
    """What the fit does with voxels."""

    def observed(self, volumes: VolumeSequence, t: int, strong_dbz: Sequence[float], strong_weight: float) -> Any:
        """Target and root of the weight of volume ``t``, see :class:`nowcast.gaussians.terms.ImageTerm`."""
        ...

    def plan(self, state: State, grid: VoxelGrid) -> Any:
        """What rendering and its derivatives share for these shapes."""
        ...

    def render(self, plan: Any, intensities: Float32) -> Field:
        """The field of the plan's Gaussians with intensities ``[N, C]``."""
        ...

    def pull_back(self, plan: Any, intensities: Float32, gradient: Field) -> State:
        """Gradient of the parameters from that of the field."""
        ...

    def push_forward(self, plan: Any, intensities: Float32, direction: State) -> Field:
        """Derivative of the field along a direction."""
        ...

    def compare(self, field: Field, target: Field, root_weight: Field) -> tuple[Field, Field]:
        """Weighted difference, one-sided where reflectivity sits at a clip, and its derivative by the field."""
        ...

    def columns(self, reflectivity: Field, seen: Field) -> Float32:
        """``[Y, X]`` the largest value of each column, 0 where the mask is not set."""
        ...

    def missing(self, residual: Field, noise: float) -> Field:
        """``[Z, Y, X]`` weights for new Gaussians: the squared residual, blurred, where it is above the noise."""
        ...

    def draw(self, weights: Field, count: int, rng: np.random.Generator) -> Indices:
        """At most ``count`` voxels ``[n, 3]`` (z, y, x) of positive weight, drawn by weight, first drawn first.

        Without replacement, by exponential keys (Efraimidis and Spirakis 2006, doi:10.1016/j.ipl.2005.11.003).
        """
        ...

    def values_at(self, field: Field, voxels: Indices) -> Float32:
        """``[n, C]`` the field at voxels ``[n, 3]``."""
        ...

    def to_host(self, values: Any) -> Any:
        """As a numpy array."""
        ...
