"""Compiled loops of the gridding. They release the GIL, so that sweeps and rows can run on several threads."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nowcast.radar.geometry import EFFECTIVE_RADIUS_M
from nowcast.types import Float32
from nowcast_kernels.jit import inlined, kernel

Float64 = NDArray[np.float64]

MIN_COVERED = 0.5
"""Share of a voxel's footprint that must have been observed."""


@kernel
def sample_sweep(
    dbz: Float32,
    ray_from: Float64,
    ray_to: Float64,
    elevation_rad: float,
    first_edge_m: float,
    gate_m: float,
    ground_m: Float32,
    azimuth_deg: Float32,
    footprint_m: float,
    floor_dbz: float,
    max_dbz: float,
    layer: Float32,
    height: Float32,
) -> None:
    """Average a sweep over the footprint of each column; fills ``layer`` (dBZ, NaN not observed) and ``height``.

    ``dbz [R, G]``; ``ray_from, ray_to [R]`` are the azimuths between which each ray counts, ``ray_from`` rising and
    ``ray_to`` never before it, so that the first may begin below 0 and the last end above 360. A gate weighs as much
    as its cell in (azimuth, range) overlaps the footprint. A footprint is never smaller than one cell, and with
    exactly one cell this is bilinear interpolation. ``height`` is above the antenna, metres.
    """
    rays, gates = dbz.shape
    rows, columns = ground_m.shape
    last_edge = first_edge_m + gates * gate_m
    width_m = max(footprint_m, gate_m)
    mean_ray = (ray_to[rays - 1] - ray_from[0]) / rays
    for i in range(rows):
        for j in range(columns):
            layer[i, j] = np.nan
            phi = ground_m[i, j] / EFFECTIVE_RADIUS_M
            cosine = math.cos(elevation_rad + phi)
            if cosine < 1e-3:
                height[i, j] = 1e6
                continue
            reach = EFFECTIVE_RADIUS_M * math.sin(phi) / cosine
            height[i, j] = EFFECTIVE_RADIUS_M * (math.cos(elevation_rad) / cosine - 1.0)
            near, far = max(reach - 0.5 * width_m, 0.0), reach + 0.5 * width_m
            if near >= last_edge or far <= first_edge_m:
                continue
            turn = 360.0 if ground_m[i, j] < 1.0 else math.degrees(footprint_m / ground_m[i, j])
            k = _nearest(ray_from, azimuth_deg[i, j])
            turn = min(max(turn, min(ray_to[k] - ray_from[k], 2.0 * mean_ray)), 360.0)
            start = azimuth_deg[i, j] - 0.5 * turn
            stop = start + turn
            g0 = max(int((near - first_edge_m) / gate_m), 0)
            g1 = min(math.ceil((far - first_edge_m) / gate_m), gates)
            total, weight = 0.0, 0.0
            shift = 0.0 if start >= ray_from[0] else -360.0
            k = _nearest(ray_from, start - shift)
            for _ in range(rays + 1):
                a = max(ray_from[k] + shift, start)
                b = min(ray_to[k] + shift, stop)
                if b > a:
                    for g in range(g0, g1):
                        value = dbz[k, g]
                        if value == value:
                            lo = max(first_edge_m + g * gate_m, near)
                            hi = min(first_edge_m + (g + 1) * gate_m, far)
                            w = (b - a) * (hi - lo)
                            total += w * min(max(value, floor_dbz), max_dbz)
                            weight += w
                k += 1
                if k == rays:
                    k = 0
                    shift += 360.0
                if ray_from[k] + shift >= stop:
                    break
            if weight >= MIN_COVERED * turn * (far - near):
                layer[i, j] = total / weight


@inlined
def _nearest(ray_from: Float64, azimuth: float) -> int:
    """Index of the last ray that begins at or before an azimuth (the last ray of all if none does)."""
    low, high = 0, ray_from.size
    while low < high:
        middle = (low + high) // 2
        if ray_from[middle] <= azimuth:
            low = middle + 1
        else:
            high = middle
    return low - 1 if low > 0 else ray_from.size - 1


@kernel
def interpolate_columns(
    layers: Float32,
    heights: Float32,
    ground_m: Float32,
    elevations_deg: Float32,
    z_m: Float32,
    half_beam_deg: float,
    max_gap_deg: float,
    max_bridge_deg: float,
    out: Float32,
) -> None:
    """Interpolate linearly in height between the sweeps over each column; fills ``out [Z, Y, X]``, NaN not observed.

    ``layers, heights [K, Y, X]``: value and height (in the datum of ``z_m``) of each sweep over each column. Beyond the
    lowest and highest sweep their value holds for half a beam width. Neighbouring sweeps more than
    ``max_gap_deg`` apart are not bridged; sweeps with an unobserved one between them only within ``max_bridge_deg``.
    """
    sweeps, rows, columns = layers.shape
    levels = z_m.size
    value = np.empty(sweeps, np.float32)
    centre = np.empty(sweeps, np.float32)
    half = np.empty(sweeps, np.float32)
    joined = np.empty(sweeps, np.bool_)
    stretch = np.empty(sweeps, np.float32)
    for k in range(sweeps):
        stretch[k] = math.radians(half_beam_deg) / math.cos(math.radians(elevations_deg[k])) ** 2
    for i in range(rows):
        for j in range(columns):
            n, last = 0, -1
            for k in range(sweeps):
                if layers[k, i, j] == layers[k, i, j]:
                    value[n] = layers[k, i, j]
                    centre[n] = heights[k, i, j]
                    half[n] = ground_m[i, j] * stretch[k]
                    if n > 0:
                        gap = elevations_deg[k] - elevations_deg[last]
                        joined[n - 1] = gap <= (max_gap_deg if k == last + 1 else max_bridge_deg)
                    n, last = n + 1, k
            m = 0
            for level in range(levels):
                z = z_m[level]
                while m < n and centre[m] < z:
                    m += 1
                # Now sweep m - 1 lies below z and sweep m at or above it.
                result = np.float32(np.nan)
                if 0 < m < n and joined[m - 1]:
                    part = (z - centre[m - 1]) / (centre[m] - centre[m - 1])
                    result = value[m - 1] + part * (value[m] - value[m - 1])
                elif m < n and centre[m] - z <= half[m]:
                    result = value[m]
                elif m > 0 and z - centre[m - 1] <= half[m - 1]:
                    result = value[m - 1]
                out[level, i, j] = result
