"""Between voxels and coarser cells, horizontally."""

from __future__ import annotations

import numpy as np

from nowcast.types import Bool, Float32
from nowcast_kernels.jit import kernel
from nowcast_kernels.parallel import run_parallel


def block_mean(values: Float32 | Bool, factor: int) -> Float32:
    """Means over ``factor`` x ``factor`` blocks of the last two axes; blocks that stick out repeat the edge."""
    if factor == 1:
        return values.astype(np.float32, copy=False)
    *before, ny, nx = values.shape
    images = np.ascontiguousarray(values).reshape(-1, ny, nx)
    means = np.empty((len(images), -(-ny // factor), -(-nx // factor)), np.float32)
    run_parallel(lambda k: _block_mean(images[k], factor, means[k]), len(images))
    return means.reshape(*before, *means.shape[1:])


@kernel
def _block_mean(image, factor, means):  # type: ignore[no-untyped-def]
    """Sums row by row and eight at a time, in numpy's order: the means are numpy's, to the bit."""
    ny, nx = image.shape
    one, s = np.float32(1.0), np.empty(8, np.float32)
    whole = factor - factor % 8
    for i in range(means.shape[0]):
        for j in range(means.shape[1]):
            total = np.float32(0.0)
            for y in range(i * factor, (i + 1) * factor):
                line = image[min(y, ny - 1)]
                s[:] = 0.0
                for k in range(whole):
                    s[k % 8] += one * line[min(j * factor + k, nx - 1)]
                row = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]))
                for k in range(whole, factor):
                    row += one * line[min(j * factor + k, nx - 1)]
                total += row
            means[i, j] = total / np.float32(factor * factor)


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
