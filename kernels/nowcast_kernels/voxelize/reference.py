"""The voxelizer as its formula reads: every Gaussian at every voxel, in float64.

It explains the fast backends and judges them; nothing in it is tuned except that it works through the
Gaussians in chunks, so that memory stays bounded.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nowcast_kernels.voxelize.grid import VoxelGrid

# A voxel belongs to a Gaussian where q <= 9 (three sigma). The hair above 9 keeps voxels at exactly three
# sigma (a Gaussian on a voxel centre, scale = spacing) inside whatever the last bit of q says.
CUT = 9.0 * (1.0 + 1e-9)

_PAIRS_PER_CHUNK = 1 << 21  # voxel-Gaussian pairs held at once: 16 MiB a float64 tensor


def rotation_matrices(quats: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] of quaternions [..., 4] (w, x, y, z) of any length but zero."""
    w, x, y, z = (quats / quats.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def voxel_centres(grid: VoxelGrid, device: torch.device) -> Tensor:
    """Coordinates [Z * Y * X, 3] of the voxel centres as (x, y, z) in metres, float64."""
    z, y, x = (
        first + step * torch.arange(n, dtype=torch.float64, device=device)
        for n, first, step in zip(grid.shape, grid.first_m, grid.spacing_m, strict=True)
    )
    zz, yy, xx = torch.meshgrid(z, y, x, indexing="ij")
    return torch.stack([xx, yy, zz], dim=-1).reshape(-1, 3)


def _render(means: Tensor, log_scales: Tensor, quats: Tensor, intensities: Tensor, centres: Tensor) -> Tensor:
    """Field [C, V] of some Gaussians at the voxel centres [V, 3]."""
    # q = |S^-1 R^T (v - m)|^2: a sum of squares, so it keeps its digits for any axis ratio.
    axes = rotation_matrices(quats) * torch.exp(-log_scales)[:, None, :]  # [n, 3, 3], columns r_i / s_i
    offsets = centres[None] - means[:, None]  # [n, V, 3]
    q = torch.matmul(offsets, axes).square().sum(-1)  # [n, V]
    weights = torch.where(q <= CUT, torch.exp(-0.5 * q), 0.0)
    return intensities.T @ weights


def voxelize_reference(
    means: Tensor, log_scales: Tensor, quats: Tensor, intensities: Tensor, grid: VoxelGrid
) -> Tensor:
    """Render on any device by the plain formula, differentiable by autograd; see `api.voxelize`.

    The sums run in float64 whatever the dtype of the arguments, and the result is cast back to it.
    """
    centres = voxel_centres(grid, means.device)
    n_chunk = max(1, _PAIRS_PER_CHUNK // len(centres))
    field = torch.zeros(intensities.shape[1], len(centres), dtype=torch.float64, device=means.device)
    parameters = [p.to(torch.float64) for p in (means, log_scales, quats, intensities)]
    for chunk in zip(*(p.split(n_chunk) for p in parameters), strict=True):
        # Checkpointed: the backward pass evaluates the chunk again instead of keeping every pair.
        field = field + checkpoint(_render, *chunk, centres, use_reentrant=False)
    return field.reshape(-1, *grid.shape).to(means.dtype)
