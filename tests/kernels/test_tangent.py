"""The directional derivative against autograd, and against the gradients it belongs to."""

from __future__ import annotations

import pytest
from tangents import exact_derivative, numba_derivative, some_directions

SHAPES = [(9, 33, 37), (3, 5, 7), (1, 40, 20), (3, 2, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_derivative_along_a_direction(case, shape) -> None:
    c = case(shape, 30, 2)
    directions = some_directions(c)
    expected = exact_derivative(c, directions)
    got = numba_derivative(c, directions)
    assert float((got - expected).abs().max() / expected.abs().max()) < 5e-6


def test_no_gaussians(case) -> None:
    c = case((3, 5, 7), 0, 2)
    field = numba_derivative(c, some_directions(c))
    assert field.shape == (2, 3, 5, 7) and not field.any()


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_adjoint_of_the_backward_pass(case, shape) -> None:
    c = case(shape, 30, 2, voxels=(0.5, 8.0))
    directions = some_directions(c)
    _, *gradients = c.run("numba")
    forwards = float((numba_derivative(c, directions) * c.upstream).sum())
    backwards = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))
    scale = sum(float((g * d).abs().sum()) for g, d in zip(gradients, directions, strict=True))
    assert abs(forwards - backwards) < 1e-6 * scale
