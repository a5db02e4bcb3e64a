"""The voxelizer on a CUDA device: against the memory's speed, dense torch, and slices through gsplat."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from measure import timed
from torch import Tensor

from nowcast_kernels.voxelize import RegularGrid, voxelize

DENSE_GAUSSIANS = 32  # of the case that the dense version renders: all of them would take minutes
GEOMETRY_BYTES = 9 * 8  # that a tile reads of a Gaussian, besides its intensities


def bench_voxelize_gpu(leaves: list[Tensor], grid: RegularGrid, repeats: int) -> dict[str, Any]:
    """Triton's passes as a caller meets them and rendering alone, the floor, and the two other ways to do it."""
    from nowcast_kernels.voxelize.tiles import make_tiling
    from nowcast_kernels.voxelize.triton_cuda import push_forward, render

    leaves = [p.detach().cuda().requires_grad_() for p in leaves]
    tiling = make_tiling(*leaves[:3], grid)
    n_pairs, intensities = len(tiling.tile_items), leaves[3].detach()
    floor_ms = floor(leaves[3].shape[1], grid, n_pairs)
    torch.cuda.reset_peak_memory_stats()
    rendering = measured(lambda: render(tiling, intensities), repeats)
    parameters = [p.detach() for p in leaves]
    directions = [torch.randn_like(p) for p in parameters]
    answer = {
        "device": torch.cuda.get_device_name(),
        "tile_pairs": n_pairs,
        "floor_ms": floor_ms,
        "tiling": measured(lambda: make_tiling(*leaves[:3], grid), repeats),
        "rendering": rendering | {"fraction_of_floor": floor_ms / rendering["median_ms"]},
        "derivative": measured(lambda: push_forward(tiling, *parameters[1:], *directions), repeats),
        **both(lambda: voxelize(*leaves, grid, backend="triton"), leaves, repeats),
        "cuda_peak_mib": torch.cuda.max_memory_allocated() / 2**20,
    }
    few = [p.detach()[:DENSE_GAUSSIANS].requires_grad_() for p in leaves]
    dense = both(lambda: voxelize(*few, grid, backend="reference"), few, 3)
    answer["dense_torch"] = {"gaussians": len(few[0]), **dense}
    if find_spec("gsplat"):
        answer["gsplat_slices"] = both(lambda: gsplat_slices(leaves, grid), leaves, repeats)
    return answer


def measured(run: Callable[[], Any], repeats: int) -> dict[str, Any]:
    return timed(run, repeats, torch.cuda.synchronize)


def both(run: Callable[[], Tensor], leaves: list[Tensor], repeats: int) -> dict[str, Any]:
    """Forward and backward pass."""
    forward = measured(run, repeats)
    out = run()
    upstream = torch.randn_like(out)
    return {
        "forward": forward,
        "backward": measured(lambda: torch.autograd.grad(out, leaves, upstream, retain_graph=True), repeats),
    }


def floor(n_channels: int, grid: RegularGrid, n_pairs: int) -> float:
    """Milliseconds to write each voxel once and read each Gaussian once per tile, at the speed of a copy."""
    a = torch.empty(2**28, device="cuda")
    bytes_per_ms = 2 * a.nbytes / measured(a.clone, 10)["best_ms"]
    written = 4 * n_channels * torch.Size(grid.shape).numel()
    return (written + n_pairs * (GEOMETRY_BYTES + 4 * n_channels + 4)) / bytes_per_ms


def gsplat_slices(leaves: list[Tensor], grid: RegularGrid) -> Tensor:
    """Every level as the published code makes it: Gaussians within 1.5 levels, projected straight down.

    For the time only: gsplat composites where the field is a sum, and all depths count alike.
    """
    from gsplat import rasterization

    means, log_scales, quats, intensities = leaves
    (nz, ny, nx), (z0, y0, x0), (dz, dy, dx) = grid.shape, grid.first_m, grid.spacing_m
    camera = torch.tensor([[1 / dx, 0, 0.5 - x0 / dx], [0, 1 / dy, 0.5 - y0 / dy], [0, 0, 1]], device="cuda")
    slices = []
    for level in range(nz):
        view = torch.eye(4, device="cuda")
        view[2, 3] = 10 * dz - (z0 + level * dz)  # the level lies ten levels from the camera
        image, _, _ = rasterization(
            means, quats, log_scales.exp(), torch.full_like(means[:, 0], 0.01), intensities, view[None], camera[None],
            nx, ny, near_plane=8.5 * dz, far_plane=11.5 * dz, camera_model="ortho",
        )  # fmt: skip
        slices.append(image[0])
    return torch.stack(slices)
