"""Morton order: along a curve that keeps neighbours in space near each other in the list."""

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
    cells = torch.floor(means_m.detach().cpu().double() / torch.tensor(CELL_M, dtype=torch.float64)).numpy()
    half = 1 << (_BITS - 1)
    whole = np.clip(cells, -half, half - 1).astype(np.int64) + half
    code = sum((_spread(whole[:, axis]) << axis for axis in range(3)), np.zeros(len(whole), np.int64))
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
