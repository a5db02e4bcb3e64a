"""Where a beam goes: the 4/3-earth model, and the place of a grid's columns as the radar sees them.

Formulas: Doviak and Zrnic, *Doppler Radar and Weather Observations*, 2nd edition, 1993, equations 2.28b and 2.28c.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nowcast.radar.polar import EARTH_RADIUS_M, Site
from nowcast.types import GridSpec

EFFECTIVE_RADIUS_M = 4.0 / 3.0 * EARTH_RADIUS_M

Array = NDArray[np.floating]


def beam_height_m(range_m: Array | float, elevation_deg: Array | float) -> Array:
    """Height of the beam's centre above the antenna at a slant range, metres."""
    r, e = np.asarray(range_m, float), np.deg2rad(elevation_deg)
    a = EFFECTIVE_RADIUS_M
    return np.sqrt(r**2 + a**2 + 2.0 * r * a * np.sin(e)) - a


def ground_distance_m(range_m: Array | float, elevation_deg: Array | float) -> Array:
    """Distance along the ground below the beam's centre at a slant range, metres."""
    height = beam_height_m(range_m, elevation_deg)
    e = np.deg2rad(elevation_deg)
    return EFFECTIVE_RADIUS_M * np.arcsin(np.asarray(range_m) * np.cos(e) / (EFFECTIVE_RADIUS_M + height))


def slant_range_m(ground_m: Array | float, elevation_deg: Array | float) -> Array:
    """Slant range at which a beam stands over a point on the ground; the inverse of :func:`ground_distance_m`.

    NaN where the beam never gets there (a vertical beam).
    """
    phi, e = np.asarray(ground_m, float) / EFFECTIVE_RADIUS_M, np.deg2rad(elevation_deg)
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = EFFECTIVE_RADIUS_M * np.sin(phi) / np.cos(e + phi)
    return np.where(np.cos(e + phi) > 1e-3, reach, np.nan)


def column_positions(site: Site, grid: GridSpec) -> tuple[Array, Array]:
    """Distance along the ground from the radar, metres, and azimuth, degrees, of each column ``[Y, X]`` of a grid."""
    x, y = np.meshgrid(grid.x, grid.y)
    if abs(grid.origin_lat - site.lat) < 1e-7 and abs(grid.origin_lon - site.lon) < 1e-7:
        return np.hypot(x, y), np.mod(np.rad2deg(np.arctan2(x, y)), 360.0)
    from pyproj import Geod

    geod = Geod(ellps="WGS84")
    here = np.full(x.shape, grid.origin_lon), np.full(x.shape, grid.origin_lat)
    lon, lat, _ = geod.fwd(*here, np.rad2deg(np.arctan2(x, y)), np.hypot(x, y))
    azimuth, _, distance = geod.inv(np.full(x.shape, site.lon), np.full(x.shape, site.lat), lon, lat)
    return np.asarray(distance), np.mod(np.asarray(azimuth), 360.0)
