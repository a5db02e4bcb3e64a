"""What a flow and a blur do to the shapes of Gaussians."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nowcast_kernels.voxelize import rotation_matrices

Doubles = NDArray[np.float64]

_ORDERS = np.array(list(itertools.permutations(range(3))))


def quaternion_product(p: Tensor, q: Tensor) -> Tensor:
    """Hamilton product of quaternions ``[..., 4]`` (w, x, y, z): the rotation q, then the rotation p."""
    pw, px, py, pz = p.unbind(-1)
    qw, qx, qy, qz = q.unbind(-1)
    parts = (
        pw * qw - px * qx - py * qy - pz * qz,
        pw * qx + px * qw + py * qz - pz * qy,
        pw * qy - px * qz + py * qw + pz * qx,
        pw * qz + px * qy - py * qx + pz * qw,
    )
    return torch.stack(parts, dim=-1)


def rotations(quats: Doubles) -> Doubles:
    """Rotation matrices ``[N, 3, 3]`` of quaternions ``[N, 4]`` (w, x, y, z) of any length but zero."""
    matrices: Doubles = rotation_matrices(torch.tensor(quats)).numpy()
    return matrices


def quaternions(matrices: Doubles) -> Doubles:
    """Quaternions ``[N, 4]`` (w, x, y, z) of rotation matrices ``[N, 3, 3]``; w is not negative."""
    diagonal = np.einsum("nii->ni", matrices)
    signs = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    squares = np.maximum(1.0 + diagonal @ signs.T, 0.0)  # 4 w^2, 4 x^2, 4 y^2, 4 z^2
    r = matrices
    wx, wy, wz = r[:, 2, 1] - r[:, 1, 2], r[:, 0, 2] - r[:, 2, 0], r[:, 1, 0] - r[:, 0, 1]
    xy, xz, yz = r[:, 0, 1] + r[:, 1, 0], r[:, 0, 2] + r[:, 2, 0], r[:, 1, 2] + r[:, 2, 1]
    products = np.stack(
        [
            np.stack([squares[:, 0], wx, wy, wz], axis=1),
            np.stack([wx, squares[:, 1], xy, xz], axis=1),
            np.stack([wy, xy, squares[:, 2], yz], axis=1),
            np.stack([wz, xz, yz, squares[:, 3]], axis=1),
        ],
        axis=1,
    )
    best = products[np.arange(len(r)), squares.argmax(axis=1)]  # the row with the largest pivot keeps its digits
    best = best / np.linalg.norm(best, axis=1, keepdims=True)
    return np.where(best[:, :1] < 0, -best, best)


def covariances(log_scales: Doubles, quats: Doubles) -> Doubles:
    """Covariance matrices ``[N, 3, 3]`` in m^2."""
    axes = rotations(quats) * np.exp(log_scales)[:, None, :]
    return axes @ axes.transpose(0, 2, 1)


def scales_and_rotations(covars: Doubles, like: Doubles) -> tuple[Doubles, Doubles]:
    """Log-scales ``[N, 3]`` and quaternions ``[N, 4]`` of covariances, each axis as near as can be to that of ``like``.

    ``like [N, 4]`` are the quaternions before the change: an axis keeps its number as a Gaussian deforms.
    """
    variances, axes = np.linalg.eigh(covars)
    before = rotations(like)
    along = np.abs(axes.transpose(0, 2, 1) @ before)  # [N, new axis, old axis]
    fit = sum(along[:, _ORDERS[:, k], k] for k in range(3))
    order = _ORDERS[np.argmax(fit, axis=1)]
    rows = np.arange(len(covars))[:, None]
    variances = variances[rows, order]
    axes = axes.transpose(0, 2, 1)[rows, order].transpose(0, 2, 1)
    axes = axes * np.where(np.einsum("nik,nik->nk", axes, before) < 0, -1.0, 1.0)[:, None, :]
    flipped = np.linalg.det(axes) < 0
    weakest = np.argmin(np.abs(np.einsum("nik,nik->nk", axes, before)), axis=1)
    axes[flipped, :, weakest[flipped]] *= -1.0
    quats = quaternions(axes)
    opposite = (quats * like).sum(axis=1) < 0
    quats[opposite] *= -1.0
    return 0.5 * np.log(np.maximum(variances, 1.0)), quats
