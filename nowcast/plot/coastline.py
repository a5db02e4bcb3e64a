"""Coastlines and borders, only from files that are already on this machine: a picture never waits for a download.

Natural Earth shapefiles are taken from the folders where cartopy keeps them (for instance after
``cartopy_feature_download.py physical``); without any, maps simply have no coast.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nowcast.plot.graticule import to_degrees, to_km
from nowcast.types import GridSpec

RESOLUTIONS = ("10m", "50m", "110m")
LAYERS = (
    ("physical", "coastline"),
    ("cultural", "admin_0_boundary_lines_land"),
)


@lru_cache(maxsize=16)
def coastlines(grid: GridSpec) -> tuple[NDArray[np.float64], ...]:
    """Lines ``[P, 2]`` (x, y in km) of coasts and borders near a grid; empty where there is no local data."""
    files = [found for category, name in LAYERS if (found := _local_file(category, name)) is not None]
    if not files:
        return ()
    box = _box(grid)
    return tuple(line for file in files for line in _lines(file, grid, box))


def _local_file(category: str, name: str) -> Path | None:
    import cartopy

    folders = [cartopy.config[key] for key in ("pre_existing_data_dir", "data_dir", "repo_data_dir")]
    for resolution in RESOLUTIONS:
        for folder in folders:
            path = Path(folder, "shapefiles", "natural_earth", category, f"ne_{resolution}_{name}.shp")
            if path.is_file():
                return path
    return None


def _box(grid: GridSpec) -> tuple[float, float, float, float]:
    """Longitude and latitude limits (west, south, east, north) around the grid's corners and edges."""
    x, y = np.meshgrid(np.linspace(grid.x[0], grid.x[-1], 9), np.linspace(grid.y[0], grid.y[-1], 9))
    lon, lat = to_degrees(grid, x.ravel() / 1e3, y.ravel() / 1e3)
    return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())


def _lines(file: Path, grid: GridSpec, box: tuple[float, float, float, float]) -> list[NDArray[np.float64]]:
    from cartopy.io.shapereader import BasicReader

    west, south, east, north = box
    margin = 0.5
    lines = []
    for geometry in BasicReader(str(file), bbox=box).geometries():
        for part in getattr(geometry, "geoms", [geometry]):
            points = np.asarray(part.coords)[:, :2]
            near = (points[:, 0] > west - margin) & (points[:, 0] < east + margin)
            near &= (points[:, 1] > south - margin) & (points[:, 1] < north + margin)
            # Only the stretches of a long coast that pass the grid: far points have no sensible place in its plane.
            for stretch in np.split(np.arange(len(points)), np.flatnonzero(np.diff(near)) + 1):
                if near[stretch[0]] and len(stretch) > 1:
                    lines.append(to_km(grid, points[stretch, 0], points[stretch, 1]))
    return lines
