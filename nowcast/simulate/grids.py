"""Scenes straight to grids, without the polar detour: for tests and for training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nowcast.radar.geometry import column_positions
from nowcast.simulate import kernels
from nowcast.simulate.field import take_snapshot
from nowcast.simulate.kernels import Snapshot
from nowcast.simulate.polar import BEAM_PARTS
from nowcast.simulate.radar import Radar, ray_to
from nowcast.simulate.scene import Scene
from nowcast.types import Bool, Float32, GridSpec, Times, VolumeSequence
from nowcast.units import ECHO_FLOOR_DBZ, clip_dbz, linear_to_dbz, seconds

Float64 = NDArray[np.float64]


def simulate_volumes(
    scene: Scene,
    grid: GridSpec,
    times: Times,
    *,
    start: np.datetime64 | None = None,
    radar: Radar | None = None,
) -> VolumeSequence:
    """Evaluate a scene on a grid at given times.

    Parameters
    ----------
    times
        ``[T]`` rising valid times; every volume is of one instant.
    start
        The instant at which the scene's time is 0; the first of ``times`` by default.
    radar
        With a radar, echo is broadened by its beam, lost below its sensitivity, and observed only where its scan
        reaches: the cone of silence, what lies below the lowest beam and beyond the last gate are masked. There is no
        clutter and no noise. Without one, the field is exact at voxel centres, all observed, and the scene's origin is
        the grid's.

    Returns
    -------
    VolumeSequence
        dBZ, 0 without echo, NaN where not observed.
    """
    begin = times[0] if start is None else start
    view = _View.perfect(grid) if radar is None else _View.of_radar(grid, radar)
    values = np.full((len(times), 1, *grid.shape), np.nan, np.float32)
    for i, time in enumerate(times):
        snapshot = take_snapshot(scene, seconds(time - begin))
        values[i, 0][view.mask] = view.look(snapshot)
    mask = np.broadcast_to(view.mask, (len(times), *grid.shape)).copy()
    return VolumeSequence(values, mask, times.astype("datetime64[ns]"), grid)


class _View:
    """Where the observed voxels of a grid lie, and how they are seen.

    ``points [B, 3, P]``: B points (x, y, z) whose mean a voxel shows, for each of the P observed voxels;
    ``floor_dbz [P]`` the least that is seen.
    """

    def __init__(self, mask: Bool, points: Float32, floor_dbz: Float32) -> None:
        self.mask, self.points, self.floor_dbz = mask, points, floor_dbz

    @staticmethod
    def perfect(grid: GridSpec) -> _View:
        z, y, x = np.meshgrid(grid.z + grid.origin_alt, grid.y, grid.x, indexing="ij")
        points = np.stack([x.ravel(), y.ravel(), z.ravel()])[None].astype(np.float32)
        floor = np.full(z.size, ECHO_FLOOR_DBZ, np.float32)
        return _View(np.ones(grid.shape, bool), points, floor)

    @staticmethod
    def of_radar(grid: GridSpec, radar: Radar) -> _View:
        ground, azimuth = (np.asarray(a, np.float64)[None] for a in column_positions(radar.site, grid))
        height = (grid.z + grid.origin_alt)[:, None, None]
        range_m, elevation = ray_to(ground, height, radar.site)
        low, high = radar.elevations_deg[0], radar.elevations_deg[-1]
        half = radar.beam_width_deg / 2
        last = radar.range_m[-1] + radar.gate_m / 2
        mask = (elevation >= low - half) & (elevation <= high + half) & (range_m <= last) & (height > radar.site.alt)
        ground, azimuth, height = (np.broadcast_to(a, grid.shape)[mask] for a in (ground, azimuth, height))
        spread = np.deg2rad(radar.beam_spread_deg)
        points = []
        for aside, upward in BEAM_PARTS * spread:
            direction = np.deg2rad(azimuth) + aside
            # What of the beam would be in the ground sees the air just above it.
            up = np.maximum(height + range_m[mask] * upward, 0)
            at = ground * np.sin(direction), ground * np.cos(direction), up
            points.append(np.stack(at))
        floor = np.maximum(radar.floor_at(range_m[mask]), ECHO_FLOOR_DBZ)
        return _View(mask, np.stack(points).astype(np.float32), floor.astype(np.float32))

    def look(self, snapshot: Snapshot) -> Float32:
        """Reflectivity ``[P]`` in dBZ of the observed voxels, 0 where nothing is seen."""
        total, one = np.zeros(self.points.shape[2], np.float32), np.empty(self.points.shape[2], np.float32)
        for x, y, z in self.points:
            kernels.points_linear_z(snapshot, x, y, z, one)
            total += one
        dbz = linear_to_dbz(total / np.float32(len(self.points)))
        seen = dbz >= self.floor_dbz
        return clip_dbz(np.where(seen, dbz, np.float32(ECHO_FLOOR_DBZ))).astype(np.float32)
