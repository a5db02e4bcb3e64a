"""Orders along a curve that keeps neighbours in space near each other in the list."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

CELL_M = (500.0, 500.0, 250.0)
"""Size of the cells that are numbered, metres in x, y, z."""
_BITS = 21  # per axis: three of them fill 63 bits


def morton_order(means_m: Tensor) -> Tensor:
    """``[N]`` int64 indices that sort Gaussians along a Z-order curve (Morton 1966).

    Parameters
    ----------
    means_m
        ``[N, 3]`` centres in metres (x, y, z). Cells have a fixed size and place, so the order does not depend on
        the grid, nor two Gaussians' order on the others. Ties keep their order.
    """
    return _sorted(_cells(means_m)[::-1], means_m)


def hilbert_order(means_m: Tensor) -> Tensor:
    """Like :func:`morton_order` along a Hilbert curve, whose successive cells always touch.

    Skilling, "Programming the Hilbert curve" (2004), doi:10.1063/1.1751381.
    """
    x = _cells(means_m)
    bits = [1 << bit for bit in range(_BITS - 1, 0, -1)]
    for bit in bits:
        low = bit - 1
        for axis in x:
            # Where the bit is set the first axis is reflected, elsewhere it is exchanged with this one.
            swap = np.where(axis & bit, 0, (x[0] ^ axis) & low)
            x[0] ^= np.where(axis & bit, low, swap)
            if axis is not x[0]:
                axis ^= swap
    x[1] ^= x[0]
    x[2] ^= x[1]
    flip = np.bitwise_xor.reduce([np.where(x[2] & bit, bit - 1, 0) for bit in bits])
    return _sorted([axis ^ flip for axis in x], means_m)


def _cells(means_m: Tensor) -> list[np.ndarray]:
    """The number of each centre's cell along x, y and z, from 0."""
    cells = torch.floor(means_m.detach().cpu().double() / torch.tensor(CELL_M, dtype=torch.float64)).numpy()
    half = 1 << (_BITS - 1)
    return list((np.clip(cells, -half, half - 1).astype(np.int64) + half).T.copy())


def _sorted(axes: list[np.ndarray], means_m: Tensor) -> Tensor:
    """Indices that sort by the interleaved bits, those of the first axis counting most."""
    code = sum((_spread(axis) << (2 - place) for place, axis in enumerate(axes)), np.zeros_like(axes[0]))
    return torch.from_numpy(np.argsort(code, kind="stable")).to(means_m.device)


def _spread(value: np.ndarray) -> np.ndarray:
    """Each of the lowest 21 bits moved to every third place."""
    for shift, mask in (
        (32, 0x1F00000000FFFF),
        (16, 0x1F0000FF0000FF),
        (8, 0x100F00F00F00F00F),
        (4, 0x10C30C30C30C30C3),
        (2, 0x1249249249249249),
    ):
        value = (value | (value << shift)) & mask
    return value
