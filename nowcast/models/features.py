"""What the model knows of each Gaussian: numbers in physical units, without normalisation.

Nothing here depends on the horizontal position of the echo, on the order of the Gaussians or on the grid. Heights
are absolute, because 5 km is near the freezing level on every radar. Vectors are turned into the model's own
horizontal axes first; training turns and mirrors those axes at random, a forecast leaves them as they are.

Averages over neighbours are taken over active Gaussians: idle ones draw nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn.functional import embedding_bag

from nowcast.types import GaussianSet
from nowcast_kernels.voxelize import CUT, rotation_matrices

NEIGHBOURS = (16, 64)
"""How many of the nearest active Gaussians are averaged over."""

HISTORY = 3
"""Frames that the changes are taken over: the newest and the two before it."""

_VECTORS = 3  # of velocity


@dataclass(frozen=True)
class Frame:
    """The observed Gaussians at one time as the model meets them.

    Attributes
    ----------
    gaussians
        N Gaussians in physical units.
    velocities
        ``[N, 3]`` m/s as (x, y, z).
    time_s
        Seconds since the newest frame; earlier ones are negative.
    base_m
        Altitude of the grid's z = 0 above mean sea level, metres.
    """

    gaussians: GaussianSet
    velocities: Tensor
    time_s: float
    base_m: float = 0.0


@dataclass(frozen=True)
class Snapshot:
    """A frame's descriptors.

    Attributes
    ----------
    state
        ``[N, P]``, see :func:`state_names`.
    means_km
        ``[N, 3]`` centres in the model's axes, km.
    neighbours
        ``[N, K]`` indices of the nearest active Gaussians, nearest first; K is 0 where none is active.
    time_s
        As in :class:`Frame`.
    """

    state: Tensor
    means_km: Tensor
    neighbours: Tensor
    time_s: float


def state_names(channels: int) -> list[str]:
    """Names of the columns of ``Snapshot.state``; those that change with the storm come first."""
    per_channel = [f"{what}_{c}_10dbz" for what in ("intensity", "field") for c in range(channels)]
    moving = ["log_width_km", "log_depth_km", "u_10ms", "v_10ms", "w_10ms"]
    still = ["height_km", "stretch_cos", "stretch_sin", "lean_x", "lean_y", "log_spacing_km", "active"]
    return [*per_channel, *moving, *still]


def feature_count(channels: int) -> int:
    """Number of columns :func:`features` returns."""
    changing = _changing(channels)
    own = len(state_names(channels)) + (HISTORY - 1) * (changing + _VECTORS)
    return own * (1 + len(NEIGHBOURS))


def axes_3d(axes: Tensor) -> Tensor:
    """The model's horizontal axes ``[2, 2]`` with the vertical added, ``[3, 3]``."""
    full = torch.eye(3, dtype=axes.dtype, device=axes.device)
    full[:2, :2] = axes
    return full


@torch.no_grad()
def describe(frame: Frame, axes: Tensor) -> Snapshot:
    """Descriptors of a frame in the model's axes (``[2, 2]`` orthogonal; the identity keeps east and north)."""
    turn = axes_3d(axes)
    g = frame.gaussians
    means_km = g.means @ turn.T / 1e3
    active = g.active
    neighbours, distances = nearest_active(means_km, active, max(NEIGHBOURS))
    rotation, scales_km = turn @ rotation_matrices(g.quats), torch.exp(g.log_scales) / 1e3
    whiten = rotation.mT / scales_km[:, :, None]
    width, depth, *orientation = _shape((rotation * scales_km[:, None, :].square()) @ rotation.mT)
    columns = [
        g.intensities / 10,
        local_field(means_km, whiten, g.intensities, neighbours) / 10,
        width,
        depth,
        frame.velocities @ turn.T / 10,
        means_km[:, 2:] + frame.base_m / 1e3,
        *orientation,
        torch.log(distances[:, -1:] + 0.1),
        active[:, None].to(means_km.dtype),
    ]
    return Snapshot(torch.cat(columns, dim=-1), means_km, neighbours, frame.time_s)


def _shape(covars: Tensor) -> tuple[Tensor, ...]:
    """Size, stretch and lean ``[N, 1]`` each of covariances ``[N, 3, 3]`` km^2: width, depth, cos, sin, x, y."""
    sxx, syy, szz = (covars[:, i, i, None] for i in range(3))
    sxy, sxz, syz = (covars[:, i, j, None] for i, j in ((0, 1), (0, 2), (1, 2)))
    horizontal = sxx + syy
    width = 0.25 * torch.log((sxx * syy - sxy**2).clamp_min(1e-12))
    depth = 0.5 * torch.log(szz)
    lean = torch.sqrt(szz * horizontal)
    return width, depth, (sxx - syy) / horizontal, 2 * sxy / horizontal, sxz / lean, syz / lean


def nearest_active(means_km: Tensor, active: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Indices and distances (km) ``[N, K]`` of the nearest active Gaussians, itself included, nearest first.

    K is ``min(count, active)``; where none is active, 0 for the indices and one column of zeros for the distances.
    """
    (where,) = torch.nonzero(active, as_tuple=True)
    k = min(count, len(where))
    n, device = len(means_km), means_km.device
    if k == 0:
        return torch.zeros(n, 0, dtype=torch.long, device=device), torch.zeros(n, 1, device=device)
    points = means_km.cpu().numpy()
    distances, found = cKDTree(points[where.cpu().numpy()]).query(points, k=k)
    distances = torch.from_numpy(distances.reshape(n, k)).to(means_km)
    return where[torch.from_numpy(found.reshape(n, k)).to(device)], distances


def local_field(means_km: Tensor, whiten: Tensor, intensities: Tensor, neighbours: Tensor) -> Tensor:
    """The field ``[N, C]`` at every Gaussian's centre, summed over its neighbours.

    Unlike the amplitudes it does not depend on how the fit shared an echo out among Gaussians. Row k of
    ``whiten [N, 3, 3]`` is the k-th axis divided by its standard deviation, 1/km.
    """
    offsets = means_km[:, None] - means_km[neighbours]
    q = (whiten[neighbours] @ offsets[..., None]).squeeze(-1).square().sum(-1)
    weights = torch.where(q <= CUT, torch.exp(-0.5 * q), 0.0)
    return (weights[..., None] * intensities[neighbours]).sum(1)


@torch.no_grad()
def features(history: Sequence[Snapshot]) -> Tensor:
    """Model input ``[N, F]`` from the newest snapshots, oldest first; the last one is the present.

    Columns: the state; its changes per 10 minutes since each of the two frames before, and by how much the Gaussian
    moved faster than its velocity said (10 m/s); the averages of all these over the nearest 16 and 64 active
    Gaussians. Changes that no frame tells of are 0.
    """
    now = history[-1]
    channels = _channels(now.state.shape[1])
    own = [now.state]
    for back in range(1, HISTORY):
        own.append(_changes(now, history[-1 - back] if back < len(history) else None, channels))
    columns = torch.cat(own, dim=-1)
    averages = [_neighbour_mean(columns, now.neighbours[:, :k]) for k in NEIGHBOURS]
    return torch.cat([columns, *averages], dim=-1)


def _changes(now: Snapshot, before: Snapshot | None, channels: int) -> Tensor:
    moving = _changing(channels)
    if before is None:
        return now.state.new_zeros(len(now.state), moving + _VECTORS)
    minutes = (now.time_s - before.time_s) / 60
    change = (now.state[:, :moving] - before.state[:, :moving]) * (10 / minutes)
    # km per minute to 10 m/s
    moved = (now.means_km - before.means_km) * (100 / 60 / minutes)
    slip = moved - now.state[:, moving - _VECTORS : moving]
    return torch.cat([change, slip], dim=-1)


def _neighbour_mean(columns: Tensor, neighbours: Tensor) -> Tensor:
    return embedding_bag(neighbours, columns, mode="mean") if neighbours.shape[1] else torch.zeros_like(columns)


def _changing(channels: int) -> int:
    """How many of the first state columns change with the storm."""
    return 2 * channels + 2 + _VECTORS


def _channels(columns: int) -> int:
    return (columns - len(state_names(0))) // 2
