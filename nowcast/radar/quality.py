"""Quality control of a polar volume: which gates are not weather, and what is put in their place.

Each test looks at one sign of non-meteorological echo and returns, for one sweep, the gates that show it. They use
this volume only (and a clutter map learnt earlier), never other volumes.

A gate that fails keeps no more than the sweep above supports at that place: in dry weather that is no echo; under a
storm it is the storm. So a false alarm cannot bite a hole into a storm.

Sources: support and fill are texture measures in the manner of Steiner and Smith 2002,
doi:10.1175/1520-0426(2002)019<0673:UOTDRS>2.0.CO;2, as is the vertical gradient; RHOHV in the manner of Tang et al. 2014,
doi:10.1175/JTECH-D-13-00236.1; still echo in the manner of Hubbert et al. 2009, doi:10.1175/2009JTECHA1159.1.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nowcast.radar import quality_kernels as kernels
from nowcast.radar.clutter import ClutterMap
from nowcast.radar.geometry import beam_height_m
from nowcast.radar.polar import NO_ECHO_DBZ, PolarVolume, Sweep
from nowcast.types import Bool, Float32

Share = NDArray[np.floating]

ECHO_DBZ = -30.0
"""Anything above this is echo; what lies between it and ``NO_ECHO_DBZ`` is noise."""


@dataclass(frozen=True)
class QualityConfig:
    """Thresholds of the quality control.

    Attributes
    ----------
    window_m, window_deg
        A gate's neighbourhood reaches so far to each side in range, and as far in azimuth but never beyond the angle.
    support_drop_db
        A neighbour supports a gate when it is no more than so much weaker.
    texture_weight, fill_weight, gradient_weight
        Weights of lacking support, lacking echo around, and strong decrease with height.
    doubt_threshold
        Gates whose weighted sum of doubts reaches this are removed.
    far_from_m, far_m
        Doubt by texture fades between these ranges: ground clutter is near, and far gates are wide.
    rhohv_min, rhohv_min_hail, hail_dbz
        Weather has a higher RHOHV than the first; from ``hail_dbz`` up only the second is asked for.
    still_ms, still_support
        Echo slower than this needs so much support.
    speckle_km2
        Clusters of echo over less ground than this are removed.
    """

    window_m: float = 2000.0
    window_deg: float = 1.5
    support_drop_db: float = 12.0
    texture_weight: float = 0.45
    fill_weight: float = 0.35
    gradient_weight: float = 0.2
    doubt_threshold: float = 0.3
    far_from_m: float = 110_000.0
    far_m: float = 160_000.0
    gradient_db_per_km: tuple[float, float] = (5.0, 25.0)
    rhohv_min: float = 0.8
    rhohv_min_hail: float = 0.6
    hail_dbz: float = 45.0
    still_ms: float = 1.0
    still_support: float = 0.75
    speckle_km2: float = 6.0


def clean(volume: PolarVolume, clutter: ClutterMap | None = None, config: QualityConfig | None = None) -> PolarVolume:
    """Remove echo that is not weather.

    Returns the same volume with other reflectivity: a removed gate holds what the cleaned sweep above has there,
    if that is less than its own value, and no echo where nothing is above. What was not observed stays so.

    Raises
    ------
    InputError
        The clutter map is of another radar or scan.
    """
    config = config or QualityConfig()
    if clutter is not None:
        clutter.check(volume)

    def judge(k: int) -> Bool:
        return doubtful(volume, k, clutter, config)

    with ThreadPoolExecutor(max(min(os.cpu_count() or 1, 8), 1)) as pool:
        bad = list(pool.map(judge, range(len(volume.sweeps))))
    cleaned: list[Sweep] = list(volume.sweeps)
    for k in reversed(range(len(cleaned))):
        above = _sweep_above(cleaned, k, 0.0)
        cleaned[k] = _replace(cleaned[k], bad[k], above, config)
    return volume.with_sweeps(cleaned)


def doubtful(volume: PolarVolume, index: int, clutter: ClutterMap | None, config: QualityConfig) -> Bool:
    """The gates ``[R, G]`` of one sweep that are not weather by any of the tests."""
    sweep = volume.sweeps[index]
    fill, support = shares(sweep, config)
    above = _sweep_above(volume.sweeps, index, volume.beam_width_deg)
    bad = rough(sweep, fill, support, decrease(sweep, above, config), config)
    bad |= unlike_weather(sweep, config)
    bad |= still(sweep, support, config)
    if clutter is not None:
        bad |= clutter.flags(sweep)
    return bad


def shares(sweep: Sweep, config: QualityConfig) -> tuple[Float32, Float32]:
    """Shares ``[R, G]`` of the neighbourhood with echo (fill), and with echo nearly as strong (support)."""
    half_rays, half_gates = _window(sweep, config)
    floor = ECHO_DBZ
    # Differences below 0 dBZ are of no account.
    dbz = np.where(sweep.reflectivity > floor, np.maximum(sweep.reflectivity, 0.0), sweep.reflectivity)
    return kernels.neighbour_shares(dbz.astype(np.float32), half_rays, half_gates, floor, config.support_drop_db)


def decrease(sweep: Sweep, above: Sweep | None, config: QualityConfig) -> Share:
    """Doubt 0..1 ``[R, G]`` from how fast reflectivity decreases upwards: ground clutter is gone a beam width higher."""
    if above is None:
        return np.zeros(sweep.reflectivity.shape, np.float32)
    ray_of, gate_of = _correspondence(sweep, above)
    higher = kernels.strongest_nearby(above.reflectivity, ray_of, gate_of, 1)
    rise_km = 1e-3 * (
        beam_height_m(sweep.range_m, above.elevation_deg) - beam_height_m(sweep.range_m, sweep.elevation_deg)
    )
    drop = np.maximum(sweep.reflectivity, 0.0) - np.maximum(higher, 0.0)
    low, high = config.gradient_db_per_km
    doubt = (drop / np.maximum(rise_km, 0.3) - low) / (high - low)
    return np.where(np.isfinite(doubt), np.clip(doubt, 0.0, 1.0), 0.0)


def rough(sweep: Sweep, fill: Share, support: Share, gradient: Share, config: QualityConfig) -> Bool:
    """Echo that is patchy and uneven, the more so when it is gone a little higher up: clutter, insects, interference."""
    doubt = (
        config.texture_weight * (1.0 - support) + config.fill_weight * (1.0 - fill) + config.gradient_weight * gradient
    )
    near = np.clip((config.far_m - sweep.range_m) / (config.far_m - config.far_from_m), 0.0, 1.0)
    return _echo(sweep) & (doubt * near >= config.doubt_threshold)


def unlike_weather(sweep: Sweep, config: QualityConfig) -> Bool:
    """Echo whose co-polar correlation is too low for rain, snow or hail; nothing where RHOHV was not measured.

    Weak signals have a noisy RHOHV: only gates 10 dB above the noise are judged, when the file tells it.
    """
    rhohv = sweep.fields.get("rhohv")
    if rhohv is None:
        return np.zeros(sweep.reflectivity.shape, bool)
    mean = kernels.smooth_along_range(rhohv, max(round(500.0 / sweep.gate_m), 1))
    limit = np.where(sweep.reflectivity >= config.hail_dbz, config.rhohv_min_hail, config.rhohv_min)
    bad = _echo(sweep) & (mean < limit)
    snr = sweep.fields.get("snr")
    return bad if snr is None else bad & ~(snr < 10.0)


def still(sweep: Sweep, support: Share, config: QualityConfig) -> Bool:
    """Echo that does not move and is uneven; nothing where velocity was not measured."""
    velocity = sweep.fields.get("velocity")
    if velocity is None:
        return np.zeros(sweep.reflectivity.shape, bool)
    return _echo(sweep) & (np.abs(velocity) < config.still_ms) & (support < config.still_support)


def speckle(sweep: Sweep, dbz: Float32, config: QualityConfig) -> Bool:
    """Small clusters of echo left alone."""
    step = 2.0 * np.pi / max(len(sweep.azimuth_deg), 1)
    gate_km2 = np.maximum(1e-6 * sweep.gate_m * sweep.range_m * step, 1e-3)
    # Near the radar a cluster needs at least a few gates, far away no more than two.
    min_gates = np.clip(config.speckle_km2 / gate_km2, 2.0, 9.0)
    return kernels.remove_small_clusters(dbz > ECHO_DBZ, min_gates)


def _echo(sweep: Sweep) -> Bool:
    return sweep.reflectivity > ECHO_DBZ


def _replace(sweep: Sweep, bad: Bool, above: Sweep | None, config: QualityConfig) -> Sweep:
    values = np.where(sweep.reflectivity <= ECHO_DBZ, NO_ECHO_DBZ, sweep.reflectivity)
    if above is None:
        stand_in = np.full(values.shape, NO_ECHO_DBZ, np.float32)
    else:
        ray_of, gate_of = _correspondence(sweep, above)
        stand_in = np.where(gate_of >= 0, above.reflectivity[ray_of][:, np.maximum(gate_of, 0)], NO_ECHO_DBZ)
        stand_in = np.where(np.isfinite(stand_in), stand_in, NO_ECHO_DBZ)
    values = np.where(bad, np.minimum(values, stand_in), values).astype(np.float32)
    values[speckle(sweep, values, config)] = NO_ECHO_DBZ
    return sweep.with_reflectivity(values)


def _sweep_above(sweeps: list[Sweep] | tuple[Sweep, ...], index: int, at_least_deg: float) -> Sweep | None:
    """The next sweep that is higher by ``at_least_deg`` (a little less will do), not one of the same elevation."""
    limit = sweeps[index].elevation_deg + max(0.9 * at_least_deg, 0.15)
    return next((s for s in sweeps[index + 1 :] if s.elevation_deg >= limit), None)


def _window(sweep: Sweep, config: QualityConfig) -> tuple[NDArray[np.intp], int]:
    """Half the neighbourhood in rays, for each gate, and in gates."""
    step = 360.0 / max(len(sweep.azimuth_deg), 1)
    width = np.minimum(np.rad2deg(config.window_m / np.maximum(sweep.range_m, 1.0)), config.window_deg)
    return np.maximum(np.rint(width / step), 1).astype(np.intp), max(round(config.window_m / sweep.gate_m), 1)


def _correspondence(sweep: Sweep, other: Sweep) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each ray and each gate of a sweep the nearest of another one over the same ground; gate -1 beyond its range."""
    from nowcast.radar.geometry import ground_distance_m, slant_range_m

    edges = np.searchsorted(other.azimuth_deg, sweep.azimuth_deg)
    count = len(other.azimuth_deg)
    before, after = (edges - 1) % count, edges % count

    def apart(ray: NDArray[np.intp]) -> NDArray[np.floating]:
        return np.abs((other.azimuth_deg[ray] - sweep.azimuth_deg + 180.0) % 360.0 - 180.0)

    ray_of = np.where(apart(before) <= apart(after), before, after)
    reach = slant_range_m(ground_distance_m(sweep.range_m, sweep.elevation_deg), other.elevation_deg)
    gate = np.rint((np.nan_to_num(reach, nan=1e9) - other.first_gate_m) / other.gate_m)
    inside = (gate >= 0) & (gate < other.reflectivity.shape[1])
    return ray_of.astype(np.intp), np.where(inside, gate, -1).astype(np.intp)


Judge = Callable[[int], Bool]
