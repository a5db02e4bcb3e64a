"""The one place where physical units are converted.

Callers see physical units only: dBZ, metres, seconds, minutes. Reflectivity below ``ECHO_FLOOR_DBZ`` is no echo,
and no echo is stored as ``ECHO_FLOOR_DBZ``; reflectivity above ``MAX_DBZ`` is clipped. *Not observed* is something
else: it is told by a mask and stored as NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

ECHO_FLOOR_DBZ = 0.0
MAX_DBZ = 80.0
MODEL_SCALE_DBZ = 70.0
"""Reflectivity that is 1 in model units; PSNR is taken on this scale too."""

Array = NDArray[np.floating]
Numbers = TypeVar("Numbers", float, NDArray[np.float32], NDArray[np.float64], Array)


def clip_dbz(dbz: Array) -> Array:
    """Reflectivity limited to [``ECHO_FLOOR_DBZ``, ``MAX_DBZ``]; NaN stays NaN."""
    return np.clip(dbz, np.float32(ECHO_FLOOR_DBZ), np.float32(MAX_DBZ))


def dbz_to_model(dbz: Numbers) -> Numbers:
    """Reflectivity in dBZ to the unitless model scale: 0 dBZ is 0, ``MODEL_SCALE_DBZ`` is 1."""
    return dbz / MODEL_SCALE_DBZ


def model_to_dbz(value: Numbers) -> Numbers:
    """Inverse of :func:`dbz_to_model`."""
    return value * MODEL_SCALE_DBZ


def dbz_to_linear(dbz: Numbers) -> Numbers:
    """Reflectivity in dBZ to the linear reflectivity factor in mm^6 m^-3."""
    return 10.0 ** (dbz / 10.0)


def linear_to_dbz(z: Array) -> Array:
    """Linear reflectivity factor in mm^6 m^-3 to dBZ; zero and below become minus infinity."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 10.0 * np.log10(np.maximum(z, 0.0))


@overload
def seconds(delta: np.timedelta64) -> float: ...
@overload
def seconds(delta: NDArray[np.timedelta64]) -> NDArray[np.float64]: ...
def seconds(delta: np.timedelta64 | NDArray[np.timedelta64]) -> float | NDArray[np.float64]:
    """A numpy time difference, or an array of them, in seconds."""
    found = delta / np.timedelta64(1, "s")
    return np.asarray(found, np.float64) if isinstance(delta, np.ndarray) else float(found)


@overload
def minutes(delta: np.timedelta64) -> float: ...
@overload
def minutes(delta: NDArray[np.timedelta64]) -> NDArray[np.float64]: ...
def minutes(delta: np.timedelta64 | NDArray[np.timedelta64]) -> float | NDArray[np.float64]:
    """A numpy time difference, or an array of them, in minutes."""
    return seconds(delta) / 60.0


def iso_utc(time: np.datetime64, unit: Literal["m", "s"] = "s") -> str:
    """A numpy time as ISO 8601 UTC, to the second or the minute: ``2020-01-01T00:30:00Z``."""
    return f"{np.datetime_as_string(time, unit=unit)}Z"


def span_text(times: Sequence[np.datetime64] | NDArray[np.datetime64]) -> str:
    """The first of rising times and, where there are several, the last: ``2024-01-15T04:00:00Z to ...``."""
    return " to ".join(iso_utc(t) for t in (times[0], times[-1])[: len(times)])


def compact_utc(time: np.datetime64, unit: Literal["m", "s"] = "s") -> str:
    """A numpy time for names of files, whose systems may know no colon: ``20200101T003000``."""
    return np.datetime_as_string(time, unit=unit).replace("-", "").replace(":", "")
