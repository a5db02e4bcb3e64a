"""Directions in which Gaussians move, and the derivative of their field along one, for the tests of the kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nowcast_kernels.voxelize import cpu, voxelize
from nowcast_kernels.voxelize.tangent import push_forward


def some_directions(case: Any) -> list[Tensor]:
    """A random change of each parameter."""
    random = torch.Generator().manual_seed(2)
    sizes = (500.0, 1.0, 1.0, 30.0)
    return [s * torch.randn(p.shape, generator=random) for s, p in zip(sizes, case.parameters, strict=True)]


def exact_derivative(case: Any, directions: list[Tensor]) -> Tensor:
    """By autograd through the reference, float64."""
    found: Tensor = torch.autograd.functional.jvp(
        lambda *p: voxelize(*p, case.grid, backend="reference"),
        tuple(p.double() for p in case.parameters),
        tuple(d.double() for d in directions),
    )[1]
    return found


def numba_derivative(case: Any, directions: list[Tensor]) -> Tensor:
    """By the CPU kernel, as float64."""
    arrays = [p.numpy() for p in case.parameters]
    plan = cpu.make_plan(*arrays[:3], case.grid)
    return torch.from_numpy(push_forward(plan, *arrays[1:], *(d.numpy() for d in directions))).double()
