"""Which tiles of the grid each Gaussian reaches: what the Triton kernels work from, made on the device with torch.

All in float64 and once per Gaussian or per (tile, Gaussian) pair. The grid is cut into boxes of `TILE` voxels. Pairs
are kept in two orders: by tile, and within one by the number of the Gaussian, for rendering; by Gaussian for the
backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nowcast_kernels.errors import KernelInputError
from nowcast_kernels.voxelize.grid import VoxelGrid
from nowcast_kernels.voxelize.reference import CUT, rotation_matrices

TILE = (4, 8, 8)  # voxels (z, y, x), powers of two; kernels/README.md says what other sizes cost
MAX_VOXELS = 2**31 - 1  # voxels of one channel are numbered with 32 bits

# A tile is dropped only where q is above the cut in all of it with this to spare: more than rounding can move.
_HAIR = 1e-6


@dataclass(frozen=True)
class Tiling:
    """What rendering and its gradients share.

    Attributes
    ----------
    shape : tuple of int
        (nz, ny, nx) of the grid.
    whitening : Tensor
        [N, 3, 3] float64, 1 / m: upper triangular W with e = W (v - m) and q = e^T e, axes (x, y, z).
    table : Tensor
        [N, 9] float64: centre (z, y, x) in voxels, then Wzz, Wyy, Wyz, Wxx, Wxy, Wxz per voxel.
    tile_first, tile_items : Tensor
        Tile t is reached by the Gaussians ``tile_items[tile_first[t] : tile_first[t + 1]]``, int32.
    gaussian_first, gaussian_tiles : Tensor
        The same pairs by Gaussian: i reaches ``gaussian_tiles[gaussian_first[i] : gaussian_first[i + 1]]``, int32.
    """

    shape: tuple[int, int, int]
    whitening: Tensor
    table: Tensor
    tile_first: Tensor
    tile_items: Tensor
    gaussian_first: Tensor
    gaussian_tiles: Tensor


def tiles_along(shape: tuple[int, int, int], tile: tuple[int, int, int] = TILE) -> tuple[int, int, int]:
    """Number of tiles (z, y, x) that cover a grid."""
    return (-(-shape[0] // tile[0]), -(-shape[1] // tile[1]), -(-shape[2] // tile[2]))


def make_tiling(
    means: Tensor, log_scales: Tensor, quats: Tensor, grid: VoxelGrid, tile: tuple[int, int, int] = TILE
) -> Tiling:
    """Work out the geometry of Gaussians ([N, 3], [N, 3], [N, 4]) and the tiles that they reach.

    Raises
    ------
    KernelInputError
        If the grid has 2**31 voxels or more.
    """
    nz, ny, nx = (int(n) for n in grid.shape)
    if nz * ny * nx > MAX_VOXELS:
        raise KernelInputError(f"the triton backend renders at most {MAX_VOXELS} voxels, grid.shape is {grid.shape}")
    spacing, first = (torch.tensor(tuple(v), dtype=torch.float64) for v in (grid.spacing_m, grid.first_m))
    spacing, first = spacing.to(means.device), first.to(means.device)
    whitening, deviations = whiten(log_scales.double(), quats.double())
    centres = (means.double().flip(-1) - first) / spacing
    dz, dy, dx = spacing
    w = whitening
    rows = (w[:, 2, 2] * dz, w[:, 1, 1] * dy, w[:, 1, 2] * dz, w[:, 0, 0] * dx, w[:, 0, 1] * dy, w[:, 0, 2] * dz)
    table = torch.cat([centres, torch.stack(rows, dim=-1)], dim=-1)
    gaussians, tiles = _pairs(table, CUT**0.5 * deviations.flip(-1) / spacing, (nz, ny, nx), tile)
    n_tiles = torch.Size(tiles_along((nz, ny, nx), tile)).numel()
    by_tile, order = torch.sort(tiles, stable=True)
    return Tiling(
        (nz, ny, nx), whitening, table,
        _starts(by_tile, n_tiles), gaussians[order], _starts(gaussians, len(means)), tiles,
    )  # fmt: skip


def whiten(log_scales: Tensor, quats: Tensor) -> tuple[Tensor, Tensor]:
    """W [N, 3, 3] with W^T W the inverse covariance, and the standard deviations [N, 3] along x, y, z, metres.

    Only sums of non-negative terms are divided by or put under a root: nothing cancels for any axis ratio.
    """
    axes, variances = rotation_matrices(quats), torch.exp(2 * log_scales)[:, None, :]
    covariance = (axes[:, :, None] * axes[:, None] * variances[:, None]).sum(-1)
    precision_x = (axes[:, :1] * axes / variances).sum(-1)  # its row of x
    szz, pxx = covariance[:, 2, 2], precision_x[:, 0]
    wx, wz = pxx.sqrt(), szz.rsqrt()
    wy = (szz / (variances.prod(-1)[:, 0] * pxx)).sqrt()
    zero = torch.zeros_like(wx)
    entries = (wx, precision_x[:, 1] / wx, precision_x[:, 2] / wx, zero, wy, -wy * covariance[:, 1, 2] / szz)
    whitening = torch.stack([*entries, zero, zero, wz], dim=-1).reshape(-1, 3, 3)
    return whitening, covariance.diagonal(dim1=-2, dim2=-1).sqrt()


def _pairs(
    table: Tensor, reach: Tensor, shape: tuple[int, int, int], tile: tuple[int, int, int]
) -> tuple[Tensor, Tensor]:
    """Gaussian and tile of every pair, int32, by Gaussian and then by tile."""
    size = torch.tensor(tile, device=table.device)
    last = torch.tensor(shape, device=table.device) - 1
    low = torch.minimum(torch.ceil(table[:, :3] - reach).clamp(min=0), last + 1.0).long()
    high = torch.minimum(torch.floor(table[:, :3] + reach).clamp(min=-1), last + 0.0).long()
    low_tile = low // size
    extent = torch.where((low <= high).all(-1, keepdim=True), high // size - low_tile + 1, 0)
    count = extent.prod(-1)
    ends = count.cumsum(0)
    total = int(ends[-1]) if len(ends) else 0
    gaussian = torch.repeat_interleave(count, output_size=total)
    number = torch.arange(total, device=table.device) - (ends - count)[gaussian]  # within the Gaussian's box of tiles
    _, ey, ex = extent[gaussian].unbind(-1)
    place = torch.stack([number // (ey * ex), number // ex % ey, number % ex], dim=-1) + low_tile[gaussian]
    kept = (_least_q(table[gaussian], place, tile) <= CUT).nonzero()[:, 0]
    _, n_ty, n_tx = tiles_along(shape, tile)
    tz, ty, tx = place[kept].unbind(-1)
    return gaussian[kept].int(), ((tz * n_ty + ty) * n_tx + tx).int()


def _least_q(rows: Tensor, place: Tensor, tile: tuple[int, int, int]) -> Tensor:
    """A bound that q nowhere in a tile falls below; geometry rows [P, 9] and tile coordinates (z, y, x) [P, 3]."""
    hz, hy, hx = (0.5 * (n - 1) for n in tile)
    mz, my, mx, wzz, wyy, wyz, wxx, wxy, wxz = rows.unbind(-1)
    dz, dy, dx = place[:, 0] * tile[0] + hz - mz, place[:, 1] * tile[1] + hy - my, place[:, 2] * tile[2] + hx - mx
    # e at the tile's centre, and how far each component of it can change within the tile.
    squares = (
        (wzz * dz, wzz * hz),
        (wyy * dy + wyz * dz, wyy * hy + wyz.abs() * hz),
        (wxx * dx + wxy * dy + wxz * dz, wxx * hx + wxy.abs() * hy + wxz.abs() * hz),
    )
    least = [(at.abs() * (1 - _HAIR) - change * (1 + _HAIR)).clamp(min=0).square() for at, change in squares]
    return least[0] + least[1] + least[2]


def _starts(numbers: Tensor, n: int) -> Tensor:
    """Where each of 0 ... n - 1 begins in a sorted list, and its length: [n + 1] int32."""
    wanted = torch.arange(n + 1, dtype=numbers.dtype, device=numbers.device)
    return torch.searchsorted(numbers, wanted, out_int32=True)
