"""The directional derivative against autograd, and against the gradients it belongs to."""

from __future__ import annotations

import pytest
import torch

from nowcast_kernels.voxelize import cpu, voxelize
from nowcast_kernels.voxelize.tangent import push_forward

SHAPES = [(9, 33, 37), (3, 5, 7), (1, 40, 20), (3, 2, 1)]


def pushed(c, directions) -> torch.Tensor:
    arrays = [p.numpy() for p in c.parameters]
    plan = cpu.make_plan(*arrays[:3], c.grid)
    return torch.from_numpy(push_forward(plan, *arrays[1:], *(d.numpy() for d in directions)))


def some_directions(c) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(2)
    sizes = (500.0, 1.0, 1.0, 30.0)
    return [s * torch.randn(p.shape, generator=random) for s, p in zip(sizes, c.parameters, strict=True)]


@pytest.mark.parametrize("shape", SHAPES)
def test_derivative_along_a_direction(case, shape) -> None:
    c = case(shape, 30, 2)
    directions = some_directions(c)
    expected = torch.autograd.functional.jvp(
        lambda *p: voxelize(*p, c.grid, backend="reference"),
        tuple(p.double() for p in c.parameters),
        tuple(d.double() for d in directions),
    )[1]
    got = pushed(c, directions).double()
    assert float((got - expected).abs().max() / expected.abs().max()) < 5e-6


def test_no_gaussians(case) -> None:
    c = case((3, 5, 7), 0, 2)
    field = pushed(c, some_directions(c))
    assert field.shape == (2, 3, 5, 7) and not field.any()


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_adjoint_of_the_backward_pass(case, shape) -> None:
    c = case(shape, 30, 2, voxels=(0.5, 8.0))
    directions = some_directions(c)
    _, *gradients = c.run("numba")
    forwards = float((pushed(c, directions).double() * c.upstream).sum())
    backwards = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))
    scale = sum(float((g * d).abs().sum()) for g, d in zip(gradients, directions, strict=True))
    assert abs(forwards - backwards) < 1e-6 * scale
