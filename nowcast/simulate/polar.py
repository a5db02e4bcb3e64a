"""What the radar measures of a scene: gates along rays in sweeps, seen through a beam, over noise and clutter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nowcast import units
from nowcast.radar.polar import NO_ECHO_DBZ, PolarVolume, Sweep
from nowcast.simulate import kernels
from nowcast.simulate.clutter import Clutter
from nowcast.simulate.field import take_snapshot
from nowcast.simulate.kernels import Snapshot
from nowcast.simulate.radar import Radar, beam_path
from nowcast.simulate.scene import Scene

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Rng = np.random.Generator

_QUADRANT = np.array([[0.75, 1.54], [-1.54, 0.75], [0.23, 0.23]])
BEAM_PARTS = np.concatenate([_QUADRANT, -_QUADRANT])
"""``[6, 2]`` offsets (azimuth, elevation) of parts of equal weight, in standard deviations of the two-way pattern: the
midpoints of a normal distribution's sixths, scaled to variance 1 and paired so that the two are uncorrelated."""


def simulate_volume(
    scene: Scene,
    radar: Radar,
    clutter: Clutter,
    *,
    start: np.datetime64,
    t_s: float,
    rng: Rng,
    place_m: tuple[float, float] = (0.0, 0.0),
) -> PolarVolume:
    """Scan a scene once.

    Parameters
    ----------
    start
        Valid time of the volume: when its first sweep begins.
    t_s
        The same in seconds of the scene. Every sweep sees the scene as it is in the middle of that sweep.
    rng
        Noise of this volume.
    place_m
        Where the radar stands in the scene: metres east and north of its origin.

    Returns
    -------
    PolarVolume
        ``reflectivity`` dBZ, ``velocity`` m/s and ``rhohv`` of every sweep; gates below the noise hold
        :data:`~nowcast.radar.polar.NO_ECHO_DBZ`, and NaN in the other two.
    """
    sweeps = []
    for number, elevation in enumerate(radar.elevations_deg):
        begin_s = number * radar.turn_s
        middle_s = t_s + begin_s + radar.turn_s / 2
        weather = weather_sweep(take_snapshot(scene, middle_s), radar, elevation, place_m)
        ground = clutter.at(elevation, radar.beam_width_deg)
        fields = _measure(scene, radar, elevation, middle_s, weather, ground, rng)
        sweeps.append(
            Sweep(
                elevation_deg=elevation,
                azimuth_deg=radar.azimuth_deg.astype(np.float32),
                first_gate_m=radar.first_gate_m,
                gate_m=radar.gate_m,
                fields=fields,
                time=start + np.timedelta64(round(begin_s * 1e3), "ms"),
            )
        )
    return PolarVolume(
        radar.site, start, tuple(sweeps), radar.name, radar.beam_width_deg, "VOL", "simulated", "simulated"
    )


def weather_sweep(
    snapshot: Snapshot, radar: Radar, elevation_deg: float, place_m: tuple[float, float] = (0.0, 0.0)
) -> Float32:
    """Linear reflectivity ``[rays, gates]`` of the weather, averaged over the beam, without noise.

    The mean over six parts of the beam, so placed that their covariance is that of the two-way pattern: echo is
    broadened as the beam widens with range.
    """
    azimuth = np.deg2rad(radar.azimuth_deg + radar.beam_spread_deg * BEAM_PARTS[:, 0, None])
    elevation = elevation_deg + radar.beam_spread_deg * BEAM_PARTS[:, 1, None]
    ground, height = beam_path(radar.range_m, elevation, radar.site)
    if len(snapshot.bin_items) == 0 and not snapshot.has_sheet:
        return np.zeros((radar.rays, radar.gates), np.float32)
    out = np.empty((radar.rays, radar.gates), np.float32)
    sines, cosines, along, up = (
        np.ascontiguousarray(a, np.float32) for a in (np.sin(azimuth), np.cos(azimuth), ground, height)
    )
    kernels.beam_linear_z(snapshot, np.array(place_m, np.float32), sines, cosines, along, up, out)
    return out


@dataclass(frozen=True)
class _Gates:
    """The gates with enough signal to matter: where, and the linear reflectivity in each ``[P]``.

    ``height_m [G]`` is that of all gates of a ray.
    """

    ray: NDArray[np.int64]
    gate: NDArray[np.int64]
    height_m: Float64
    weather: Float64
    ground: Float64
    noise: Float64


def _measure(
    scene: Scene, radar: Radar, elevation_deg: float, t_s: float, weather: Float32, ground: Float64, rng: Rng
) -> dict[str, Float32]:
    """Noise, fading, detection and speckle; ``weather, ground [R, G]`` linear."""
    noise = units.dbz_to_linear(radar.floor_at(radar.range_m) - radar.detection_db)
    index = np.flatnonzero((weather + ground) > 0.2 * noise)
    ray, gate = np.divmod(index, radar.gates)
    gates = _Gates(
        ray,
        gate,
        beam_path(radar.range_m, elevation_deg, radar.site)[1],
        weather.ravel()[index].astype(np.float64),
        _flicker(ground.ravel()[index], rng),
        noise[gate],
    )
    signal = gates.weather + gates.ground
    fading = np.maximum(1 + rng.standard_normal(len(index)) / np.sqrt(radar.samples), 0.05)
    received = (signal + gates.noise) * fading
    estimate = received - gates.noise
    seen = estimate > gates.noise * units.dbz_to_linear(radar.detection_db)
    dbz = units.linear_to_dbz(np.maximum(estimate, 1e-9))
    values = {
        "reflectivity": dbz,
        "velocity": _velocity(scene, radar, elevation_deg, t_s, gates, rng),
        "rhohv": _rhohv(scene, gates, rng),
    }
    speckle = _speckle(radar, noise, rng)
    out = {}
    for name, measured in values.items():
        full = np.full(weather.size, NO_ECHO_DBZ if name == "reflectivity" else np.nan, np.float32)
        full[speckle["index"]] = speckle[name]
        full[index[seen]] = measured[seen]
        out[name] = full.reshape(weather.shape)
    return out


def _flicker(ground: Float64, rng: Rng) -> Float64:
    """Clutter of this moment: trees move, propagation changes, some targets are gone."""
    change_db = rng.normal(0, 1.5, len(ground))
    return ground * units.dbz_to_linear(change_db) * (rng.random(len(ground)) > 0.05)


def _velocity(scene: Scene, radar: Radar, elevation_deg: float, t_s: float, gates: _Gates, rng: Rng) -> Float64:
    """Radial velocity in m/s, away from the radar positive: that of the wind and the fall of what it carries.

    Rain falls at ``2.65 Z**0.114`` m/s (doi:10.1029/RG011i001p00001), ice at 1 m/s; the ground stands still. Power
    weighs them.
    """
    wind, azimuth = scene.flow.wind(gates.height_m, t_s), np.deg2rad(radar.azimuth_deg)
    rain = 2.65 * np.maximum(gates.weather, 1e-3) ** 0.114
    fall = np.where((gates.height_m < scene.melting_m)[gates.gate], np.minimum(rain, 10.0), 1.0)
    elevation = np.deg2rad(elevation_deg)
    along = wind[gates.gate, 0] * np.sin(azimuth)[gates.ray] + wind[gates.gate, 1] * np.cos(azimuth)[gates.ray]
    moving = along * np.cos(elevation) - fall * np.sin(elevation) + rng.normal(0, 1.0, len(along))
    still = rng.normal(0, 0.25, len(along))
    power = gates.weather + gates.ground + 1e-12
    mean = (gates.weather * moving + gates.ground * still) / power
    # The estimate gets worse as the signal sinks into the noise.
    mean += rng.normal(0, 1.0, len(mean)) * np.sqrt(np.minimum(gates.noise / power, 4.0))
    return np.mod(mean + radar.nyquist_ms, 2 * radar.nyquist_ms) - radar.nyquist_ms


def _rhohv(scene: Scene, gates: _Gates, rng: Rng) -> Float64:
    """Correlation coefficient: high in rain and dry snow, lower where snow melts, low in clutter and in noise."""
    melting = np.exp(-0.5 * ((gates.height_m - (scene.melting_m - 300.0)) / 250.0) ** 2)
    weather = 0.992 - 0.05 * melting[gates.gate] + rng.normal(0, 0.004, len(gates.gate))
    ground = np.clip(rng.normal(0.65, 0.18, len(gates.gate)), 0.1, 0.98)
    power = gates.weather + gates.ground + 1e-12
    mixed = (gates.weather * weather + gates.ground * ground) / power
    return np.clip(mixed / (1 + 0.5 * gates.noise / power), 0.05, 1.0)


def _speckle(radar: Radar, noise: Float64, rng: Rng) -> dict[str, NDArray[np.generic]]:
    """Single empty gates that pass for echo."""
    count = int(rng.poisson(radar.false_alarms * radar.rays * radar.gates))
    index = rng.integers(0, radar.rays * radar.gates, count)
    above = radar.detection_db + rng.exponential(3.0, count)
    return {
        "index": index,
        "reflectivity": (units.linear_to_dbz(noise[index % radar.gates]) + above).astype(np.float32),
        "velocity": rng.uniform(-radar.nyquist_ms, radar.nyquist_ms, count).astype(np.float32),
        "rhohv": rng.uniform(0.2, 0.9, count).astype(np.float32),
    }
