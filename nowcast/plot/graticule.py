"""Lines of latitude and longitude in the plane of a grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nowcast.projection import plane
from nowcast.types import GridSpec

Place = tuple[float, float]
Extent = tuple[float, float, float, float]
STEPS_DEG = (0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
POLAR_DEG = 85.0
"""Closer to a pole than this no graticule is drawn: meridians then run in all directions."""


@dataclass(frozen=True)
class GraticuleLine:
    """A parallel or a meridian: ``points_km [P, 2]`` (x, y), its name, and where that may stand.

    ``labels_km`` are at the two ends, of a parallel in the east and the west, of a meridian in the north and the south;
    None where a corner is near.
    """

    points_km: NDArray[np.float64]
    name: str
    is_parallel: bool
    labels_km: tuple[Place | None, Place | None]


@lru_cache(maxsize=16)
def graticule(grid: GridSpec, extent_km: Extent) -> tuple[GraticuleLine, ...]:
    """Parallels and meridians at a round step, three to six of each, with places for labels near the edges."""
    west, east, south, north = extent_km
    edge = np.linspace(0.0, 1.0, 41)
    x = np.concatenate([west + edge * (east - west)] * 2 + [np.full(41, west), np.full(41, east)])
    y = np.concatenate([np.full(41, south), np.full(41, north)] + [south + edge * (north - south)] * 2)
    lon, lat = to_degrees(grid, x, y)
    if np.abs(lat).max() > POLAR_DEG:
        return ()
    lat_step, lon_step = _step(np.ptp(lat)), _step(np.ptp(lon))
    lines = []
    along = np.linspace(lon.min(), lon.max(), 61)
    for value in _multiples(lat.min(), lat.max(), lat_step):
        points = to_km(grid, along, np.full_like(along, value))
        lines.append(_line(points, _degrees(value, "N", "S"), True, extent_km))
    along = np.linspace(lat.min(), lat.max(), 61)
    for value in _multiples(lon.min(), lon.max(), lon_step):
        points = to_km(grid, np.full_like(along, value), along)
        lines.append(_line(points, _degrees((value + 180.0) % 360.0 - 180.0, "E", "W"), False, extent_km))
    return tuple(lines)


def _line(points: NDArray[np.float64], name: str, is_parallel: bool, extent: Extent) -> GraticuleLine:
    west, east, south, north = extent
    width, height = east - west, north - south

    def at(edge: float) -> Place | None:
        """Where the line crosses the inner side of an edge."""
        if is_parallel:
            x, y = edge + 0.05 * np.sign(west + east - 2 * edge) * width, _crossing(edge, points[:, 0], points[:, 1])
            return (x, y) if south + 0.08 * height < y < north - 0.08 * height else None
        x, y = _crossing(edge, points[:, 1], points[:, 0]), edge + 0.02 * np.sign(south + north - 2 * edge) * height
        return (x, y) if west + 0.15 * width < x < east - 0.15 * width else None

    return GraticuleLine(points, name, is_parallel, (at(east), at(west)) if is_parallel else (at(north), at(south)))


def _crossing(edge: float, along: NDArray[np.float64], across: NDArray[np.float64]) -> float:
    return float(np.interp(edge, along, across))


def to_degrees(grid: GridSpec, x_km: NDArray[np.float64], y_km: NDArray[np.float64]) -> tuple[np.ndarray, np.ndarray]:
    """Longitude, as :func:`beside` has it, and latitude of points in the grid's plane."""
    lon, lat = plane(grid.origin_lat, grid.origin_lon)(x_km * 1e3, y_km * 1e3, inverse=True)
    return beside(np.asarray(lon), grid), np.asarray(lat)


def beside(lon: NDArray[np.float64], grid: GridSpec) -> NDArray[np.float64]:
    """Longitudes counted on from that of the grid's origin: they do not jump at the date line."""
    return grid.origin_lon + (lon - grid.origin_lon + 180.0) % 360.0 - 180.0


def to_km(grid: GridSpec, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """``[P, 2]`` points (x, y) in km of longitudes and latitudes."""
    return np.column_stack(plane(grid.origin_lat, grid.origin_lon)(lon, lat)) / 1e3


def _step(span: float) -> float:
    return next((step for step in STEPS_DEG if span / step <= 6), STEPS_DEG[-1])


def _multiples(low: float, high: float, step: float) -> NDArray[np.float64]:
    return step * np.arange(np.ceil(low / step), np.floor(high / step) + 1)


def _degrees(value: float, positive: str, negative: str) -> str:
    value = round(value, 4)
    side = positive if value > 0 else negative if value < 0 else ""
    return f"{abs(value):g}°{side}"
