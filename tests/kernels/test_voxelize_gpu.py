"""The Triton voxelizer on a CUDA device, up to the size of the paper."""

from __future__ import annotations

import pytest
import torch
from tangents import exact_derivative, numba_derivative, some_directions

from nowcast_kernels.voxelize import voxelize

pytestmark = pytest.mark.gpu
TOLERANCE = 2e-5  # that of the numba gradients, with which the largest case is compared


@pytest.fixture(autouse=True)
def device() -> None:
    pytest.importorskip("triton", reason="triton cannot be imported", exc_type=ImportError)
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")


def on_gpu(case, backend="triton", intensities=torch.float32) -> list[torch.Tensor]:
    """Field and gradients on the CPU in float64."""
    dtypes = (torch.float32,) * 3 + (intensities,)
    leaves = [p.to("cuda", dtype).requires_grad_() for p, dtype in zip(case.parameters, dtypes, strict=True)]
    field = voxelize(*leaves, case.grid, backend=backend)
    field.backward(case.upstream.cuda())
    return [t.detach().cpu().double() for t in (field, *(leaf.grad for leaf in leaves))]


def pushed_on_gpu(case, directions) -> torch.Tensor:
    """Derivative along a direction, on the CPU in float64."""
    from nowcast_kernels.voxelize.tiles import make_tiling
    from nowcast_kernels.voxelize.triton_cuda import push_forward

    means, *others = (p.cuda() for p in case.parameters)
    tiling = make_tiling(means, *others[:2], case.grid)
    return push_forward(tiling, *others, *(d.cuda() for d in directions)).cpu().double()


def assert_close(got, expected, tolerance=TOLERANCE) -> None:
    for a, b in zip(got, expected, strict=True):
        assert float((a - b).abs().max() / b.abs().max()) < tolerance


@pytest.mark.parametrize("channels", [1, 3, 6, 9])
@pytest.mark.parametrize("shape", [(9, 33, 37), (1, 40, 50), (5, 7, 3)])
def test_agrees_with_the_reference(case, shape, channels) -> None:
    c = case(shape, 40, channels, margin=0.2)
    assert_close(on_gpu(c), c.run("reference", torch.float64))


@pytest.mark.parametrize("channels", [1, 6, 9])
def test_derivative_along_a_direction(case, channels) -> None:
    c = case((9, 33, 37), 40, channels, margin=0.2)
    directions = some_directions(c)
    assert_close([pushed_on_gpu(c, directions)], [exact_derivative(c, directions)])


def test_cuts_at_the_same_voxels(case) -> None:
    for seed in range(25):
        c = case((10, 30, 30), 1, voxels=(0.4, 8.0), seed=seed)
        assert torch.equal(on_gpu(c)[0] != 0, c.run("reference")[0] != 0)


def test_auto_takes_triton(case) -> None:
    c = case((5, 20, 24), 12, 2)
    assert all(torch.equal(a, b) for a, b in zip(on_gpu(c, "auto"), on_gpu(c), strict=True))


def test_the_size_of_the_paper(case) -> None:
    """Against numba, for the reference would take hours; twice, for the same bits; and with bfloat16 intensities."""
    c = case((36, 512, 512), 49_152, 6, voxels=(1.2, 4.8))
    got = on_gpu(c)
    assert all(torch.equal(a, b) for a, b in zip(got, on_gpu(c), strict=True))
    assert_close(got, c.run("numba"))
    assert_close(on_gpu(c, intensities=torch.bfloat16), got, tolerance=2.0**-7)
    directions = some_directions(c)
    pushed = pushed_on_gpu(c, directions)
    assert torch.equal(pushed, pushed_on_gpu(c, directions))
    assert_close([pushed], [numba_derivative(c, directions)])
