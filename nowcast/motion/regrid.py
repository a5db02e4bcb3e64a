"""Between voxels and coarser cells, horizontally."""

from __future__ import annotations

import numpy as np

from nowcast.types import Bool, Float32


def block_mean(values: Float32 | Bool, factor: int) -> Float32:
    """Means over ``factor`` x ``factor`` blocks of the last two axes; blocks that stick out repeat the edge."""
    values = values.astype(np.float32, copy=False)
    if factor == 1:
        return values
    ny, nx = values.shape[-2:]
    widths = [(0, 0)] * (values.ndim - 2) + [(0, -ny % factor), (0, -nx % factor)]
    padded = np.pad(values, widths, mode="edge")
    rows, columns = padded.shape[-2] // factor, padded.shape[-1] // factor
    blocks = padded.reshape(*values.shape[:-2], rows, factor, columns, factor)
    return blocks.mean((-3, -1), dtype=np.float32)


def refine(cells: Float32, shape: tuple[int, int], ratio: float) -> Float32:
    """Linear interpolation of cell means to voxels ``ratio`` times smaller, along the last two axes.

    The first cell's and the first voxel's outer edges coincide; beyond the outermost centres the value stays.
    """
    for axis, size in ((-2, shape[0]), (-1, shape[1])):
        count = cells.shape[axis]
        index = np.clip((np.arange(size) + 0.5) / ratio - 0.5, 0, count - 1)
        low = np.minimum(index.astype(np.int64), max(count - 2, 0))
        high = np.minimum(low + 1, count - 1)
        share = (index - low).astype(np.float32)
        if axis == -2:
            share = share[:, None]
        cells = cells.take(low, axis) * (1 - share) + cells.take(high, axis) * share
    return np.ascontiguousarray(cells, np.float32)
