"""What the simulated radar sees of the ground: it stays where it is, from volume to volume and event to event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nowcast import units
from nowcast.simulate.noise import power_law_noise
from nowcast.simulate.radar import Radar

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
NOTHING_DBZ = -60.0


@dataclass(frozen=True)
class Clutter:
    """Echo of the ground around a radar, by ray and gate of a sweep.

    ``targets_dbz [R, G]``: hills, towns and masts as a beam along the horizon sees them; they fade as the beam rises
    off them. ``sidelobe_dbz [R, G]``: what comes in from close by at every elevation. ``horizon_deg [R, G]``:
    elevation of the targets. -60 where there is nothing.
    """

    targets_dbz: Float32
    sidelobe_dbz: Float32
    horizon_deg: Float32

    def at(self, elevation_deg: float, beam_width_deg: float) -> Float64:
        """Linear reflectivity ``[R, G]`` of the ground in a sweep.

        A Gaussian beam loses 3 dB one way at half its width off the target, twice that both ways.
        """
        off = np.maximum(elevation_deg - self.horizon_deg, 0) / beam_width_deg
        main = self.targets_dbz - 24.0 * off**2
        side = self.sidelobe_dbz - 0.8 * elevation_deg
        total = np.zeros(main.shape)
        for part in (main, side):
            seen = part > -20.0
            total[seen] += units.dbz_to_linear(part[seen].astype(np.float64))
        return total


def draw_clutter(radar: Radar, seed: int) -> Clutter:
    """Draw the ground around a radar; the same for the same seed and radar.

    How often and how strongly gates show clutter follows from dry volumes of an S-band radar in hilly country: a
    quarter of the gates within 20 km at the lowest sweep, a tenth to 40 km, a twentieth to 80 km, hardly any beyond;
    20 dBZ on average and 65 at most; within 20 km still a fifth of the gates at 5 degrees.
    """
    if not radar.clutter:
        nothing = np.full((radar.rays, radar.gates), NOTHING_DBZ, np.float32)
        return Clutter(nothing, nothing, np.zeros_like(nothing))
    rng = np.random.default_rng([seed, 0xC1])
    azimuth, range_m = np.deg2rad(radar.azimuth_deg)[:, None], radar.range_m[None, :]
    x, y = range_m * np.sin(azimuth), range_m * np.cos(azimuth)
    hills = _sample(power_law_noise(rng, (512, 512), 600.0, slope=2.6, longest_m=25e3, shortest_m=300.0), x, y)
    rough = rng.standard_normal(hills.shape)
    near = np.interp(range_m, [0, 20e3, 40e3, 80e3, 130e3, 200e3], [0.3, 0.7, 1.15, 1.55, 2.6, 5.0])
    excess = hills + 0.35 * rough - near
    targets = np.where(excess > 0, 12.0 + 17.0 * excess + 5.0 * rng.standard_normal(hills.shape), NOTHING_DBZ)
    patches = _sample(power_law_noise(rng, (512, 512), 600.0, slope=2.0, longest_m=6e3, shortest_m=300.0), x, y)
    excess = (
        patches
        + 0.5 * rng.standard_normal(hills.shape)
        - np.interp(range_m, [0, 15e3, 25e3, 45e3], [0.5, 0.9, 2.0, 6.0])
    )
    sidelobe = np.where(excess > 0, 12.0 + 6.0 * excess + 2.0 * rng.standard_normal(hills.shape), NOTHING_DBZ)
    horizon = 0.15 + 0.25 * np.maximum(hills, 0)
    return Clutter(*(np.minimum(a, 68.0).astype(np.float32) for a in (targets, sidelobe, horizon)))


def _sample(field: Float32, x: Float64, y: Float64) -> Float32:
    """Nearest value of a periodic field of 600 m pixels."""
    size = field.shape[0]
    return field[np.floor(y / 600.0).astype(int) % size, np.floor(x / 600.0).astype(int) % size]
