"""Azimuthal shear and radial divergence of the wind by local linear least squares of radial velocity (LLSD).

Over a small window around each gate a plane is fitted to the radial velocity, ``v = v0 + a s + d r``, with ``s`` the
distance along the arc, clockwise, and ``r`` the distance along the ray: ``a`` is the azimuthal shear, positive where
the air turns anticlockwise, ``d`` the radial divergence. Smith and Elmore 2004
(https://ams.confex.com/ams/11aram22sls/techprogram/paper_81827.htm); the window is that of Mahalik et al. 2019,
doi:10.1175/WAF-D-18-0095.1. Unlike there, velocity is not median-filtered first: gridding averages what comes out.
"""

from __future__ import annotations

import math

import numpy as np

from nowcast.types import Float32
from nowcast_kernels.jit import kernel

ACROSS_M, ALONG_M = 2500.0, 750.0
"""Size of the window, never less than three rays and three gates."""
MOST_RAYS = 60
MIN_SHARE = 0.5
"""Share of the window's gates that must have a velocity."""


def shear(velocity_ms: Float32, azimuth_deg: Float32, first_gate_m: float, gate_m: float) -> tuple[Float32, Float32]:
    """Azimuthal shear and radial divergence of a sweep, both ``[R, G]`` in 1/s.

    Parameters
    ----------
    velocity_ms
        ``[R, G]`` dealiased radial velocity, away from the radar positive; NaN where there is none.
    azimuth_deg
        ``[R]`` rising within 0..360.
    first_gate_m, gate_m
        Slant range of the first gate's centre and distance between gates, metres.

    Returns
    -------
    tuple
        NaN where the gate has no velocity, or less than half of those around it do.
    """
    turned = np.unwrap(np.deg2rad(azimuth_deg.astype(np.float64)))
    half_gates = max(round(0.5 * (ALONG_M / gate_m - 1.0)), 1)
    out = np.full((2, *velocity_ms.shape), np.nan, np.float32)
    _fit_planes(velocity_ms, turned, first_gate_m, gate_m, half_gates, out[0], out[1])
    return out[0], out[1]


@kernel
def _fit_planes(velocity, azimuth, first_m, gate_m, half_gates, across, along):  # type: ignore[no-untyped-def]
    rays, gates = velocity.shape
    step = 2.0 * math.pi / rays
    for i in range(rays):
        for j in range(gates):
            if velocity[i, j] != velocity[i, j]:
                continue
            reach = max(first_m + j * gate_m, gate_m)
            half_rays = min(max(round(0.5 * (ACROSS_M / (reach * step) - 1.0)), 1), MOST_RAYS, (rays - 1) // 2)
            n, s, r, v = 0, 0.0, 0.0, 0.0
            ss, rr, sr, sv, rv = 0.0, 0.0, 0.0, 0.0, 0.0
            for a in range(-half_rays, half_rays + 1):
                k = (i + a) % rays
                turn = azimuth[k] - azimuth[i]
                turn -= 2.0 * math.pi * round(turn / (2.0 * math.pi))
                if abs(turn) > 2.0 * step * (half_rays + 1):
                    continue  # beyond a gap between rays
                for b in range(max(j - half_gates, 0), min(j + half_gates + 1, gates)):
                    value = velocity[k, b]
                    if value == value:
                        ds, dr = turn * reach, (b - j) * gate_m
                        n, s, r, v = n + 1, s + ds, r + dr, v + value
                        ss, rr, sr = ss + ds * ds, rr + dr * dr, sr + ds * dr
                        sv, rv = sv + ds * value, rv + dr * value
            if n < MIN_SHARE * (2 * half_rays + 1) * (2 * half_gates + 1):
                continue
            ss, rr, sr = ss - s * s / n, rr - r * r / n, sr - s * r / n
            sv, rv = sv - s * v / n, rv - r * v / n
            size = ss * rr - sr * sr
            if size > 1e-3 * ss * rr:
                across[i, j] = (sv * rr - rv * sr) / size
                along[i, j] = (rv * ss - sv * sr) / size
