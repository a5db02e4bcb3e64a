"""What must not change the field: order, place, threads, and how often one asks."""

from __future__ import annotations

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nowcast_kernels.voxelize import RegularGrid, voxelize


def gaussians_at(grid: RegularGrid, seed: int, channels: int = 1) -> list[Tensor]:
    """A few Gaussians with centres on eighths of a metre, so that shifts by whole voxels are exact in float32."""
    random = torch.Generator().manual_seed(seed)
    extent = torch.tensor([n * d for n, d in zip(grid.shape, grid.spacing_m, strict=True)]).flip(0)
    means = (torch.rand(4, 3, generator=random) * extent * 8).round() / 8
    log_scales = torch.log(300.0 + 1200.0 * torch.rand(4, 3, generator=random))
    quats = torch.randn(4, 4, generator=random)
    return [means, log_scales, quats, torch.randn(4, channels, generator=random)]


def bits(tensors) -> list[bytes]:
    return [t.numpy().tobytes() for t in tensors]


@pytest.mark.parametrize("channels", [1, 3])
def test_same_bits_for_any_number_of_threads_and_every_time(case, threads, channels) -> None:
    c = case((8, 100, 60), 1500, channels)
    threads(1)
    expected = bits(c.run("numba"))
    for count in (1, 2, 5):
        threads(count)
        for _ in range(3):
            assert bits(c.run("numba")) == expected


def test_several_callers_at_once(case) -> None:
    c = case((6, 70, 50), 300)
    expected = bits(c.run("numba"))
    answers: list[list[bytes]] = []
    callers = [threading.Thread(target=lambda: answers.append(bits(c.run("numba")))) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert answers == [expected] * 6


def test_order_of_the_gaussians_is_immaterial(case) -> None:
    c = case((8, 40, 40), 200, 2)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    field = voxelize(*c.parameters, c.grid)
    shuffled = voxelize(*(p[order] for p in c.parameters), c.grid)
    # Only the order of float32 additions differs.
    torch.testing.assert_close(shuffled, field, rtol=0, atol=2e-6 * float(field.abs().max()))


def test_sign_and_length_of_a_quaternion_are_immaterial(case) -> None:
    c = case((8, 40, 40), 50)
    means, log_scales, quats, amplitudes = c.parameters
    field = voxelize(means, log_scales, quats, amplitudes, c.grid)
    other = voxelize(means, log_scales, -4.0 * quats, amplitudes, c.grid)
    torch.testing.assert_close(other, field, rtol=0, atol=1e-6 * float(field.abs().max()))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    shift=st.tuples(*(st.integers(-6, 6) for _ in range(3))),
    spacing=st.tuples(*(st.sampled_from([250.0, 500.0, 1000.0]) for _ in range(3))),
    backend=st.sampled_from(["numba", "reference"]),
)
def test_moving_the_gaussians_by_whole_voxels_moves_the_field(seed, shift, spacing, backend) -> None:
    grid = RegularGrid((14, 20, 22), (0.0, 0.0, 0.0), spacing)
    parameters = gaussians_at(grid, seed)
    metres = torch.tensor([n * d for n, d in zip(shift, spacing, strict=True)]).flip(0)
    field = voxelize(*parameters, grid, backend=backend)
    moved = voxelize(parameters[0] + metres, *parameters[1:], grid, backend=backend)
    here = tuple(slice(max(n, 0), size + min(n, 0)) for n, size in zip(shift, grid.shape, strict=True))
    there = tuple(slice(max(-n, 0), size - max(n, 0)) for n, size in zip(shift, grid.shape, strict=True))
    torch.testing.assert_close(moved[0][here], field[0][there], rtol=0, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), channels=st.integers(1, 3))
def test_the_field_is_linear_in_the_intensities(seed, channels) -> None:
    grid = RegularGrid((10, 20, 22), (0.0, 0.0, 0.0), (500.0, 500.0, 500.0))
    means, log_scales, quats, first = gaussians_at(grid, seed, channels)
    second = torch.randn(first.shape, generator=torch.Generator().manual_seed(seed))
    a, b, both = (voxelize(means, log_scales, quats, w, grid) for w in (first, second, 2.0 * first - second))
    torch.testing.assert_close(both, 2.0 * a - b, rtol=0, atol=2e-5)
