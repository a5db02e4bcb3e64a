"""Semi-Lagrangian advection of reflectivity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nowcast.errors import InputError
from nowcast.motion.field import MotionField
from nowcast.motion.kernels import advect_levels
from nowcast.types import Float32

MAX_STEP_S = 600.0
"""Longest piece of a trajectory that is integrated, or of a roll-out that is forecast, at once."""


def advect_semilagrangian(field: Float32, motion: MotionField, lead_seconds: Sequence[float]) -> Float32:
    """Carry a field along its motion, which stays as it is, without growth or decay.

    Every voxel follows its trajectory backward (iterated implicit midpoint, Staniforth and Cote 1991,
    doi:10.1175/1520-0493(1991)119<2206:SLISFA>2.0.CO;2) and takes the value found there by bilinear
    interpolation of the original field, so that smoothing does not pile up from lead to lead.

    Parameters
    ----------
    field
        ``[Z, Y, X]`` float32, any unit, finite: the caller decides what missing voxels hold (0 dBZ, as a rule).
    motion
        On the same grid.
    lead_seconds
        Rising, none negative.

    Returns
    -------
    ``[L, Z, Y, X]`` float32; 0 where the trajectory comes from outside the grid.

    Raises
    ------
    InputError
        Shapes differ, or leads do not rise.
    """
    leads = np.asarray(lead_seconds, np.float64)
    if field.shape != motion.grid.shape:
        raise InputError(f"field to advect has shape {field.shape}, its motion {motion.grid.shape}")
    if leads.ndim != 1 or (np.diff(leads, prepend=0.0) < 0).any():
        raise InputError(f"lead times {list(lead_seconds)} s do not rise from 0")
    spacing = np.asarray(motion.grid.spacing_m[1:], np.float32)
    source = np.ascontiguousarray(field, np.float32)
    return advect_levels(source, motion.velocities, leads.astype(np.float32), spacing, MAX_STEP_S)
