"""The CUDA voxelizer: launches the Triton kernels and makes of them a differentiable torch operation."""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from nowcast_kernels.voxelize.grid import VoxelGrid
from nowcast_kernels.voxelize.reference import rotation_matrices
from nowcast_kernels.voxelize.tiles import TILE, Tiling, make_tiling, tiles_along
from nowcast_kernels.voxelize.triton_kernels import INTERPRETED, push_tile, render_tile, sum_chunk

__all__ = ["INTERPRETED", "pull_back", "push_forward", "render", "voxelize_triton"]

MOST_CHANNELS = 8  # that a program keeps in its registers; more are worked off in groups
TILES_PER_CHUNK = 32  # of one Gaussian that one program of the backward pass takes
LAUNCH = {"num_warps": 4, "enable_fp_fusion": True}
N_MOMENTS = 9
SYMMETRIC = (3, 4, 5, 4, 6, 7, 5, 7, 8)  # moments that stand in the matrix E, row by row
UPPER = ((0, 0, 0, 1, 1, 2), (0, 1, 2, 1, 2, 2))  # rows and columns of the products that a polynomial in e has


def voxelize_triton(means: Tensor, log_scales: Tensor, quats: Tensor, intensities: Tensor, grid: VoxelGrid) -> Tensor:
    """Render float32 tensors (intensities also bfloat16) on their CUDA device; see `api.voxelize`."""
    field: Tensor = _VoxelizeTriton.apply(means, log_scales, quats, intensities.contiguous(), grid)
    return field


class _VoxelizeTriton(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, means: Tensor, log_scales: Tensor, quats: Tensor, intensities: Tensor, grid: VoxelGrid
    ) -> Tensor:
        ctx.tiling = make_tiling(means, log_scales, quats, grid)
        ctx.save_for_backward(log_scales, quats, intensities)
        return render(ctx.tiling, intensities)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        log_scales, quats, intensities = ctx.saved_tensors
        return (*pull_back(ctx.tiling, log_scales, quats, intensities, grad), None)


def render(tiling: Tiling, intensities: Tensor) -> Tensor:
    """Field [C, Z, Y, X] float32 of Gaussians with intensities [N, C], float32 or bfloat16."""
    n_channels, channels = intensities.shape[1], _channels_at_once(intensities)
    out = torch.empty(n_channels, *tiling.shape, dtype=torch.float32, device=intensities.device)
    n_tz, n_ty, n_tx = tiles_along(tiling.shape)
    with _device(out):
        render_tile[(n_tz * n_ty * n_tx, triton.cdiv(n_channels, channels))](
            out, tiling.table, intensities, tiling.tile_first, tiling.tile_items,
            *tiling.shape, n_ty, n_tx, n_channels, *TILE, channels, **LAUNCH,
        )  # fmt: skip
    return out


def pull_back(
    tiling: Tiling, log_scales: Tensor, quats: Tensor, intensities: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of means, log-scales, quaternions and intensities from that of the field, [C, Z, Y, X] float32."""
    n_channels, channels = intensities.shape[1], _channels_at_once(intensities)
    first = tiling.gaussian_first
    n_chunks = (first.diff() + TILES_PER_CHUNK - 1) // TILES_PER_CHUNK
    gaussian = torch.repeat_interleave(n_chunks)
    number = torch.arange(len(gaussian), device=first.device) - (n_chunks.cumsum(0) - n_chunks)[gaussian]
    begin = first[gaussian] + TILES_PER_CHUNK * number
    end = torch.minimum(begin + TILES_PER_CHUNK, first[gaussian + 1])
    groups = triton.cdiv(n_channels, channels)
    moments = grad.new_empty(groups, len(gaussian), N_MOMENTS)
    sums = grad.new_empty(len(gaussian), n_channels)
    if len(gaussian):
        _, n_ty, n_tx = tiles_along(tiling.shape)
        with _device(grad):
            sum_chunk[(len(gaussian), groups)](
                grad.contiguous(), tiling.table, intensities,
                gaussian, begin, end, tiling.gaussian_tiles, moments, sums,
                *tiling.shape, n_ty, n_tx, n_channels, *TILE, channels, **LAUNCH,
            )  # fmt: skip
    total = _by_gaussian(torch.cat([moments.double().sum(0), sums], dim=-1), n_chunks)
    of_means, of_log_scales, of_quats = _parameter_gradients(
        tiling.whitening, log_scales.double(), quats.double(), total[:, :N_MOMENTS]
    )
    return of_means.float(), of_log_scales.float(), of_quats.float(), total[:, N_MOMENTS:].to(intensities.dtype)


def push_forward(
    tiling: Tiling,
    log_scales: Tensor,
    quats: Tensor,
    intensities: Tensor,
    d_means: Tensor,
    d_log_scales: Tensor,
    d_quats: Tensor,
    d_intensities: Tensor,
) -> Tensor:
    """Derivative [C, Z, Y, X] float32 of the field when the parameters move in the given direction.

    What `pull_back` is the adjoint of; the first tensors are those that the tiling was made from and that were
    rendered.
    """
    directions = (d.double() for d in (d_means, d_log_scales, d_quats))
    coefficients = _coefficients(tiling.whitening, log_scales.double(), quats.double(), *directions).float()
    n_channels, channels = intensities.shape[1], _channels_at_once(intensities)
    out = torch.empty(n_channels, *tiling.shape, dtype=torch.float32, device=intensities.device)
    n_tz, n_ty, n_tx = tiles_along(tiling.shape)
    with _device(out):
        push_tile[(n_tz * n_ty * n_tx, triton.cdiv(n_channels, channels))](
            out, tiling.table, coefficients, intensities, d_intensities, tiling.tile_first, tiling.tile_items,
            *tiling.shape, n_ty, n_tx, n_channels, *TILE, channels, **LAUNCH,
        )  # fmt: skip
    return out


def _channels_at_once(intensities: Tensor) -> int:
    return min(MOST_CHANNELS, int(triton.next_power_of_2(intensities.shape[1])))


def _device(tensor: Tensor) -> Any:
    """Triton launches on the current device, which need not be the tensors'."""
    return torch.cuda.device_of(tensor)


def _by_gaussian(chunks: Tensor, n_chunks: Tensor) -> Tensor:
    """Sum the rows [chunks, k] of each Gaussian, in their order."""
    return torch.segment_reduce(chunks, "sum", lengths=n_chunks, axis=0, unsafe=True, initial=0.0)


def _parameter_gradients(
    whitening: Tensor, log_scales: Tensor, quats: Tensor, moments: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of means, log-scales and quaternions from the moments [N, 9]: kernels/README.md, "Gradients"."""
    f, turning = _unit_vectors(whitening, log_scales, quats), _turning(log_scales)
    of_means = (whitening * moments[:, :3, None]).sum(1)
    e = moments[:, SYMMETRIC].reshape(-1, 3, 3)
    ef = (e[:, :, :, None] * f[:, None]).sum(2)
    square = (f[:, :, :, None] * ef[:, :, None]).sum(1)  # F
    tx, ty, tz = (square[:, (1, 0, 0), (2, 2, 1)] * turning).unbind(-1)
    norm = quats.norm(dim=-1, keepdim=True)
    w, x, y, z = (quats / norm).unbind(-1)
    turned = (-x * tx - y * ty - z * tz, w * tx + y * tz - z * ty, w * ty + z * tx - x * tz, w * tz + x * ty - y * tx)
    of_quats = 2 / norm * torch.stack(turned, dim=-1)
    return of_means, square.diagonal(dim1=-2, dim2=-1), of_quats


def _coefficients(
    whitening: Tensor, log_scales: Tensor, quats: Tensor, d_means: Tensor, d_log_scales: Tensor, d_quats: Tensor
) -> Tensor:
    """Polynomial [N, 9] in e by which the weight changes along a direction: see `tangent.py`."""
    f, norm = _unit_vectors(whitening, log_scales, quats), quats.norm(dim=-1, keepdim=True)
    w, x, y, z = (quats / norm).unbind(-1)
    dw, dx, dy, dz = (2 / norm * d_quats).unbind(-1)
    turned = (
        -x * dw + w * dx + z * dy - y * dz,
        -y * dw - z * dx + w * dy + x * dz,
        -z * dw + y * dx - x * dy + w * dz,
    )
    turns = torch.stack(turned, dim=-1) * _turning(log_scales)
    linear = (whitening * d_means[:, None]).sum(-1)
    matrix = (f[:, :, None] * f[:, None] * d_log_scales[:, None, None]).sum(-1)
    # f_1 f_2^T turns about the first axis, and cyclic; with its transpose it stands for both.
    mixed = (f[:, :, None, (1, 0, 0)] * f[:, None, :, (2, 2, 1)] * turns[:, None, None]).sum(-1)
    both = 2 * matrix + mixed + mixed.mT
    square = torch.where(torch.eye(3, dtype=torch.bool, device=both.device), 0.5 * both, both)
    return torch.cat([linear, square[:, UPPER[0], UPPER[1]]], dim=-1)


def _unit_vectors(whitening: Tensor, log_scales: Tensor, quats: Tensor) -> Tensor:
    """f [N, 3, 3]: the whitened axes, unit vectors in the columns."""
    axes = rotation_matrices(quats)
    return (whitening[:, :, :, None] * axes[:, None]).sum(2) * log_scales.exp()[:, None]


def _turning(log_scales: Tensor) -> Tensor:
    """[N, 3] by how much a turn about each axis changes the weight: s_y / s_z - s_z / s_y, and cyclic."""
    s = log_scales.exp()
    ratio = s[:, (1, 2, 0)] / s[:, (2, 0, 1)]
    return ratio - 1 / ratio
