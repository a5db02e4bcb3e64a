"""The Triton voxelizer against the reference, run by Triton's interpreter; on a GPU: test_voxelize_gpu.py."""

from __future__ import annotations

import math
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from interpreted import choose_interpreter, push_interpreted, voxelize_interpreted
from tangents import exact_derivative, numba_derivative, some_directions

from nowcast_kernels.errors import KernelInputError
from nowcast_kernels.voxelize import RegularGrid, api, voxelize
from nowcast_kernels.voxelize.tiles import TILE, make_tiling, tiles_along

# Older interpreters do not work with numpy 2.4; torch for CUDA asks for one version of triton, so the install does not.
pytest.importorskip("triton", minversion="3.8", reason="needs triton 3.8 or newer", exc_type=ImportError)

NAMES = ("field", "means", "log_scales", "quats", "intensities")
TOLERANCE = 2e-6  # float32 sums of products; q is float64, so nothing is lost before the exponential
# A bfloat16 gradient has 8 bits: rounded once, it is off by up to 2^-8 of itself.
HALF_TOLERANCE = 2.0**-8


@pytest.fixture(scope="module")
def interpreter():
    """Calls a function with a case's parameters and grid, and more, in a process where the interpreter runs."""
    context = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=choose_interpreter) as process:

        def call(function, case, *others):
            grid = (case.grid.shape, case.grid.first_m, case.grid.spacing_m)
            return process.submit(function, [p.numpy() for p in case.parameters], grid, *others).result(timeout=300)

        yield call


@pytest.fixture
def interpret(interpreter):
    """Field and gradients of a case by the interpreter, as float64 tensors."""

    def run(case, halved=False):
        found = interpreter(voxelize_interpreted, case, case.upstream.numpy(), halved)
        return [torch.from_numpy(a).double() for a in found]

    return run


@pytest.fixture
def push(interpreter):
    """Derivative of a case's field along a direction by the interpreter, as a float64 tensor."""

    def run(case, directions):
        found = interpreter(push_interpreted, case, [d.numpy() for d in directions])
        return torch.from_numpy(found).double()

    return run


def error(got, expected) -> float:
    return float((got - expected).abs().max() / expected.abs().max().clamp(min=1e-30)) if expected.numel() else 0.0


def assert_close(got, expected) -> None:
    for name, a, b in zip(NAMES, got, expected, strict=True):
        assert a.shape == b.shape
        assert error(a, b) < TOLERANCE, (name, error(a, b))


@pytest.mark.parametrize(
    ("shape", "n", "channels"),
    [
        ((5, 20, 24), 4, 1),
        ((6, 18, 13), 5, 3),
        ((4, 8, 8), 4, 9),  # more channels than a program takes
        ((1, 1, 1), 3, 2),
        ((3, 1, 17), 1, 1),
        ((3, 4, 5), 0, 2),
    ],
)
def test_agrees_with_the_reference(case, interpret, shape, n, channels) -> None:
    c = case(shape, n, channels)
    assert_close(interpret(c), c.run("reference", torch.float64))


def test_long_thin_tilted_gaussians_keep_their_digits_and_their_cut(case, interpret) -> None:
    c = case((10, 24, 20), 6, voxels=(0.5, 10.0), seed=4)
    c.parameters[1][:, 0], c.parameters[1][:, 1] = math.log(500 * 0.5), math.log(500 * 10.0)  # axis ratio 20
    assert_close(interpret(c), c.run("reference", torch.float64))
    for k in range(3):
        one = case((6, 12, 12), 1, voxels=(0.5, 5.0), seed=k)
        assert torch.equal(interpret(one)[0] != 0, one.run("reference")[0] != 0)


@pytest.mark.parametrize("axis", range(3))
def test_a_voxel_at_exactly_three_sigma_belongs_to_the_gaussian(case, interpret, axis) -> None:
    shape = [1, 1, 1]
    shape[axis] = 9
    c = replace(case(tuple(shape), 1), grid=RegularGrid(tuple(shape), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))
    values = (torch.zeros(1, 3), torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 0.0, 0.0]]), torch.ones(1, 1))
    values[0][0, 2 - axis] = 4.0
    expected = [0, *(math.exp(-0.5 * d * d) for d in (3, 2, 1, 0, 1, 2, 3)), 0]
    np.testing.assert_allclose(interpret(replace(c, parameters=values))[0].ravel(), expected, rtol=1e-6, atol=0)


def test_gaussians_larger_than_the_grid_and_off_it(case, interpret) -> None:
    c = case((6, 18, 20), 6, 2, voxels=(5.0, 50.0), margin=1.5)
    assert_close(interpret(c), c.run("reference", torch.float64))


def test_a_gaussian_of_more_tiles_than_one_program_takes(case, interpret) -> None:
    c = case((10, 36, 40), 1, voxels=(12.0, 20.0), margin=-0.4)
    assert len(make_tiling(*c.parameters[:3], c.grid).tile_items) > 32
    assert_close(interpret(c), c.run("reference", torch.float64))


def test_extreme_scales_stay_finite(case, interpret) -> None:
    c = case((2, 3, 10), 2)
    c.parameters[0][:] = torch.tensor(c.grid.first_m[::-1])
    c.parameters[1][:] = torch.tensor([[-40.0, 0.0, -40.0], [40.0, 0.0, 40.0]])
    field, *gradients = interpret(c)
    assert field[0, 0, 0, 0] == pytest.approx(float(c.parameters[3].sum()))  # both centres are on the first voxel
    assert all(torch.isfinite(g).all() for g in gradients)


def test_bfloat16_intensities(case, interpret) -> None:
    """The field is float32 of the rounded intensities; only the gradient of these is rounded."""
    c = case((5, 14, 16), 4, 3)
    c.parameters[3].copy_(c.parameters[3].bfloat16())
    *got, of_intensities = interpret(c, halved=True)
    *exact, wanted = c.run("reference", torch.float64)
    assert_close([*got, wanted], [*exact, wanted])
    assert torch.all((of_intensities - wanted).abs() <= HALF_TOLERANCE * wanted.abs() + TOLERANCE * wanted.abs().max())


@pytest.mark.parametrize(
    ("shape", "n", "channels"), [((5, 20, 24), 4, 1), ((6, 18, 13), 5, 3), ((4, 8, 8), 4, 9), ((3, 4, 5), 0, 2)]
)
def test_derivative_along_a_direction(case, push, shape, n, channels) -> None:
    c = case(shape, n, channels, margin=0.2)
    directions = some_directions(c)
    got = push(c, directions)
    assert got.shape == (channels, *shape)
    assert error(got, exact_derivative(c, directions)) < TOLERANCE
    assert error(got, numba_derivative(c, directions)) < 5e-6  # what numba is off by


def test_derivative_of_long_thin_tilted_gaussians(case, push) -> None:
    c = case((10, 24, 20), 6, 2, voxels=(0.5, 10.0), seed=4)
    c.parameters[1][:, 0], c.parameters[1][:, 1] = math.log(500 * 0.5), math.log(500 * 10.0)  # axis ratio 20
    directions = some_directions(c)
    assert error(push(c, directions), exact_derivative(c, directions)) < TOLERANCE


def test_the_derivative_is_the_adjoint_of_the_backward_pass(case, push, interpret) -> None:
    c = case((6, 18, 20), 6, 2, voxels=(0.5, 8.0))
    directions = some_directions(c)
    _, *gradients = interpret(c)
    forwards = float((push(c, directions) * c.upstream).sum())
    products = [g * d for g, d in zip(gradients, directions, strict=True)]
    assert abs(forwards - sum(float(p.sum()) for p in products)) < 1e-6 * sum(float(p.abs().sum()) for p in products)


def test_same_inputs_give_the_same_bits(case, interpret) -> None:
    c = case((5, 18, 20), 6, 2)
    assert all(torch.equal(a, b) for a, b in zip(interpret(c), interpret(c), strict=True))


def test_no_tile_that_a_gaussian_reaches_is_left_out(case) -> None:
    """Tiles are dropped by a bound on q; rendering by rows knows nothing of tiles."""
    for seed in range(40):
        c = case((14, 60, 50), 1, voxels=(0.4, 12.0), margin=0.1, seed=seed)
        tiling = make_tiling(*c.parameters[:3], c.grid)
        z, y, x = np.nonzero(voxelize(*c.parameters, c.grid).numpy()[0])
        _, n_ty, n_tx = tiles_along(c.grid.shape)
        reached = (z // TILE[0] * n_ty + y // TILE[1]) * n_tx + x // TILE[2]
        assert set(reached) <= set(tiling.gaussian_tiles.tolist())


def test_a_tensor_on_the_cpu_is_refused_without_the_interpreter(case) -> None:
    c = case((2, 3, 4), 2)
    with pytest.raises(KernelInputError, match=r"'triton' takes float32 tensors on a CUDA device.*backend='auto'"):
        voxelize(*c.parameters, c.grid, backend="triton")


def test_a_grid_too_large_is_refused_before_memory_is_taken(case) -> None:
    c = case((2, 3, 4), 2)
    with pytest.raises(KernelInputError, match="the triton backend renders at most 2147483647 voxels"):
        make_tiling(*c.parameters[:3], RegularGrid((2000, 2000, 2000), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))


@pytest.mark.parametrize(
    ("dtype", "importable", "chosen"),
    [(torch.float32, True, "triton"), (torch.float32, False, "reference"), (torch.float64, True, "reference")],
)
def test_auto_on_cuda_takes_triton_where_it_serves(monkeypatch, dtype, importable, chosen) -> None:
    monkeypatch.setattr(api, "triton_serves", lambda: importable)
    on_cuda = SimpleNamespace(device=torch.device("cuda"), dtype=dtype)
    assert api._choose("auto", on_cuda, on_cuda) == chosen


def test_explicit_triton_without_the_package_says_what_to_install(case, monkeypatch) -> None:
    monkeypatch.setattr(api, "triton_serves", lambda: False)
    c = case((2, 3, 4), 2)
    with pytest.raises(KernelInputError, match="pip install triton"):
        voxelize(*c.parameters, c.grid, backend="triton")


@pytest.mark.parametrize("capability", [80, 90])
def test_the_kernels_compile_for_a_gpu_that_is_not_here(capability, tmp_path, monkeypatch) -> None:
    """The interpreter takes more than the compiler does."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from nowcast_kernels.voxelize.triton_cuda import LAUNCH
    from nowcast_kernels.voxelize.triton_kernels import push_tile, render_tile, sum_chunk

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kinds = {"table": "*fp64", "gaussian_tiles": "*i32", "tile_first": "*i32", "tile_items": "*i32"}
    kinds |= {"chunk_gaussian": "*i64", "chunk_first": "*i64", "chunk_last": "*i64", "intensities": "*bf16"}
    kinds |= dict.fromkeys(("out", "grad", "moments", "sums", "coefficients", "d_intensities"), "*fp32")
    constants = dict(zip(("TZ", "TY", "TX", "CHANNELS"), (*TILE, 8), strict=True))
    for kernel in (render_tile, push_tile, sum_chunk):
        signature = {name: "constexpr" if name in constants else kinds.get(name, "i32") for name in kernel.arg_names}
        source = ASTSource(kernel, signature, constants)
        compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=LAUNCH)
        assert compiled.asm["cubin"]
