"""The simulated radar: where it stands, how it scans, how wide its beam is and how little it can see."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nowcast.errors import InputError
from nowcast.radar.geometry import EFFECTIVE_RADIUS_M, beam_height_m, ground_distance_m
from nowcast.radar.polar import Site

Float64 = NDArray[np.float64]

ELEVATIONS_DEG = (0.5, 1.45, 2.4, 3.35, 4.3, 5.25, 6.2, 7.5, 8.7, 10.0, 12.0, 14.0, 16.7, 19.5)
"""The WSR-88D's volume coverage pattern 11: 14 sweeps in 5 minutes, for convection."""


@dataclass(frozen=True)
class Radar:
    """An S-band weather radar that scans volumes.

    Attributes
    ----------
    name
        Used in file names: no blanks.
    site
        Position of the antenna.
    elevations_deg
        Angles of the sweeps in the order they are made, rising.
    turn_s
        Duration of one sweep, seconds.
    rays
        Rays a sweep, centred at half steps of azimuth from north.
    gates, gate_m, first_gate_m
        Number and length of the gates, and slant range of the first one's centre.
    beam_width_deg
        One-way half-power width.
    floor_dbz
        Least detectable reflectivity at 1 km; it rises with 20 log10(range).
    detection_db
        Signal-to-noise ratio that a gate must exceed to be reported.
    samples
        Independent samples averaged in a gate: reflectivity scatters by about ``4.34 / sqrt(samples)`` dB.
    nyquist_ms
        Doppler velocities beyond are folded.
    false_alarms
        Share of empty gates that show a speckle.
    clutter
        Whether the ground is seen.
    """

    name: str = "SIMR"
    site: Site = field(default_factory=lambda: Site(-27.5, 152.5, 80.0))
    elevations_deg: tuple[float, ...] = ELEVATIONS_DEG
    turn_s: float = 20.0
    rays: int = 360
    gates: int = 300
    gate_m: float = 500.0
    first_gate_m: float = 500.0
    beam_width_deg: float = 1.0
    floor_dbz: float = -42.0
    detection_db: float = 2.0
    samples: int = 30
    nyquist_ms: float = 30.0
    false_alarms: float = 2e-5
    clutter: bool = True

    def __post_init__(self) -> None:
        if any(b <= a for a, b in zip(self.elevations_deg, self.elevations_deg[1:], strict=False)):
            raise InputError(f"the radar's elevations {self.elevations_deg} do not rise")
        positive = (self.turn_s, self.rays, self.gates, self.gate_m, self.first_gate_m, self.beam_width_deg)
        if not self.elevations_deg or min(positive) <= 0 or self.samples < 1 or self.nyquist_ms <= 0:
            raise InputError(f"an impossible radar: {self}")

    @property
    def azimuth_deg(self) -> Float64:
        """``[rays]`` centres of the rays, clockwise from north."""
        return (np.arange(self.rays) + 0.5) * 360.0 / self.rays

    @property
    def range_m(self) -> Float64:
        """``[gates]`` slant range of the gates' centres."""
        return self.first_gate_m + self.gate_m * np.arange(self.gates, dtype=np.float64)

    @property
    def volume_s(self) -> float:
        """Duration of a volume, seconds."""
        return self.turn_s * len(self.elevations_deg)

    @property
    def beam_spread_deg(self) -> float:
        """Standard deviation of the two-way antenna pattern, taken as Gaussian (half power one-way at half width)."""
        return self.beam_width_deg / (4.0 * np.sqrt(np.log(2.0)))

    def floor_at(self, range_m: Float64) -> Float64:
        """Least detectable reflectivity in dBZ at slant ranges."""
        return self.floor_dbz + 20.0 * np.log10(np.maximum(range_m, 1.0) / 1000.0)


def beam_path(range_m: Float64, elevation_deg: Float64 | float, site: Site) -> tuple[Float64, Float64]:
    """Distance along the ground and height above mean sea level of points on rays, metres (arguments broadcast)."""
    height = beam_height_m(range_m, elevation_deg) + site.alt
    return np.asarray(ground_distance_m(range_m, elevation_deg)), np.asarray(height)


def ray_to(ground_m: Float64, height_m: Float64, site: Site) -> tuple[Float64, Float64]:
    """Slant range in metres and elevation in degrees at which the radar sees a point: inverse of :func:`beam_path`."""
    angle, far = np.asarray(ground_m) / EFFECTIVE_RADIUS_M, EFFECTIVE_RADIUS_M + np.asarray(height_m) - site.alt
    up, along = far * np.cos(angle) - EFFECTIVE_RADIUS_M, far * np.sin(angle)
    return np.hypot(up, along), np.rad2deg(np.arctan2(up, along))
