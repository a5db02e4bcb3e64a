"""Products of a column of reflectivity: a level of it, its maximum, its echo top.

All take ``dbz [..., Z, Y, X]`` in dBZ, NaN where not observed and 0 where observed without echo, with the heights
``z [Z]`` of its levels in metres, evenly spaced and rising, and give ``[..., Y, X]`` float32.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nowcast.errors import UsageError
from nowcast.types import Float32
from nowcast.units import ECHO_FLOOR_DBZ

Heights = NDArray[np.float64]
LEAST = 1e-6
"""Of a column of which nothing was observed nothing is said, however little is asked for."""


def cappi(dbz: Float32, z: Heights, height_m: float) -> Float32:
    """Reflectivity at a constant altitude (CAPPI), dBZ, linearly interpolated in dBZ between the levels around it.

    Missing where a level that takes part was not observed. Raises UsageError for a height outside of the levels.
    """
    if not z[0] <= height_m <= z[-1]:
        raise UsageError(f"no CAPPI at {height_m:g} m: the levels go from {z[0]:g} to {z[-1]:g} m")
    above = int(np.searchsorted(z, height_m))
    if z[above] == height_m:
        return dbz[..., above, :, :].astype(np.float32)
    share = np.float32((height_m - z[above - 1]) / (z[above] - z[above - 1]))
    return (1 - share) * dbz[..., above - 1, :, :] + share * dbz[..., above, :, :]


def low_level_reflectivity(dbz: Float32, z: Heights, height_m: float = 1000.0, most_m: float = 3000.0) -> Float32:
    """Reflectivity near the ground, dBZ: the CAPPI at ``height_m``, where it was not observed the lowest level above.

    Far from a radar its lowest beam is higher than that (a pseudo-CAPPI). Levels above ``most_m`` are not taken:
    missing where the column was observed at none of these. A grid that begins above ``height_m`` gives its lowest
    levels.
    """
    inside = z[0] <= height_m <= z[-1]
    found = cappi(dbz, z, height_m) if inside else np.full_like(dbz[..., 0, :, :], np.nan, dtype=np.float32)
    for level in np.flatnonzero((z > height_m) & (z <= most_m)):
        found = np.where(np.isnan(found), dbz[..., level, :, :], found)
    return found


def column_maximum(dbz: Float32) -> Float32:
    """Maximum of the column (composite reflectivity), dBZ, over what was observed of it; missing where nothing was."""
    return np.fmax.reduce(dbz, axis=-3)


def height_of_maximum(dbz: Float32, z: Heights) -> Float32:
    """Height of the column's maximum, m, the lowest where several levels have it; 0 where there is no echo.

    Missing where nothing of the column was observed.
    """
    top = column_maximum(dbz)
    height = z[np.argmax(np.nan_to_num(dbz, nan=-1.0), axis=-3)].astype(np.float32)
    height = np.where(top > ECHO_FLOOR_DBZ, height, np.float32(0.0))
    return np.where(np.isnan(top), np.float32(np.nan), height)


def echo_top(dbz: Float32, z: Heights, threshold_dbz: float, least_observed: float = 0.5) -> Float32:
    """Echo top: the greatest height with ``threshold_dbz`` or more, m; 0 where no echo reaches it.

    Between the highest level at or above the threshold, ``b``, and the next, ``a``, it is interpolated,
    ``z_b + (Z_b - Z_T) / (Z_b - Z_a) * (z_a - z_b)`` in dBZ (Lakshmanan et al. 2013, doi:10.1175/WAF-D-12-00084.1).
    Where ``a`` is beyond the grid or was not observed it is ``z_b``, which the top is no lower than. That no echo
    reaches the threshold is said only of columns of which at least the share ``least_observed`` was observed.
    """
    levels = len(z)
    reached = dbz >= threshold_dbz
    b = levels - 1 - np.argmax(np.flip(reached, axis=-3), axis=-3)
    z_b, dbz_b = z[b], _level(dbz, b)
    above = np.minimum(b + 1, levels - 1)
    dbz_a = _level(dbz, above)
    with np.errstate(invalid="ignore", divide="ignore"):
        part = (dbz_b - threshold_dbz) / (dbz_b - dbz_a) * (z[above] - z_b)
    top = z_b + np.where((above > b) & np.isfinite(dbz_a), part, 0.0)
    none = np.where(observed_share(dbz) >= max(least_observed, LEAST), 0.0, np.nan)
    return np.where(reached.any(axis=-3), top, none).astype(np.float32)


def observed_share(dbz: Float32) -> Float32:
    """Share of the column's levels that were observed, 0..1."""
    return np.isfinite(dbz).mean(axis=-3, dtype=np.float32)


def column_integral(layers: Float32, z: Heights, known: Float32, least_observed: float) -> Float32:
    """Integral over a column of what its layers hold, in the unit of ``layers`` times m.

    ``layers [..., Z - 1, Y, X]`` is the mean of each layer between two levels, NaN where one of these was not observed.
    Such layers are left out, so that the integral of a column observed in part is the least it can be; where less than
    the share ``least_observed`` of the column was observed (``known``, of :func:`observed_share`) it is missing.
    """
    depth = np.diff(z).astype(np.float32)[:, None, None]
    found = np.nansum(layers * depth, axis=-3, dtype=np.float32)
    return np.where(known >= max(least_observed, LEAST), found, np.float32(np.nan))


def _level(dbz: Float32, index: NDArray[np.intp]) -> Float32:
    return np.take_along_axis(dbz, index[..., None, :, :], axis=-3)[..., 0, :, :]
