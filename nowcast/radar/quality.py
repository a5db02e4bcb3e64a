"""Quality control of a polar volume: which gates are not weather, and what is put in their place.

Each test looks at one sign of non-meteorological echo and says of every gate with echo whether it shows it. The tests
use this volume only (and a clutter map learnt earlier), never other volumes.

A gate that fails keeps no more than the sweep above supports at that place: in dry weather that is no echo; under a
storm it is the storm. So a false alarm cannot bite a hole into a storm.

Texture and vertical gradient are in the manner of Steiner and Smith 2002,
doi:10.1175/1520-0426(2002)019<0673:UOTDRS>2.0.CO;2, RHOHV in that of Tang et al. 2014,
doi:10.1175/JTECH-D-13-00236.1, still echo in that of Hubbert et al. 2009, doi:10.1175/2009JTECHA1159.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nowcast.checks import check_numbers
from nowcast.errors import ConfigError
from nowcast.radar import quality_kernels as kernels
from nowcast.radar.clutter import ClutterMap
from nowcast.radar.geometry import beam_height_m, ground_distance_m, slant_range_m
from nowcast.radar.polar import NO_ECHO_DBZ, SAME_ELEVATION_DEG, PolarVolume, Sweep
from nowcast.types import Bool, Float32
from nowcast_kernels.parallel import run_parallel

Index = NDArray[np.intp]

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
        Weights of lacking support, of lacking echo around, and of strong decrease with height.
    gradient_db_per_km
        A decrease with height below the first is no doubt, from the second on full doubt.
    doubt_limit
        Gates whose weighted sum of doubts reaches this are removed.
    near_m, far_m
        Doubt by texture fades between these ranges: ground clutter is near, and far gates are wide.
    spoke_m, spoke_along, spoke_alone, spoke_beside
        Interference is echo on the second share of a ray within this distance (the third is enough where the sweeps
        above and below see nothing) and on no more than the fourth of the rays beside.
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
    gradient_db_per_km: tuple[float, float] = (5.0, 25.0)
    doubt_limit: float = 0.3
    near_m: float = 110_000.0
    far_m: float = 160_000.0
    spoke_m: float = 15_000.0
    spoke_along: float = 0.5
    spoke_alone: float = 0.25
    spoke_beside: float = 0.1
    rhohv_min: float = 0.8
    rhohv_min_hail: float = 0.6
    hail_dbz: float = 45.0
    still_ms: float = 1.0
    still_support: float = 0.75
    speckle_km2: float = 6.0

    def __post_init__(self) -> None:
        shares = ("spoke_along", "spoke_alone", "spoke_beside", "rhohv_min", "rhohv_min_hail", "still_support")
        weights = ("texture_weight", "fill_weight", "gradient_weight", "still_ms", "speckle_km2")
        check_numbers(self, "quality", positive=("window_m", "window_deg"), not_negative=weights, share=shares)
        if not (self.near_m < self.far_m and self.gradient_db_per_km[0] < self.gradient_db_per_km[1]):
            raise ConfigError("quality near_m and far_m, gradient_db_per_km: expected the second above the first")


@dataclass(frozen=True)
class Echoes:
    """The gates of a sweep that hold echo: index of the ray and of the gate, and dBZ, each ``[E]``."""

    sweep: Sweep
    ray: Index
    gate: Index
    dbz: Float32

    @staticmethod
    def of(sweep: Sweep) -> Echoes:
        """All gates of a sweep with echo."""
        ray, gate = np.nonzero(sweep.reflectivity > ECHO_DBZ)
        return Echoes(sweep, ray, gate, sweep.reflectivity[ray, gate])

    @property
    def range_m(self) -> NDArray[np.floating]:
        """``[E]`` slant range, metres."""
        return self.sweep.range_m[self.gate]

    def field(self, name: str) -> Float32 | None:
        """``[E]`` another field at these gates, or None where the file has no such field."""
        values = self.sweep.fields.get(name)
        return None if values is None else values[self.ray, self.gate]


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

    judged: dict[int, tuple[Echoes, Bool]] = {}

    def judge(index: int) -> None:
        echoes = Echoes.of(volume.sweeps[index])
        judged[index] = echoes, doubtful(echoes, volume, index, clutter, config)

    run_parallel(judge, len(volume.sweeps))
    cleaned: list[Sweep] = list(volume.sweeps)
    for index in reversed(range(len(cleaned))):
        echoes, bad = judged[index]
        cleaned[index] = _replace(echoes, bad, sweep_above(cleaned, index, 0.0), config)
    return volume.with_sweeps(cleaned)


def doubtful(
    echoes: Echoes, volume: PolarVolume, index: int, clutter: ClutterMap | None, config: QualityConfig
) -> Bool:
    """Whether each gate of the volume's sweep ``index`` fails any of the tests ``[E]``."""
    sweeps = volume.sweeps
    above = sweep_above(sweeps, index, volume.beam_width_deg)
    fill, support = shares(echoes, config)
    bad = rough(echoes, fill, support, decrease(echoes, above, config), config)
    bad |= spokes(echoes, [sweeps[k] for k in (index - 1, index + 1) if 0 <= k < len(sweeps)], config)
    bad |= unlike_weather(echoes, config)
    bad |= still(echoes, support, config)
    if clutter is not None:
        bad |= clutter.flags(echoes.sweep)[echoes.ray, echoes.gate]
    return bad


def shares(echoes: Echoes, config: QualityConfig) -> tuple[Float32, Float32]:
    """Shares ``[E]`` of each gate's neighbourhood with echo (fill), and with echo nearly as strong (support)."""
    sweep = echoes.sweep
    step = 360.0 / len(sweep.azimuth_deg)
    width = np.minimum(np.rad2deg(config.window_m / np.maximum(sweep.range_m, 1.0)), config.window_deg)
    half_rays = np.maximum(np.rint(width / step), 1).astype(np.intp)
    half_gates = max(round(config.window_m / sweep.gate_m), 1)
    around = half_rays, half_gates, ECHO_DBZ, config.support_drop_db
    return kernels.neighbour_shares(sweep.reflectivity, echoes.ray, echoes.gate, *around)


def decrease(echoes: Echoes, above: Sweep | None, config: QualityConfig) -> NDArray[np.floating]:
    """Doubt 0..1 ``[E]`` from how fast reflectivity decreases upwards: clutter is gone a beam width higher."""
    if above is None:
        return np.zeros(echoes.dbz.shape, np.float32)
    sweep = echoes.sweep
    ray_of, gate_of = correspondence(sweep, above)
    higher = kernels.strongest_nearby(above.reflectivity, ray_of[echoes.ray], gate_of[echoes.gate], 1)
    here, there = (beam_height_m(sweep.range_m, s.elevation_deg) for s in (sweep, above))
    rise_km = np.maximum(1e-3 * (there - here), 0.3)[echoes.gate]
    low, high = config.gradient_db_per_km
    doubt = ((np.maximum(echoes.dbz, 0.0) - np.maximum(higher, 0.0)) / rise_km - low) / (high - low)
    return np.where(np.isfinite(doubt), np.clip(doubt, 0.0, 1.0), 0.0)


def rough(
    echoes: Echoes, fill: Float32, support: Float32, gradient: NDArray[np.floating], config: QualityConfig
) -> Bool:
    """Patchy, uneven echo, the more so when it is gone a little higher up: clutter, insects, sea."""
    doubt = (
        config.texture_weight * (1.0 - support) + config.fill_weight * (1.0 - fill) + config.gradient_weight * gradient
    )
    near = np.clip((config.far_m - echoes.range_m) / (config.far_m - config.near_m), 0.0, 1.0)
    return doubt * near >= config.doubt_limit


def spokes(echoes: Echoes, others: Sequence[Sweep], config: QualityConfig) -> Bool:
    """Long radial lines one or two rays wide: another transmitter, or the sun; ``others`` are the sweeps next to it."""
    half_gates = max(round(config.spoke_m / echoes.sweep.gate_m), 1)
    where = echoes.sweep.reflectivity, echoes.ray, echoes.gate
    along, beside = kernels.shares_along_and_beside(*where, half_gates, 2, ECHO_DBZ)
    alone = np.ones(along.shape, bool)
    for other in others:
        ray_of, gate_of = correspondence(echoes.sweep, other)
        nearby = kernels.strongest_nearby(other.reflectivity, ray_of[echoes.ray], gate_of[echoes.gate], 1)
        alone &= ~(nearby > ECHO_DBZ)
    needed = np.where(alone, config.spoke_alone, config.spoke_along)
    return (along >= needed) & (beside <= config.spoke_beside)


def unlike_weather(echoes: Echoes, config: QualityConfig) -> Bool:
    """Echo whose co-polar correlation is too low for rain, snow or hail; none where RHOHV was not measured.

    Weak signals have a noisy RHOHV: only gates 10 dB above the noise are judged, where the file tells it.
    """
    rhohv = echoes.sweep.fields.get("rhohv")
    if rhohv is None:
        return np.zeros(echoes.dbz.shape, bool)
    smooth = kernels.smooth_along_range(rhohv, max(round(500.0 / echoes.sweep.gate_m), 1))
    limit = np.where(echoes.dbz >= config.hail_dbz, config.rhohv_min_hail, config.rhohv_min)
    bad = smooth[echoes.ray, echoes.gate] < limit
    snr = echoes.field("snr")
    return bad if snr is None else bad & ~(snr < 10.0)


def still(echoes: Echoes, support: Float32, config: QualityConfig) -> Bool:
    """Uneven echo that does not move; none where velocity was not measured."""
    velocity = echoes.field("velocity")
    if velocity is None:
        return np.zeros(echoes.dbz.shape, bool)
    return (np.abs(velocity) < config.still_ms) & (support < config.still_support)


def speckle(sweep: Sweep, config: QualityConfig) -> Bool:
    """Small clusters of echo left alone ``[R, G]``."""
    step = 2.0 * np.pi / len(sweep.azimuth_deg)
    gate_km2 = np.maximum(1e-6 * sweep.gate_m * sweep.range_m * step, 1e-3)
    # Near the radar a cluster needs at least a few gates, far away no more than two.
    min_gates = np.clip(config.speckle_km2 / gate_km2, 2.0, 9.0)
    return kernels.remove_small_clusters(sweep.reflectivity > ECHO_DBZ, min_gates)


def _replace(echoes: Echoes, bad: Bool, above: Sweep | None, config: QualityConfig) -> Sweep:
    """The sweep with its bad gates limited to what the sweep above has there, and without speckle."""
    sweep = echoes.sweep
    values = sweep.reflectivity.copy()
    values[values <= ECHO_DBZ] = NO_ECHO_DBZ
    ray, gate = echoes.ray[bad], echoes.gate[bad]
    values[ray, gate] = NO_ECHO_DBZ
    if above is not None:
        ray_of, gate_of = (of[at] for of, at in zip(correspondence(sweep, above), (ray, gate), strict=True))
        higher = above.reflectivity[ray_of, np.maximum(gate_of, 0)]
        use = (gate_of >= 0) & np.isfinite(higher)
        values[ray[use], gate[use]] = np.minimum(echoes.dbz[bad][use], higher[use])
    cleaned = sweep.with_reflectivity(values)
    values[speckle(cleaned, config)] = NO_ECHO_DBZ
    return cleaned


def sweep_above(sweeps: Sequence[Sweep], index: int, at_least_deg: float) -> Sweep | None:
    """The next sweep that is higher by ``at_least_deg`` (a little less will do), not one of the same elevation."""
    limit = sweeps[index].elevation_deg + max(0.9 * at_least_deg, SAME_ELEVATION_DEG)
    return next((s for s in sweeps[index + 1 :] if s.elevation_deg >= limit), None)


def correspondence(sweep: Sweep, other: Sweep) -> tuple[Index, Index]:
    """For each ray ``[R]`` and each gate ``[G]`` of a sweep the nearest of another one over the same ground.

    The gate is -1 beyond the other's range.
    """
    count = len(other.azimuth_deg)
    after = np.searchsorted(other.azimuth_deg, sweep.azimuth_deg)
    after, before = after % count, (after - 1) % count

    def apart(ray: Index) -> NDArray[np.floating]:
        return np.abs((other.azimuth_deg[ray] - sweep.azimuth_deg + 180.0) % 360.0 - 180.0)

    ray_of = np.where(apart(before) <= apart(after), before, after)
    reach = slant_range_m(ground_distance_m(sweep.range_m, sweep.elevation_deg), other.elevation_deg)
    gate = np.rint((np.nan_to_num(reach, nan=1e9) - other.first_gate_m) / other.gate_m)
    inside = (gate >= 0) & (gate < other.reflectivity.shape[1])
    return ray_of.astype(np.intp), np.where(inside, gate, -1).astype(np.intp)
