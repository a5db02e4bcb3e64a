"""Runs the Triton kernels on the CPU, in a process of its own: the interpreter is chosen when triton is imported."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nowcast.gaussians import FitConfig
    from nowcast.types import VolumeSequence

Grid = tuple[tuple[int, int, int], tuple[float, float, float], tuple[float, float, float]]


def choose_interpreter() -> None:
    """First thing in the process."""
    os.environ["TRITON_INTERPRET"] = "1"


def voxelize_interpreted(
    parameters: Sequence[np.ndarray],
    grid: Grid,
    upstream: np.ndarray,
    halved: bool = False,
) -> list[np.ndarray]:
    """Field and the four gradients; intensities are bfloat16 if ``halved``."""
    import torch

    from nowcast_kernels.voxelize import RegularGrid, voxelize

    leaves = [torch.from_numpy(p) for p in parameters]
    leaves[3] = leaves[3].to(torch.bfloat16) if halved else leaves[3]
    for leaf in leaves:
        leaf.requires_grad_()
    field = voxelize(*leaves, RegularGrid(*grid), backend="triton")
    field.backward(torch.from_numpy(upstream))
    assert leaves[3].grad.dtype == leaves[3].dtype
    return [field.detach().numpy(), *(leaf.grad.float().numpy() for leaf in leaves)]


def push_interpreted(parameters: Sequence[np.ndarray], grid: Grid, directions: Sequence[np.ndarray]) -> np.ndarray:
    """Derivative of the field along a direction."""
    import torch

    from nowcast_kernels.voxelize import RegularGrid
    from nowcast_kernels.voxelize.tiles import make_tiling
    from nowcast_kernels.voxelize.triton_cuda import push_forward

    means, *others = (torch.from_numpy(p) for p in parameters)
    tiling = make_tiling(means, *others[:2], RegularGrid(*grid))
    field: np.ndarray = push_forward(tiling, *others, *(torch.from_numpy(d) for d in directions)).numpy()
    return field


def fit_interpreted(volumes: VolumeSequence, config: FitConfig) -> list[np.ndarray]:
    """Means, log-scales, quaternions, intensities and velocities of a fit on the device."""
    import dataclasses

    from nowcast.gaussians import fit_sequence

    fitted = fit_sequence(volumes, dataclasses.replace(config, device="cuda"))
    return [getattr(fitted, name).numpy() for name in ("means", "log_scales", "quats", "intensities", "velocities")]
