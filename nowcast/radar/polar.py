"""A polar radar volume as the readers hand it on: sweeps of rays of gates.

In every field NaN means *not observed* (no ray, beyond the recorded range, flagged by the radar as no data). In
reflectivity, a gate that was observed but held no signal is :data:`NO_ECHO_DBZ`; in the other fields such a gate has
nothing to say and is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nowcast.errors import InputError
from nowcast.types import REFLECTIVITY, Float32

NO_ECHO_DBZ = np.float32(-99.0)
DEFAULT_BEAM_WIDTH_DEG = 1.0
ALWAYS_READ = (REFLECTIVITY, "velocity", "rhohv", "zdr", "snr")
"""The fields that are read unasked where a file has them: quality control looks at them."""
EARTH_RADIUS_M = 6_371_000.0
SAME_ELEVATION_DEG = 0.12
"""Sweeps less than this apart are at the same elevation: antennas stop a little beside the angle they were told."""
SAME_PLACE_M = 2000.0
"""Positions no farther apart than this may be those of one radar: what files tell is rounded or surveyed anew."""


@dataclass(frozen=True)
class Site:
    """Position of a radar: degrees north and east, and altitude of the antenna in metres above mean sea level."""

    lat: float
    lon: float
    alt: float

    def __post_init__(self) -> None:
        ok = -90 <= self.lat <= 90 and -180 <= self.lon <= 360 and -500 <= self.alt <= 9000
        if not ok:
            raise InputError(f"radar position {self} is impossible: expected LAT,LON,ALT in degrees, degrees, metres")

    def __str__(self) -> str:
        return f"{self.lat:.4f},{self.lon:.4f},{self.alt:.0f}"

    @classmethod
    def of(cls, text: str) -> Site:
        """A site as it is written, ``LAT,LON,ALT``; raises ValueError (InputError is one) for what is none."""
        lat, lon, alt = (float(part) for part in text.split(","))
        return cls(lat, lon, alt)

    def distance_m(self, other: Site) -> float:
        """Distance along the ground, metres, good to a per cent for neighbours."""
        north = np.deg2rad(self.lat - other.lat)
        east = np.deg2rad((self.lon - other.lon + 180) % 360 - 180) * np.cos(np.deg2rad(self.lat))
        return float(EARTH_RADIUS_M * np.hypot(north, east))


def plausible_site(lat: float, lon: float, alt: float) -> Site | None:
    """A site, or None where the numbers are a way to say "unknown" (-999, 0 and 0, NaN)."""
    known = np.isfinite([lat, lon, alt]).all() and abs(lat) <= 90 and abs(lon) <= 360 and alt > -500
    return Site(lat, (lon + 180) % 360 - 180, alt) if known and (lat, lon) != (0.0, 0.0) else None


@dataclass(frozen=True)
class Sweep:
    """One turn of the antenna.

    Attributes
    ----------
    elevation_deg
        Angle of the antenna above the horizon.
    azimuth_deg
        ``[R]`` float32, centre of each ray clockwise from north, rising, within 0..360.
    first_gate_m, gate_m
        Slant range of the first gate's centre and the distance between gates, metres.
    fields
        ``[R, G]`` float32 by name: ``reflectivity`` (dBZ), and where the file has them ``velocity`` (m/s),
        ``spectrum_width`` (m/s), ``rhohv``, ``zdr`` (dB), ``kdp`` (deg/km), ``phidp`` (deg), ``snr`` (dB).
    time
        Start of the sweep, UTC, or None.
    nyquist_ms
        Velocity at which the measured one folds over, m/s, or None where the file does not tell.
    """

    elevation_deg: float
    azimuth_deg: Float32
    first_gate_m: float
    gate_m: float
    fields: Mapping[str, Float32]
    time: np.datetime64 | None = None
    nyquist_ms: float | None = None

    def __post_init__(self) -> None:
        if REFLECTIVITY not in self.fields:
            raise InputError(f"a sweep at {self.elevation_deg:.1f} degrees has no reflectivity")
        rays, gates = self.reflectivity.shape
        if len(self.azimuth_deg) != rays or rays == 0 or gates == 0 or self.gate_m <= 0:
            raise InputError(
                f"a sweep at {self.elevation_deg:.1f} degrees has {len(self.azimuth_deg)} azimuths, "
                f"{rays} x {gates} gates of {self.gate_m} m"
            )
        if any(values.shape != (rays, gates) for values in self.fields.values()):
            raise InputError(f"the fields of a sweep at {self.elevation_deg:.1f} degrees differ in shape")

    @property
    def reflectivity(self) -> Float32:
        """``[R, G]`` dBZ; NaN not observed, :data:`NO_ECHO_DBZ` no echo."""
        return self.fields[REFLECTIVITY]

    @property
    def range_m(self) -> NDArray[np.floating]:
        """``[G]`` slant range of the gates' centres, metres."""
        return self.first_gate_m + self.gate_m * np.arange(self.reflectivity.shape[1])

    @property
    def last_gate_m(self) -> float:
        """Slant range of the outer edge of the last gate, metres."""
        return self.first_gate_m + self.gate_m * (self.reflectivity.shape[1] - 0.5)

    def with_reflectivity(self, values: Float32) -> Sweep:
        """The same sweep with other reflectivity."""
        return replace(self, fields={**self.fields, REFLECTIVITY: values})


@dataclass(frozen=True)
class PolarVolume:
    """A volume scan, lowest sweep first.

    Attributes
    ----------
    site
        Position of the antenna.
    time
        Valid time, UTC: the nominal time where the file tells one, else its start.
    sweeps
        Rising elevation; at least one.
    radar
        Name of the radar as the file gives it: ICAO, WMO or national code.
    beam_width_deg
        Half-power width of the beam.
    scan
        Name of the scan strategy where known (NEXRAD: ``VCP 212``), else empty.
    source
        The file.
    format
        As :func:`nowcast.radar.sniff` names it.
    defect
        What the file itself tells to be missing from the volume; empty when it tells nothing.
    """

    site: Site
    time: np.datetime64
    sweeps: tuple[Sweep, ...]
    radar: str = ""
    beam_width_deg: float = DEFAULT_BEAM_WIDTH_DEG
    scan: str = ""
    source: str = ""
    format: str = ""
    defect: str = ""

    def __post_init__(self) -> None:
        if not self.sweeps:
            raise InputError(f"{self.source or 'the volume'} holds no sweep with reflectivity")
        if any(b.elevation_deg < a.elevation_deg for a, b in zip(self.sweeps, self.sweeps[1:], strict=False)):
            raise InputError(f"the sweeps of {self.source or 'the volume'} are not in order of elevation")

    @property
    def elevations_deg(self) -> tuple[float, ...]:
        return tuple(s.elevation_deg for s in self.sweeps)

    def with_sweeps(self, sweeps: Sequence[Sweep]) -> PolarVolume:
        """The same volume with other sweeps."""
        return replace(self, sweeps=tuple(sweeps))

    def with_reflectivity(self, values: Sequence[Float32]) -> PolarVolume:
        """The same volume with other reflectivity, one array a sweep."""
        return self.with_sweeps([s.with_reflectivity(v) for s, v in zip(self.sweeps, values, strict=True)])


def ordered(
    elevation_deg: float,
    azimuth_deg: NDArray[np.floating],
    first_gate_m: float,
    gate_m: float,
    fields: Mapping[str, Float32],
    time: np.datetime64 | None = None,
    nyquist_ms: float | None = None,
) -> Sweep:
    """Make a sweep from rays in any order: sorted by azimuth, rays without an azimuth or of the same one dropped."""
    azimuth = np.mod(np.asarray(azimuth_deg, np.float64), 360.0).astype(np.float32)
    azimuth[azimuth >= 360.0] = 0.0  # 359.99999 rounds up
    _, first = np.unique(azimuth, return_index=True)
    keep = first[np.isfinite(azimuth[first])]
    if len(keep) == len(azimuth) and np.array_equal(keep, np.arange(len(azimuth))):
        rows = dict(fields)
    else:
        rows = {name: np.ascontiguousarray(values[keep]) for name, values in fields.items()}
    return Sweep(elevation_deg, azimuth[keep], first_gate_m, gate_m, rows, time, nyquist_ms)
