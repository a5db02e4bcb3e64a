"""The one place where physical units are converted.

Callers see physical units only: dBZ, metres, seconds, minutes. Reflectivity below ``ECHO_FLOOR_DBZ`` is no echo,
and no echo is stored as ``ECHO_FLOOR_DBZ``; reflectivity above ``MAX_DBZ`` is clipped. *Not observed* is something
else: it is told by a mask and stored as NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ECHO_FLOOR_DBZ = 0.0
MAX_DBZ = 80.0
MODEL_SCALE_DBZ = 70.0
"""Reflectivity that is 1 in model units; PSNR is taken on this scale too."""

Array = NDArray[np.floating]


def clip_dbz(dbz: Array) -> Array:
    """Reflectivity limited to [``ECHO_FLOOR_DBZ``, ``MAX_DBZ``]; NaN stays NaN."""
    return np.clip(dbz, np.float32(ECHO_FLOOR_DBZ), np.float32(MAX_DBZ))


def dbz_to_model(dbz: Array) -> Array:
    """Reflectivity in dBZ to the unitless model scale: 0 dBZ is 0, ``MODEL_SCALE_DBZ`` is 1."""
    return dbz / np.float32(MODEL_SCALE_DBZ)


def model_to_dbz(value: Array) -> Array:
    """Inverse of :func:`dbz_to_model`."""
    return value * np.float32(MODEL_SCALE_DBZ)


def dbz_to_linear(dbz: Array) -> Array:
    """Reflectivity in dBZ to the linear reflectivity factor in mm^6 m^-3."""
    return 10.0 ** (dbz / 10.0)


def linear_to_dbz(z: Array) -> Array:
    """Linear reflectivity factor in mm^6 m^-3 to dBZ; zero and below become minus infinity."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 10.0 * np.log10(np.maximum(z, 0.0))


def seconds(delta: np.timedelta64) -> float:
    """A numpy time difference in seconds."""
    return float(delta / np.timedelta64(1, "s"))


def minutes(delta: np.timedelta64) -> float:
    """A numpy time difference in minutes."""
    return seconds(delta) / 60.0
