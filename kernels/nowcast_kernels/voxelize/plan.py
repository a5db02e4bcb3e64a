"""Who is rendered where, and in which order.

Gaussians are sorted in space, so that neighbours in the list touch the same part of the field, and the grid is cut into
slabs of a few y rows, each with the list of the Gaussians that reach it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nowcast_kernels.errors import KernelInputError
from nowcast_kernels.jit import kernel
from nowcast_kernels.parallel import run_parallel
from nowcast_kernels.voxelize.geometry import MY, MZ, N_COLUMNS, REACH_Y, REACH_Z, prepare
from nowcast_kernels.voxelize.grid import VoxelGrid

SLAB_ROWS = 32  # fewer give more threads work, more cut fewer Gaussians in two
GAUSSIANS_PER_PART = 2048  # that a thread prepares at a time
SORT_CELL = 16  # voxels of the cells (y, x) by which Gaussians are sorted
MAX_VOXELS = 2**31 - 1  # rows are listed with 32-bit places

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Plan:
    """What the passes over the same Gaussians share.

    Attributes
    ----------
    shape : tuple of int
        (nz, ny, nx) of the grid.
    spacing_m : tuple of float
        (dz, dy, dx) of the grid.
    order : array
        [N] int32, number of the Gaussian that is at each place of the sorted list.
    table : array
        [N, 11] float64, geometry of the sorted Gaussians; see `geometry.prepare`.
    slab_first, slab_items : array
        Slab s is reached by the sorted Gaussians ``slab_items[slab_first[s] : slab_first[s + 1]]``, int32.
    """

    shape: tuple[int, int, int]
    spacing_m: tuple[float, float, float]
    order: Ints
    table: Doubles
    slab_first: Ints
    slab_items: Ints


def make_plan(means: Floats, log_scales: Floats, quats: Floats, grid: VoxelGrid) -> Plan:
    """Sort the Gaussians and work out their geometry on this grid.

    Raises
    ------
    KernelInputError
        If the grid has 2**31 voxels or more.
    """
    nz, ny, nx = (int(n) for n in grid.shape)
    if nz * ny * nx > MAX_VOXELS:
        raise KernelInputError(f"the numba backend renders at most {MAX_VOXELS} voxels, grid.shape is {grid.shape}")
    z0, y0, x0 = (float(c) for c in grid.first_m)
    dz, dy, dx = (float(d) for d in grid.spacing_m)
    order = _spatial_order(means, (y0, x0), (dy, dx), (ny, nx))
    table = np.empty((len(order), N_COLUMNS))

    def work(part: int) -> None:
        rows = slice(part * GAUSSIANS_PER_PART, (part + 1) * GAUSSIANS_PER_PART)
        prepare(means, log_scales, quats, order[rows], (z0, y0, x0), (dz, dy, dx), table[rows])

    run_parallel(work, -(-len(order) // GAUSSIANS_PER_PART))
    return Plan((nz, ny, nx), (dz, dy, dx), order, table, *_slab_lists(table, nz, ny))


@kernel
def gather(source, order):  # type: ignore[no-untyped-def]
    """Rows of an array [N, k] in the given order."""
    rows = np.empty((len(order), source.shape[1]), dtype=source.dtype)
    for k in range(len(order)):
        for column in range(source.shape[1]):
            rows[k, column] = source[order[k], column]
    return rows


@kernel
def _spatial_order(means, first_m, spacing_m, shape):  # type: ignore[no-untyped-def]
    """Gaussians sorted by the cell of their centre, y before x (a counting sort)."""
    n = len(means)
    n_columns = (shape[1] - 1) // SORT_CELL + 1
    cells = np.empty(n, dtype=np.int32)
    starts = np.zeros(((shape[0] - 1) // SORT_CELL + 1) * n_columns + 1, dtype=np.int32)
    for i in range(n):
        y = min(max((means[i, 1] - first_m[0]) / spacing_m[0], 0.0), shape[0] - 1.0)
        x = min(max((means[i, 0] - first_m[1]) / spacing_m[1], 0.0), shape[1] - 1.0)
        cells[i] = int(y) // SORT_CELL * n_columns + int(x) // SORT_CELL
        starts[cells[i] + 1] += 1
    starts = np.cumsum(starts)
    order = np.empty(n, dtype=np.int32)
    for i in range(n):
        order[starts[cells[i]]] = i
        starts[cells[i]] += 1
    return order


@kernel
def _slab_lists(table, nz, ny):  # type: ignore[no-untyped-def]
    """Lists of the sorted Gaussians that reach each slab, end to end, and where each begins."""
    n = len(table)
    slabs = np.empty((n, 2), dtype=np.int32)  # first slab and one beyond the last
    counts = np.zeros((ny - 1) // SLAB_ROWS + 2, dtype=np.int32)
    for i in range(n):
        t = table[i]
        low = max(np.ceil(t[MY] - t[REACH_Y]), 0.0)
        high = min(np.floor(t[MY] + t[REACH_Y]), ny - 1.0)
        off_z = t[MZ] + t[REACH_Z] < 0.0 or t[MZ] - t[REACH_Z] > nz - 1.0
        if low > high or off_z:
            slabs[i] = 0
        else:
            slabs[i, 0], slabs[i, 1] = int(low) // SLAB_ROWS, int(high) // SLAB_ROWS + 1
        for slab in range(slabs[i, 0], slabs[i, 1]):
            counts[slab + 1] += 1
    first = np.cumsum(counts).astype(np.int32)
    fill = first.copy()
    items = np.empty(first[-1], dtype=np.int32)
    for i in range(n):
        for slab in range(slabs[i, 0], slabs[i, 1]):
            items[fill[slab]] = i
            fill[slab] += 1
    return first, items
