"""Lagrangian extrapolation: the newest volume moves on as it did, without growth or decay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nowcast import units
from nowcast.motion import MotionConfig, advect_semilagrangian, estimate_motion, estimate_motion_2d
from nowcast.types import Float32, VolumeSequence


def extrapolation(
    volumes: VolumeSequence, lead_times: NDArray[np.timedelta64], motion: MotionConfig | None = None
) -> Float32:
    """Extrapolate with one horizontal motion for all levels, that of the column maximum.

    Parameters
    ----------
    volumes
        The newest few volumes; the motion comes from all of them. A single one stays where it is.
    lead_times
        ``[L]`` timedelta64, rising.
    motion
        Settings of the estimation of motion.

    Returns
    -------
    ``[L, Z, Y, X]`` float32 dBZ; 0 where echo would have to come from outside the grid or from where the newest
    volume was not observed.
    """
    filled = volumes.filled()
    field = estimate_motion_2d(filled, volumes.times, volumes.grid, mask=volumes.mask, config=motion)
    return advect_semilagrangian(filled[-1], field, units.seconds(lead_times).tolist())


def extrapolation_levels(
    volumes: VolumeSequence, lead_times: NDArray[np.timedelta64], motion: MotionConfig | None = None
) -> Float32:
    """Extrapolate each level with a motion of its own; otherwise as :func:`extrapolation`."""
    filled = volumes.filled()
    field = estimate_motion(filled, volumes.times, volumes.grid, mask=volumes.mask, config=motion)
    return advect_semilagrangian(filled[-1], field, units.seconds(lead_times).tolist())
