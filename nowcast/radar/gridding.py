"""From polar sweeps to a Cartesian volume with a mask of what was observed.

In two steps. Each sweep is first seen from above: over every column of the grid the sweep is averaged over the
footprint of a voxel, or interpolated between gates where these are coarser. Then each column is interpolated in
height between the sweeps below and above. A field that is constant, or linear in height, comes out exact.

Reflectivity is averaged in dBZ, no echo counting as ``ECHO_FLOOR_DBZ``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nowcast.checks import check_numbers
from nowcast.errors import ConfigError, InputError
from nowcast.radar import gridding_kernels as kernels
from nowcast.radar.geometry import column_positions
from nowcast.radar.polar import SAME_ELEVATION_DEG, PolarVolume, Site, Sweep
from nowcast.types import REFLECTIVITY, Bool, Float32, GridSpec
from nowcast.units import ECHO_FLOOR_DBZ, MAX_DBZ
from nowcast_kernels.parallel import run_parallel

BLOCK_ROWS = 32
MOST_VOXELS = 1e8
MAX_GAP_DEG = 10.0
"""Between neighbouring sweeps farther apart than this nothing is interpolated."""
MAX_RAY_STRETCH = 1.6
"""A ray stands for at most this many times the usual distance between rays."""


@dataclass(frozen=True)
class GridConfig:
    """The grid around a radar.

    Attributes
    ----------
    spacing_m
        Horizontal distance of neighbouring voxels, m.
    extent_m
        How far the grid reaches from the radar to each side, m.
    bottom_m, top_m, level_spacing_m
        Lowest and highest level above mean sea level and their distance, m.
    """

    spacing_m: float = 2500.0
    extent_m: float = 145_000.0
    bottom_m: float = 1000.0
    top_m: float = 15_000.0
    level_spacing_m: float = 500.0

    def __post_init__(self) -> None:
        check_numbers(self, "grid", positive=("spacing_m", "extent_m", "level_spacing_m"))
        if self.top_m < self.bottom_m:
            raise ConfigError(f"grid top_m is {self.top_m}: expected at least bottom_m, {self.bottom_m}")
        voxels = (2 * self.extent_m / self.spacing_m + 1) ** 2 * (
            (self.top_m - self.bottom_m) / self.level_spacing_m + 1
        )
        if voxels > MOST_VOXELS:
            raise ConfigError(
                f"a grid of {voxels:.2g} voxels: expected at most {MOST_VOXELS:.0g}; take a larger spacing or a "
                "smaller extent"
            )

    def around(self, site: Site) -> GridSpec:
        """The grid centred on a radar."""
        half = round(self.extent_m / self.spacing_m)
        levels = round((self.top_m - self.bottom_m) / self.level_spacing_m) + 1
        side = -half * self.spacing_m
        return GridSpec(
            site.lat,
            site.lon,
            (levels, 2 * half + 1, 2 * half + 1),
            (self.bottom_m, side, side),
            (self.level_spacing_m, self.spacing_m, self.spacing_m),
        )


def grid_volume(
    volume: PolarVolume,
    grid: GridSpec,
    field: str = REFLECTIVITY,
    limits: tuple[float, float] = (ECHO_FLOOR_DBZ, MAX_DBZ),
) -> tuple[Float32, Bool]:
    """Interpolate a field of a polar volume to a grid.

    Parameters
    ----------
    volume
        At least one sweep has the field; the others are left out.
    grid
        The voxels.
    field, limits
        Name and least and greatest value; values beyond are limited to these.

    Returns
    -------
    values
        ``[Z, Y, X]`` float32. Reflectivity in dBZ within 0..80, 0 where observed without echo, NaN where not observed;
        another field is NaN where it has no value.
    mask
        ``[Z, Y, X]`` bool, True where observed: between the lower edge of the lowest beam over the column and the
        upper edge of the highest, not in a sector or gate without data, not beyond the recorded range.
    """
    sweeps = choose_sweeps(volume, field)
    ground, azimuth = _columns(volume.site, grid)
    layers = np.empty((len(sweeps), *ground.shape), np.float32)
    heights = np.empty_like(layers)
    footprint = 0.5 * (grid.spacing_m[1] + grid.spacing_m[2])

    def sample(k: int) -> None:
        _sample(sweeps[k], field, limits, ground, azimuth, footprint, layers[k], heights[k])

    run_parallel(sample, len(sweeps))
    heights += np.float32(volume.site.alt - grid.origin_alt)
    values = np.empty(grid.shape, np.float32)
    elevations = np.array([s.elevation_deg for s in sweeps], np.float32)
    levels = grid.z.astype(np.float32)
    bridge = max(2.0 * volume.beam_width_deg, 1.0)

    def interpolate(rows: slice) -> None:
        columns = layers[:, rows], heights[:, rows], ground[rows]
        kernels.interpolate_columns(
            *columns, elevations, levels, 0.5 * volume.beam_width_deg, MAX_GAP_DEG, bridge, values[:, rows]
        )

    blocks = [slice(start, start + BLOCK_ROWS) for start in range(0, grid.shape[1], BLOCK_ROWS)]
    run_parallel(lambda block: interpolate(blocks[block]), len(blocks))
    return values, np.isfinite(values)


def choose_sweeps(volume: PolarVolume, field: str = REFLECTIVITY) -> list[Sweep]:
    """One sweep with the field an elevation: the one that reaches farthest, then that with most rays, then the first.

    NEXRAD repeats low elevations to measure Doppler velocity at shorter range, and other radars repeat them for time.
    """
    groups: list[list[Sweep]] = []
    for sweep in (s for s in volume.sweeps if field in s.fields):
        if groups and sweep.elevation_deg - groups[-1][0].elevation_deg < SAME_ELEVATION_DEG:
            groups[-1].append(sweep)
        elif sweep.elevation_deg < 85.0:  # a vertical calibration scan has no place on a map
            groups.append([sweep])
    if not groups:
        raise InputError(f"{volume.source or 'the volume'} has no sweep below 85 degrees with {field}")
    return [max(g, key=lambda s: (round(s.last_gate_m, -3), len(s.azimuth_deg))) for g in groups]


@lru_cache(maxsize=8)
def _columns(site: Site, grid: GridSpec) -> tuple[Float32, Float32]:
    ground, azimuth = column_positions(site, grid)
    return ground.astype(np.float32), azimuth.astype(np.float32)


def _sample(
    sweep: Sweep,
    field: str,
    limits: tuple[float, float],
    ground: Float32,
    azimuth: Float32,
    footprint_m: float,
    layer: Float32,
    height: Float32,
) -> None:
    ray_from, ray_to = ray_cells(sweep.azimuth_deg)
    kernels.sample_sweep(
        sweep.fields[field],
        ray_from,
        ray_to,
        np.deg2rad(sweep.elevation_deg),
        sweep.first_gate_m - 0.5 * sweep.gate_m,
        sweep.gate_m,
        ground,
        azimuth,
        footprint_m,
        *limits,
        layer,
        height,
    )


def ray_cells(azimuth_deg: Float32) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The azimuths between which each ray counts, degrees: half way to its neighbours, but no farther than its share.

    Where rays are missing the cells leave a gap. ``azimuth_deg`` rises within 0..360; the cells may reach beyond.
    """
    azimuth = azimuth_deg.astype(np.float64)
    step = np.diff(azimuth, append=azimuth[0] + 360.0)
    share = 0.5 * MAX_RAY_STRETCH * float(np.median(step))
    after = np.minimum(0.5 * step, share)
    return azimuth - np.roll(after, 1), azimuth + after
