"""Lagrangian extrapolation: the Gaussians move on with the flow that their own velocities make.

Each Gaussian is a piece of a field that is carried as a whole, so it is moved, sheared and stretched by the flow
around it: where neighbours part, a piece that kept its shape would tear the echo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy.spatial import cKDTree

from nowcast.errors import UsageError
from nowcast.gaussians.coherence import LEVELS_PER_ROW
from nowcast.gaussians.flow import carry
from nowcast.gaussians.shape import Doubles, covariances, scales_and_rotations
from nowcast.motion import MAX_STEP_S, MotionField
from nowcast.types import GaussianSequence, GaussianSet, GridSpec

NEIGHBOURS = 12
CELL_M = 10e3
SPREAD_M, SPREAD_S, SPREAD_POWER = 1450.0, 600.0, 0.25
"""Standard deviation of a position after the time, and the power of time with which it grows. These and the next were
chosen on hindcasts of real storms."""
PEAK_POWER = 0.83
"""Blurred with the integral kept (1), rain areas shrink as the field dims; with the peak kept (0), they swell. This
power of the first holds their area about level."""


def advect(sequence: GaussianSequence, lead_seconds: Sequence[float], *, spread: bool = True) -> list[GaussianSet]:
    """The Gaussians of the last time, extrapolated without growth or decay.

    Parameters
    ----------
    sequence
        Fitted Gaussians; only those of the last time and their velocities are used.
    lead_seconds
        Seconds after the last time, rising, none negative.
    spread
        Blur each Gaussian by the error that its position has gathered by then, as a mean over where it may be would.
        Without it, no motion changes nothing.

    Returns
    -------
    For each lead time all N Gaussians in their order. An idle one stays idle.

    Raises
    ------
    UsageError
        Lead times do not rise from 0.
    """
    leads = [float(lead) for lead in lead_seconds]
    if any(b < a for a, b in zip([0.0, *leads], leads, strict=False)):
        raise UsageError(f"lead times {leads} s do not rise from 0")
    now = sequence.at(-1)
    flow = flow_of(sequence)
    offsets = _probes(now)
    points = (now.means.numpy()[None] + offsets).astype(np.float32).reshape(-1, 3)
    covars = covariances(now.log_scales.numpy().astype(np.float64), now.quats.numpy().astype(np.float64))
    out, at = [], 0.0
    for lead in leads:
        parts = int(np.ceil((lead - at) / MAX_STEP_S - 1e-9))
        for _ in range(parts):
            points = carry(points, flow, (lead - at) / parts)
        at = lead
        out.append(_deformed(now, points.reshape(7, -1, 3), offsets, covars, lead if spread else 0.0))
    return out


def flow_of(sequence: GaussianSequence) -> MotionField:
    """The flow that the velocities of the last time make, on a coarse grid: weighted means of the nearest Gaussians.

    The weights fall smoothly to zero at the farthest neighbour counted, so that the flow has no jumps; Gaussians that
    draw more count more.
    """
    grid = _coarse(sequence.grid)
    last = sequence.at(-1)
    strength = last.intensities.abs().amax(dim=1).numpy().astype(np.float64)
    active = np.flatnonzero(last.active.numpy())
    if len(active) == 0:
        return MotionField.still(grid)
    scale = np.array([1.0, 1.0, LEVELS_PER_ROW])
    z, y, x = np.meshgrid(grid.z, grid.y, grid.x, indexing="ij")
    nodes = np.stack([x, y, z], axis=-1).reshape(-1, 3) * scale
    count = min(NEIGHBOURS, len(active))
    tree = cKDTree(last.means.numpy()[active].astype(np.float64) * scale)
    distance, index = tree.query(nodes, k=[*range(1, count + 1)])
    closeness = np.maximum(1.0 - (distance / (distance[:, -1:] * 1.001 + 1.0)) ** 2, 0.0) ** 2 + 1e-6
    weight = closeness * strength[active][index]
    moving = sequence.velocities[-1].numpy()[active, :2].astype(np.float64)
    mean = (weight[:, :, None] * moving[index]).sum(axis=1) / weight.sum(axis=1, keepdims=True)
    nz, ny, nx = grid.shape
    field = np.moveaxis(mean.reshape(nz, ny, nx, 2), 3, 1)
    return MotionField(np.ascontiguousarray(field, np.float32), grid)


def _coarse(grid: GridSpec) -> GridSpec:
    """The grid's levels, with cells of about ``CELL_M``."""
    cells = [max(1, round((n - 1) * step / CELL_M)) for n, step in zip(grid.shape[1:], grid.spacing_m[1:], strict=True)]
    dy, dx = (max((grid.shape[1 + k] - 1) * grid.spacing_m[1 + k] / cells[k], grid.spacing_m[1 + k]) for k in (0, 1))
    shape = grid.shape[0], cells[0] + 1, cells[1] + 1
    spacing = grid.spacing_m[0], dy, dx
    return replace(grid, shape=shape, spacing_m=spacing)


def _probes(gaussians: GaussianSet) -> Doubles:
    """Offsets ``[7, N, 3]`` of points whose paths tell how the flow deforms: the centre, and a pair along each axis."""
    scales = np.exp(gaussians.log_scales.numpy().astype(np.float64))
    reach = np.stack([scales[:, :2].mean(axis=1)] * 2 + [scales[:, 2]], axis=1)
    offsets = np.zeros((7, len(gaussians), 3))
    for k in range(3):
        offsets[1 + 2 * k, :, k], offsets[2 + 2 * k, :, k] = reach[:, k], -reach[:, k]
    return offsets


def _deformed(start: GaussianSet, points: np.ndarray, offsets: Doubles, covars: Doubles, lead_s: float) -> GaussianSet:
    """The Gaussians where the probes went: shape carried by the deformation, blurred for the lead time."""
    columns = [
        (points[1 + 2 * k].astype(np.float64) - points[2 + 2 * k]) / (2.0 * offsets[1 + 2 * k, :, k])[:, None]
        for k in range(3)
    ]
    deformation = np.stack(columns, axis=2)
    moved = deformation @ covars @ deformation.transpose(0, 2, 1)
    blur = SPREAD_M * (lead_s / SPREAD_S) ** SPREAD_POWER if lead_s > 0 else 0.0
    blurred = moved + np.diag([blur**2, blur**2, 0.0])
    log_scales, quats = scales_and_rotations(blurred, start.quats.numpy().astype(np.float64))
    kept = (np.linalg.det(moved) / np.linalg.det(blurred)) ** (0.5 * PEAK_POWER)
    return GaussianSet(
        torch.from_numpy(points[0].copy()),
        torch.from_numpy(log_scales.astype(np.float32)),
        torch.from_numpy(quats.astype(np.float32)),
        start.intensities * torch.from_numpy(kept.astype(np.float32))[:, None],
    )
