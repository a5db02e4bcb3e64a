"""Random Gaussians on small grids, for the tests of the kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from nowcast_kernels.voxelize import RegularGrid, voxelize


@dataclass(frozen=True)
class Case:
    """Gaussians, the grid they are on, and a gradient for the rendered field."""

    parameters: tuple[Tensor, Tensor, Tensor, Tensor]
    grid: RegularGrid
    upstream: Tensor

    def run(self, backend: str, dtype: torch.dtype = torch.float32) -> list[Tensor]:
        """The field and the four gradients by a backend, in float64."""
        leaves = [p.to(dtype).detach().requires_grad_() for p in self.parameters]
        field = voxelize(*leaves, self.grid, backend=backend)
        field.backward(self.upstream.to(dtype))
        return [t.detach().double() for t in (field, *(leaf.grad for leaf in leaves))]


def make_case(
    shape: tuple[int, int, int],
    n: int,
    channels: int = 1,
    *,
    voxels: tuple[float, float] = (0.8, 3.0),
    margin: float = 0.0,
    seed: int = 0,
) -> Case:
    """Gaussians of float32 parameters with scales drawn within ``voxels`` (in voxels), rotated at random."""
    rng = np.random.default_rng(seed)
    spacing = np.array([400.0, 700.0, 500.0])
    first = np.array([1500.0, -9000.0, 4000.0])
    extent = spacing * np.array(shape)
    grid = RegularGrid(shape, tuple(first), tuple(spacing))
    centres = rng.uniform(first - margin * extent, first + (1 + margin) * extent, (n, 3))[:, ::-1]
    scales = rng.uniform(*np.log(voxels), (n, 3)) + np.log(500.0)
    quats = rng.normal(size=(n, 4)) * rng.uniform(0.2, 5.0, (n, 1))
    amplitudes = rng.normal(size=(n, channels)) * 30.0
    arrays = (centres, scales, quats, amplitudes)
    parameters = tuple(torch.tensor(np.ascontiguousarray(a), dtype=torch.float32) for a in arrays)
    upstream = torch.tensor(rng.normal(size=(channels, *shape)), dtype=torch.float32)
    return Case(parameters, grid, upstream)  # type: ignore[arg-type]


@pytest.fixture
def case() -> Callable[..., Case]:
    return make_case
