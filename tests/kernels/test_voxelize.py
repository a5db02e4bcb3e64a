"""The fast voxelizer against the reference, and the reference against calculus."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import chi2

from nowcast_kernels.voxelize import RegularGrid, cpu, voxelize

NAMES = ("field", "means", "log_scales", "quats", "intensities")

# float32 sums of products with a 6e-7 exponential: errors stay near 1e-6 of the largest value. Gradients of the
# quaternions subtract sums from one another, which costs another digit for long thin Gaussians.
FIELD_TOLERANCE = 5e-6
GRADIENT_TOLERANCE = 2e-5


def assert_close(got, expected) -> None:
    for name, a, b in zip(NAMES, got, expected, strict=True):
        error = float((a - b).abs().max() / b.abs().max().clamp(min=1e-30)) if b.numel() else 0.0
        assert error < (FIELD_TOLERANCE if name == "field" else GRADIENT_TOLERANCE), (name, error)


@pytest.mark.parametrize(
    ("shape", "n", "channels"),
    [
        ((9, 33, 37), 40, 2),
        ((1, 1, 1), 5, 3),
        ((1, 40, 50), 30, 1),
        ((3, 5, 7), 20, 1),  # rows shorter than a vector
        ((5, 40, 16), 20, 1),
        ((4, 70, 17), 30, 1),  # three slabs, a row of one vector and a voxel
        ((2, 3, 100), 20, 1),
    ],
)
def test_numba_agrees_with_the_reference_on_odd_shapes(case, shape, n, channels) -> None:
    c = case(shape, n, channels)
    assert_close(c.run("numba"), c.run("reference", torch.float64))


@pytest.mark.parametrize("channels", range(1, 9))
def test_numba_agrees_with_the_reference_for_any_number_of_channels(case, channels) -> None:
    c = case((5, 20, 24), 12, channels, seed=channels)
    assert_close(c.run("numba"), c.run("reference", torch.float64))


@pytest.mark.parametrize(("smallest", "largest"), [(0.5, 10.0), (1.0, 20.0), (0.3, 6.0)])
def test_long_thin_tilted_gaussians_keep_their_digits(case, smallest, largest) -> None:
    """Axis ratios of 20: a recurrence from the edge of the box would underflow here."""
    c = case((16, 48, 40), 60, voxels=(smallest, largest), seed=4)
    scales = c.parameters[1]
    scales[:, 0], scales[:, 1] = math.log(500 * smallest), math.log(500 * largest)
    assert_close(c.run("numba"), c.run("reference", torch.float64))


def test_gaussians_larger_than_the_grid_and_off_it(case) -> None:
    c = case((7, 30, 40), 30, 2, voxels=(5.0, 200.0), margin=1.5)
    assert_close(c.run("numba"), c.run("reference", torch.float64))


def test_gaussians_of_thousands_of_rows(case) -> None:
    """More rows than are listed at once, more voxels in a row than one vector."""
    c = case((40, 64, 90), 3, voxels=(15.0, 60.0), margin=-0.3)
    assert_close(c.run("numba"), c.run("reference", torch.float64))


def test_every_backend_cuts_at_the_same_voxels(case) -> None:
    for seed in range(25):
        c = case((10, 30, 30), 1, voxels=(0.5, 5.0), seed=seed)
        fast, slow = (voxelize(*c.parameters, c.grid, backend=b) for b in ("numba", "reference"))
        assert torch.equal(fast != 0, slow != 0)


@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("voxel_m", [1.0, math.exp(6.25), 0.1])  # exact in the logarithm or not
def test_a_voxel_at_exactly_three_sigma_belongs_to_the_gaussian(backend, axis, voxel_m) -> None:
    shape = [1, 1, 1]
    shape[axis] = 9
    grid = RegularGrid(tuple(shape), (0.0, 0.0, 0.0), (voxel_m,) * 3)
    centre = torch.zeros(1, 3, dtype=torch.float64)
    centre[0, 2 - axis] = 4 * voxel_m
    log_scales = torch.full((1, 3), math.log(voxel_m), dtype=torch.float64)
    quat, one = torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    if backend == "numba":  # its float64 geometry, without rounding the parameters to float32 first
        plan = cpu.make_plan(*(p.numpy() for p in (centre, log_scales, quat)), grid)
        field = cpu.render(plan, one.numpy().astype(np.float32)).ravel()
    else:
        field = voxelize(centre, log_scales, quat, one, grid, backend=backend).numpy().ravel()
    expected = [0, *(math.exp(-0.5 * d * d) for d in (3, 2, 1, 0, 1, 2, 3)), 0]
    np.testing.assert_allclose(field, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_integral_of_one_gaussian(backend) -> None:
    """a (2 pi)^(3/2) s1 s2 s3, less what lies beyond three sigma; the sum over voxels misses the rest by the cut's
    staircase."""
    grid = RegularGrid((60, 80, 70), (0.0, 0.0, 0.0), (200.0, 300.0, 250.0))
    centre = torch.tensor([[8700.0, 12100.0, 6050.0]])
    scales = torch.tensor([[2500.0, 1500.0, 1800.0]])
    quat, amplitude = torch.tensor([[0.9, 0.2, -0.3, 0.4]]), torch.tensor([[-7.0]])
    field = voxelize(centre, scales.log(), quat, amplitude, grid, backend=backend)
    integral = float(field.double().sum()) * math.prod(grid.spacing_m)
    expected = -7.0 * (2 * math.pi) ** 1.5 * float(scales.prod()) * chi2(3).cdf(9.0)
    assert integral == pytest.approx(expected, rel=2e-3)


def test_gradcheck_of_the_reference(case) -> None:
    """All four gradients in float64; voxels near the cut would make the differences jump, so none is there."""
    c = case((2, 3, 4), 2, 2, voxels=(1.5, 3.0), seed=5)
    leaves = [p.double().requires_grad_() for p in c.parameters]
    assert torch.autograd.gradcheck(lambda *p: voxelize(*p, c.grid, backend="reference"), leaves, eps=1e-6, atol=1e-5)


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_no_gaussian_gives_an_empty_field_and_empty_gradients(case, backend) -> None:
    c = case((3, 4, 5), 0, 2)
    field, *gradients = c.run(backend)
    assert torch.equal(field, torch.zeros(2, 3, 4, 5, dtype=torch.float64))
    assert [tuple(g.shape) for g in gradients] == [(0, 3), (0, 3), (0, 4), (0, 2)]


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_a_gaussian_between_voxels_or_off_the_grid_adds_nothing(backend) -> None:
    grid = RegularGrid((3, 20, 20), (0.0, 0.0, 0.0), (1000.0, 1000.0, 1000.0))
    means = torch.tensor(
        [[4500.0, 4500.0, 500.0], [1e7, 0.0, 0.0], [0.0, -1e6, 0.0], [0.0, 0.0, 1e5]], requires_grad=True
    )
    log_scales = torch.tensor([[0.0, 1.0, -30.0], [6.0] * 3, [6.0] * 3, [6.0] * 3], requires_grad=True)
    quats = torch.randn(4, 4, requires_grad=True)
    amplitudes = torch.ones(4, 1, requires_grad=True)
    field = voxelize(means, log_scales, quats, amplitudes, grid, backend=backend)
    field.sum().backward()
    assert not field.any()
    assert not any(p.grad.any() for p in (means, log_scales, quats, amplitudes))


@pytest.mark.parametrize("size", [-40.0, 40.0])
def test_extreme_scales_stay_finite(size) -> None:
    grid = RegularGrid((2, 3, 20), (0.0, 0.0, 0.0), (1000.0, 1000.0, 1000.0))
    leaves = [torch.zeros(1, 3), torch.tensor([[size, 0.0, size]]), torch.tensor([[1.0, 0.5, 0, 0]]), torch.ones(1, 1)]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    field = voxelize(*leaves, grid, backend="numba")
    field.sum().backward()
    assert field[0, 0, 0, 0] == 1.0  # its centre is on the first voxel
    assert all(torch.isfinite(leaf.grad).all() for leaf in leaves)


def test_nothing_depends_on_what_the_memory_held(case, monkeypatch) -> None:
    c = case((5, 40, 9), 30, 2)
    clean = c.run("numba")
    empty = np.empty

    def dirty(*args, **kwargs):
        array = empty(*args, **kwargs)
        array.fill(np.nan if array.dtype.kind == "f" else -1)
        return array

    monkeypatch.setattr(cpu.np, "empty", dirty)
    assert all(torch.equal(a, b) for a, b in zip(clean, c.run("numba"), strict=True))


def test_tensors_that_are_not_contiguous_or_need_no_gradient(case) -> None:
    c = case((5, 20, 24), 12, 2)
    expected = c.run("numba")
    means, log_scales, quats, amplitudes = (p.clone() for p in c.parameters)
    strided = amplitudes.T.contiguous().T.requires_grad_()
    field = voxelize(means, log_scales, quats, strided, c.grid)
    assert torch.equal(field.double(), expected[0])
    field.backward(c.upstream.permute(0, 3, 2, 1).contiguous().permute(0, 3, 2, 1))
    assert torch.equal(strided.grad.double(), expected[4])


def test_auto_takes_the_reference_for_float64(case) -> None:
    c = case((3, 8, 9), 4)
    parameters = [p.double() for p in c.parameters]
    assert torch.equal(voxelize(*parameters, c.grid), voxelize(*parameters, c.grid, backend="reference"))
