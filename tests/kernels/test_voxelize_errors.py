"""Arguments that cannot be rendered are refused in plain words."""

from __future__ import annotations

import pytest
import torch

from nowcast_kernels.errors import KernelInputError
from nowcast_kernels.voxelize import RegularGrid, api, voxelize

GRID = RegularGrid((2, 3, 4), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def parameters(**changes) -> dict:
    given = {
        "means": torch.zeros(5, 3),
        "log_scales": torch.zeros(5, 3),
        "quats": torch.ones(5, 4),
        "intensities": torch.ones(5, 2),
    }
    return given | changes


def with_value(tensor: torch.Tensor, value: float) -> torch.Tensor:
    tensor = tensor.clone()
    tensor[3, 1] = value
    return tensor


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quats": [[1.0, 0.0, 0.0, 0.0]]}, "quats must be a torch tensor, got list"),
        ({"means": torch.zeros(5, 2)}, r"means must have shape \[5, 3\], got \[5, 2\]"),
        ({"log_scales": torch.zeros(4, 3)}, r"log_scales must have shape \[5, 3\], got \[4, 3\]"),
        ({"quats": torch.ones(5, 3)}, r"quats must have shape \[5, 4\], got \[5, 3\]"),
        ({"intensities": torch.ones(5)}, r"intensities must have shape \[5, C\], got \[5\]"),
        ({"intensities": torch.ones(5, 0)}, "C >= 1"),
        ({"quats": torch.ones(5, 4, dtype=torch.float64)}, "quats is torch.float64 on cpu, means is torch.float32"),
        ({"means": with_value(torch.zeros(5, 3), float("nan"))}, "means must be finite: 1 of 5 Gaussians .* number 3"),
        ({"intensities": with_value(torch.ones(5, 2), float("inf"))}, "intensities must be finite"),
        ({"log_scales": with_value(torch.zeros(5, 3), 41.0)}, "log_scales must lie within -40..40"),
        ({"quats": torch.zeros(5, 4)}, "quats must not be all zeros: 5 of 5"),
        ({"backend": "gpu"}, "unknown backend 'gpu': available here are auto, numba, triton, reference"),
    ],
)
def test_refusals(changes, message) -> None:
    with pytest.raises(KernelInputError, match=message):
        voxelize(**parameters(**changes), grid=GRID)


@pytest.mark.parametrize(
    "changes",
    [
        {"means": with_value(torch.zeros(5, 3), float("nan"))},
        {"log_scales": with_value(torch.zeros(5, 3), float("nan"))},
        {"log_scales": with_value(torch.zeros(5, 3), -41.0)},
        {"quats": torch.tensor([[1.0, 0.0, 0.0, 0.0]] * 4 + [[0.0] * 4])},
        {"quats": with_value(torch.ones(5, 4), float("inf"))},
        {"intensities": with_value(torch.ones(5, 2), float("-inf"))},
    ],
)
def test_the_single_look_at_tensors_on_a_device_finds_what_the_checks_refuse(changes) -> None:
    assert api._all_well(**parameters())
    assert not api._all_well(**parameters(**changes))
    with pytest.raises(KernelInputError, match="1 of 5 Gaussians"):
        voxelize(**parameters(**changes), grid=GRID)


def test_whole_numbers_and_half_precision_are_refused() -> None:
    for dtype in (torch.int64, torch.float16):
        with pytest.raises(KernelInputError, match="float32 or float64"):
            voxelize(**{name: tensor.to(dtype) for name, tensor in parameters().items()}, grid=GRID)


def test_numba_refuses_bfloat16_intensities_that_the_reference_takes() -> None:
    halved = parameters(intensities=torch.ones(5, 2, dtype=torch.bfloat16))
    with pytest.raises(KernelInputError, match=r"float32 tensors on the CPU.*intensities torch.bfloat16"):
        voxelize(**halved, grid=GRID, backend="numba")
    assert torch.equal(voxelize(**halved, grid=GRID), voxelize(**parameters(), grid=GRID, backend="reference"))


def test_numba_refuses_float64_and_says_what_to_do() -> None:
    doubles = {name: tensor.double() for name, tensor in parameters().items()}
    with pytest.raises(KernelInputError, match=r"float32 tensors on the CPU.*backend='reference'"):
        voxelize(**doubles, grid=GRID, backend="numba")


@pytest.mark.parametrize(
    ("shape", "first_m", "spacing_m", "message"),
    [
        ((0, 3, 4), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "grid.shape"),
        ((2, 3), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "grid.shape"),
        ((2, 3, 4), (0.0, float("nan"), 0.0), (1.0, 1.0, 1.0), "grid.first_m"),
        ((2, 3, 4), (0.0, 0.0, 0.0), (1.0, 0.0, 1.0), "grid.spacing_m"),
    ],
)
def test_grids_that_are_none(shape, first_m, spacing_m, message) -> None:
    with pytest.raises(KernelInputError, match=message):
        RegularGrid(shape, first_m, spacing_m)


def test_a_grid_too_large_for_the_numba_backend_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(KernelInputError, match="at most 2147483647 voxels"):
        voxelize(**parameters(), grid=RegularGrid((2000, 2000, 2000), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))
