"""Volumes of several radars on one grid.

A voxel that one radar observed has that radar's value. Where several observed it, either the strongest echo counts, or
a mean with the weights

    w = exp(-(d / distance_m)^2) * exp(-(h / height_m)^2)

of the distance d from the radar along the ground and the height h of a beam at 0.5 degrees over that place: the nearer
radar sees finer, and the lower beam sees what falls. Means weighted by distance: Zhang, Howard and Gourley 2005,
doi:10.1175/JTECH-1689.1; with the height beside it: Qi and Zhang 2017, doi:10.1175/JHM-D-16-0197.1. The mean is of dBZ,
as in the gridding of each radar; it and the default scales came nearest to simulated truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from nowcast.checks import check_numbers
from nowcast.errors import ConfigError, InputError
from nowcast.radar.geometry import beam_height_m, column_positions, slant_range_m
from nowcast.radar.gridding import MOST_VOXELS, GridConfig
from nowcast.radar.polar import Site
from nowcast.types import Bool, Float32, GridSpec

LOW_BEAM_DEG = 0.5
LEAST_LOG_WEIGHT = -60.0
"""Beyond, weights would leave the numbers of 32 bits."""
Combine = Literal["mean", "strongest"]


@dataclass(frozen=True)
class MosaicConfig:
    """How the volumes of several radars become one.

    Attributes
    ----------
    combine
        ``mean`` weighted by distance and beam height, or ``strongest`` echo, where several radars observed a voxel.
    step_minutes
        A mosaic is made of each step so long, with round times in the middle of the steps, at the time of its newest
        volume; where the step has no new volume, none.
    within_minutes
        No volume counts that began longer before that time; None for one and a half steps.
    centre
        Latitude and longitude of the grid's centre, from which it reaches ``grid.extent_m`` to each side. None: it
        reaches so far beyond the outermost radars.
    distance_m, height_m
        Of the weights ``exp(-(d / distance_m)^2) exp(-(h / height_m)^2)`` of a mean: d is the distance from the
        radar along the ground, h the height of a beam at 0.5 degrees over that place.
    sites
        Positions (degrees, degrees, m) of radars in place of what their files tell, by the name of their folder.
    clutter
        Clutter maps of radars, by the name of their folder.
    """

    combine: Combine = "mean"
    step_minutes: float = 5.0
    within_minutes: float | None = None
    centre: tuple[float, float] | None = None
    distance_m: float = 50_000.0
    height_m: float = 2000.0
    sites: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    clutter: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_numbers(self, "mosaic", positive=("step_minutes", "within_minutes", "distance_m", "height_m"))
        if self.combine not in ("mean", "strongest"):
            raise ConfigError(f"mosaic combine is {self.combine!r}: expected mean or strongest")
        if self.centre is not None and not (abs(self.centre[0]) <= 90 and abs(self.centre[1]) <= 360):
            raise ConfigError(f"mosaic centre is {self.centre}: expected latitude and longitude in degrees")
        for name, place in self.sites.items():
            try:
                Site(*place)
            except InputError as error:
                raise ConfigError(f"mosaic sites {name}: {error}") from error

    @property
    def step(self) -> np.timedelta64:
        return np.timedelta64(round(self.step_minutes * 60e9), "ns")

    @property
    def within(self) -> np.timedelta64:
        if self.within_minutes is None:
            return 3 * self.step // 2
        return np.timedelta64(round(self.within_minutes * 60e9), "ns")


class Part(NamedTuple):
    """What one radar gives: values ``[C, Z, Y, X]``, mask ``[Z, Y, X]`` and weight ``[Y, X]``."""

    values: Float32
    mask: Bool
    weight: Float32


def common_grid(sites: Sequence[Site], config: GridConfig, centre: tuple[float, float] | None = None) -> GridSpec:
    """A grid for several radars: around ``centre``, or around all of them.

    Raises ConfigError when it has too many voxels.
    """
    if centre is not None:
        return config.around(Site(centre[0], centre[1], 0.0))
    middle = _middle(sites)
    east, north = np.array([_offset_m(middle, site) for site in sites]).T
    reach, levels = config.extent_m, config.around(middle).z
    y, x = (
        config.spacing_m
        * np.arange(np.floor((at.min() - reach) / config.spacing_m), (at.max() + reach) / config.spacing_m + 1)
        for at in (north, east)
    )
    grid = GridSpec.from_axes(middle.lat, middle.lon, levels, y, x)
    if np.prod(grid.shape, dtype=float) > MOST_VOXELS:
        raise ConfigError(
            f"the mosaic's grid has {np.prod(grid.shape, dtype=float):.2g} voxels: expected at most {MOST_VOXELS:.0g}; "
            "take a larger spacing, a smaller extent, or a centre"
        )
    return grid


def _middle(sites: Sequence[Site]) -> Site:
    lat, lon = np.deg2rad([[s.lat, s.lon] for s in sites]).T
    x, y, z = (a.mean() for a in (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)))
    north, east = np.rad2deg(np.arctan2(z, np.hypot(x, y))), np.rad2deg(np.arctan2(y, x))
    return Site(round(float(north), 6), round(float(east), 6), 0.0)


def _offset_m(origin: Site, site: Site) -> tuple[float, float]:
    """How far east and north of the origin of an azimuthal-equidistant projection a radar stands."""
    from pyproj import Geod

    azimuth, _, distance = Geod(ellps="WGS84").inv(origin.lon, origin.lat, site.lon, site.lat)
    return distance * np.sin(np.deg2rad(azimuth)), distance * np.cos(np.deg2rad(azimuth))


@lru_cache(maxsize=64)
def radar_weight(site: Site, grid: GridSpec, distance_m: float, height_m: float) -> Float32:
    """``[Y, X]`` weight of a radar in each column, above 0; for one beyond the horizon as good as nothing."""
    ground, _ = column_positions(site, grid)
    height = beam_height_m(np.nan_to_num(slant_range_m(ground, LOW_BEAM_DEG), nan=1e7), LOW_BEAM_DEG)
    log_weight = -((ground / distance_m) ** 2) - (height / height_m) ** 2
    return np.exp(np.maximum(log_weight, LEAST_LOG_WEIGHT)).astype(np.float32)


def combine(parts: Sequence[Part], how: Combine) -> tuple[Float32, Bool]:
    """What several radars see together.

    Returns
    -------
    values
        ``[C, Z, Y, X]``; with ``strongest`` all channels are those of the radar with the strongest reflectivity, with
        ``mean`` each is the mean over the radars that have a value.
    mask
        ``[Z, Y, X]`` True where any of the radars observed the voxel.
    """
    mask = np.logical_or.reduce([part.mask for part in parts])
    if how == "strongest":
        values = parts[0].values.copy()
        for part in parts[1:]:
            # Written so that anything observed is stronger than NaN.
            better = part.mask & ~(values[0] >= part.values[0])
            values[:, better] = part.values[:, better]
        return values, mask
    total, weights = np.zeros_like(parts[0].values), np.zeros_like(parts[0].values)
    for part in parts:
        weight = np.where(np.isnan(part.values), np.float32(0.0), part.weight)
        total += weight * np.nan_to_num(part.values, nan=0.0)
        weights += weight
    with np.errstate(invalid="ignore"):
        return total / weights, mask
