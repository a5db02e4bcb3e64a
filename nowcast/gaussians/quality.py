"""Rendering a fit, and how well it reproduces the volumes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from nowcast import units
from nowcast.channels import rests_of
from nowcast.errors import InputError
from nowcast.types import REFLECTIVITY, Float32, GaussianSequence, GaussianSet, GridSpec, VolumeSequence
from nowcast_kernels.voxelize import voxelize

CSI_DBZ = (20, 35, 45)


def render(gaussians: GaussianSet, grid: GridSpec, channels: Sequence[str] = (REFLECTIVITY,)) -> Float32:
    """The field ``[C, Z, Y, X]`` float32 of the Gaussians in physical units, reflectivity clipped to 0..80 dBZ.

    ``channels`` tells which ones the Gaussians have; only these first ones are rendered. They say nothing about where
    a channel would be measured: away from echo they are at rest.
    """
    with torch.no_grad():
        g = gaussians.take(gaussians.active)
        field: Float32 = voxelize(g.means, g.log_scales, g.quats, g.intensities[:, : len(channels)], grid).numpy()
    field[0] = units.clip_dbz(field[0])
    for c, rest in enumerate(rests_of(channels)):
        if rest != 0:
            field[c] += rest
    return field


def reconstruction_scores(sequence: GaussianSequence, volumes: VolumeSequence) -> dict[str, Any]:
    """How well the Gaussians reproduce the reflectivity of the volumes they were fitted to.

    Returns
    -------
    dict
        ``psnr_db``: for each volume, the peak signal-to-noise ratio in dB over the observed voxels, dBZ/70 as the
        scale (a voxel without echo is 0 dBZ); infinite for a perfect and NaN for an unobserved volume. ``mae_dbz``: for
        each volume the mean absolute error over the observed voxels. ``csi``: by threshold in dBZ and for each volume
        the critical success index hits / (hits + misses + false alarms); NaN where neither holds the threshold.
        ``rmse``: for each other channel and volume the root of the mean squared error in the channel's unit over the
        voxels where it has a value; NaN where it has none. ``bytes``: of the Gaussians' parameters as float32.
        ``dense_bytes``: of the volumes as float32.

    Raises
    ------
    InputError
        The times or grids differ.
    """
    if not np.array_equal(sequence.times, volumes.times) or not sequence.grid.matches(volumes.grid):
        raise InputError("the Gaussians were fitted to other times or another grid than these volumes")
    psnr, mae = [], []
    others = volumes.with_channels(sequence.channels)
    rmse: dict[str, list[float]] = {name: [] for name in sequence.channels[1:]}
    csi: dict[str, list[float]] = {str(threshold): [] for threshold in CSI_DBZ}
    for t in range(len(volumes)):
        seen = volumes.mask[t]
        observed = volumes.reflectivity[t][seen]
        fields = render(sequence.at(t), volumes.grid, sequence.channels)
        drawn = fields[0][seen]
        for c, name in enumerate(sequence.channels[1:], 1):
            rmse[name].append(_rmse(fields[c], others.values[t, c]))
        error = drawn - observed
        psnr.append(peak_signal_to_noise(error))
        mae.append(float(np.abs(error).mean(dtype=np.float64)) if error.size else math.nan)
        for threshold in CSI_DBZ:
            f, o = drawn >= threshold, observed >= threshold
            either = int((f | o).sum())
            csi[str(threshold)].append(int((f & o).sum()) / either if either else math.nan)
    parameters = (sequence.means, sequence.log_scales, sequence.quats, sequence.intensities)
    return {
        "psnr_db": psnr,
        "mae_dbz": mae,
        "csi": csi,
        **({"rmse": rmse} if rmse else {}),
        "bytes": 4 * sum(p.numel() for p in parameters),
        "dense_bytes": 4 * volumes.values.size,
    }


def _rmse(drawn: Float32, observed: Float32) -> float:
    seen = np.isfinite(observed)
    return math.sqrt(np.square(drawn[seen] - observed[seen], dtype=np.float64).mean()) if seen.any() else math.nan


def peak_signal_to_noise(error_dbz: Float32) -> float:
    """``-10 log10(mean(e^2))`` with e in model scale, dB; infinite for no error, NaN for no voxel."""
    if error_dbz.size == 0:
        return math.nan
    mean_square = float(np.square(units.dbz_to_model(error_dbz), dtype=np.float64).mean())
    return -10.0 * math.log10(mean_square) if mean_square > 0 else math.inf
