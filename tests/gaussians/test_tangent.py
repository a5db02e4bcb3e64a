"""The voxelizer's directional derivative against its adjoint and against differences of the reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nowcast_kernels.voxelize import RegularGrid, cpu, voxelize
from nowcast_kernels.voxelize.tangent import push_forward

GRID = RegularGrid((7, 21, 19), (500.0, -9e3, -10e3), (700.0, 1000.0, 1100.0))


def gaussians(n: int, channels: int, aspect: float, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    means = rng.uniform(-1.2, 1.2, (n, 3)) * (10e3, 10e3, 3e3) + (0, 0, 2e3)  # some lie off the grid
    scales = np.log([1500.0 * aspect, 1500.0, 900.0]) + rng.normal(0, 0.2, (n, 3))
    quats, amplitudes = rng.normal(size=(n, 4)), rng.normal(size=(n, channels))
    return [a.astype(np.float32) for a in (means, scales, quats, amplitudes)]


def direction(n: int, channels: int, seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = ((3, 200.0), (3, 0.1), (4, 0.1), (channels, 0.1))
    return [(rng.normal(size=(n, w)) * s).astype(np.float32) for w, s in sizes]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("aspect", [1.0, 6.0])
def test_adjoint_of_pull_back(channels: int, aspect: float) -> None:
    means, scales, quats, amplitudes = gaussians(40, channels, aspect)
    plan = cpu.make_plan(means, scales, quats, GRID)
    change = direction(40, channels)
    pushed = push_forward(plan, scales, quats, amplitudes, *change)
    assert pushed.shape == (channels, *GRID.shape)
    weights = np.random.default_rng(2).normal(size=pushed.shape).astype(np.float32)
    pulled = cpu.pull_back(plan, scales, quats, amplitudes, weights)
    expected = sum(float((g.astype(np.float64) * d).sum()) for g, d in zip(pulled, change, strict=True))
    total = float((pushed.astype(np.float64) * weights).sum())
    assert total == pytest.approx(expected, abs=2e-6 * float(np.abs(pushed * weights).sum()))


def test_difference_quotient_of_the_reference() -> None:
    start = [torch.from_numpy(a).double() for a in gaussians(5, 2, 3.0)]
    change = [torch.from_numpy(a).double() for a in direction(5, 2)]
    small = 1e-4

    def field(share: float) -> torch.Tensor:
        return voxelize(*(a + share * d for a, d in zip(start, change, strict=True)), GRID, backend="reference")

    quotient = ((field(small) - field(-small)) / (2 * small)).numpy()
    parts = gaussians(5, 2, 3.0)
    plan = cpu.make_plan(*parts[:3], GRID)
    pushed = push_forward(plan, *parts[1:], *direction(5, 2))
    # Voxels that cross the cut between the two renderings tell of the jump there.
    off = np.abs(pushed - quotient) > 2e-3 * np.abs(quotient).max()
    assert off.mean() < 2e-3


def test_no_gaussians_and_narrow_grids() -> None:
    none = [np.zeros((0, w), np.float32) for w in (3, 3, 4, 1)]
    pushed = push_forward(cpu.make_plan(*none[:3], GRID), *none[1:], *none)
    assert pushed.shape == (1, *GRID.shape) and not pushed.any()
    narrow = RegularGrid((3, 2, 1), (0.0, 0.0, 0.0), (1000.0, 1000.0, 1000.0))
    parts = [a[:, :] for a in gaussians(6, 1, 1.0)]
    assert push_forward(cpu.make_plan(*parts[:3], narrow), *parts[1:], *direction(6, 1)).shape == (1, 3, 2, 1)
