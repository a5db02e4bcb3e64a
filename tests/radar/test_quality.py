"""Quality control: clutter goes, storms stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from radar_files import ELEVATIONS, ground_clutter, polar_volume, storm

from nowcast.radar import NO_ECHO_DBZ, PolarVolume, Sweep
from nowcast.radar.quality import (
    Echoes,
    QualityConfig,
    clean,
    correspondence,
    decrease,
    shares,
    speckle,
    spokes,
    still,
    sweep_above,
    unlike_weather,
)

CONFIG = QualityConfig()


def share_left(before: PolarVolume, after: PolarVolume, least_dbz: float = 10.0) -> float:
    there = sum(int((s.reflectivity >= least_dbz).sum()) for s in before.sweeps)
    left = sum(int((s.reflectivity >= least_dbz).sum()) for s in after.sweeps)
    return left / there


def dry(gates: int = 160) -> PolarVolume:
    return polar_volume(lambda x, y, z: np.full(z.shape, NO_ECHO_DBZ), gates=gates)


def test_clutter_in_dry_weather_goes() -> None:
    volume = ground_clutter(dry())
    assert share_left(volume, clean(volume)) < 0.03


def test_a_storm_stays_whole() -> None:
    volume = polar_volume(storm())
    cleaned = clean(volume)
    assert share_left(volume, cleaned, 10.0) > 0.98
    for before, after in zip(volume.sweeps, cleaned.sweeps, strict=True):
        strong = before.reflectivity >= 30.0
        np.testing.assert_allclose(after.reflectivity[strong], before.reflectivity[strong], atol=1.0)


def test_a_storm_over_clutter_loses_the_clutter_only() -> None:
    clear = polar_volume(storm(x0=30e3, y0=0.0))
    dirty = ground_clutter(clear)
    cleaned = clean(dirty)
    for truth, before, after in zip(clear.sweeps[:3], dirty.sweeps, cleaned.sweeps, strict=False):
        core = truth.reflectivity >= 30.0
        error = np.abs(after.reflectivity - truth.reflectivity)[core]
        assert np.median(error) < 0.5
        assert (truth.reflectivity - after.reflectivity)[core].max() < 15.0  # no bite out of the core
        outside = (truth.reflectivity <= NO_ECHO_DBZ) & (before.reflectivity >= 20.0)
        assert (after.reflectivity[outside] >= 20.0).mean() < 0.1


def test_a_wide_rain_area_stays() -> None:
    rng = np.random.default_rng(3)

    def rain(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        showers = 25.0 + 8.0 * np.sin(x / 9e3) * np.cos(y / 7e3) + rng.normal(0, 1.5, z.shape)
        return np.where(z < 4500.0, showers, NO_ECHO_DBZ)

    volume = polar_volume(rain)
    cleaned = clean(volume)
    low = slice(0, 4)  # a steep beam leaves the rain within a few gates: there its edge is lost
    assert share_left(volume.with_sweeps(volume.sweeps[low]), cleaned.with_sweeps(cleaned.sweeps[low])) > 0.99
    assert share_left(volume, cleaned) > 0.97


def test_small_far_showers_stay() -> None:
    volume = polar_volume(storm(x0=130e3, y0=20e3, radius=3e3, peak=45.0, top=9e3))
    assert share_left(volume, clean(volume), 20.0) > 0.95


def test_what_was_not_observed_stays_unobserved() -> None:
    volume = polar_volume(lambda x, y, z: np.where(x > 0, NO_ECHO_DBZ, np.nan))
    for before, after in zip(volume.sweeps, clean(volume).sweeps, strict=True):
        np.testing.assert_array_equal(np.isnan(before.reflectivity), np.isnan(after.reflectivity))


def test_cleaning_adds_nothing_and_is_deterministic() -> None:
    volume = ground_clutter(polar_volume(storm()))
    once, again = clean(volume), clean(volume)
    for before, a, b in zip(volume.sweeps, once.sweeps, again.sweeps, strict=True):
        assert a.reflectivity.tobytes() == b.reflectivity.tobytes()
        assert (a.reflectivity <= before.reflectivity).all()


def one_sweep(dbz: np.ndarray, gate_m: float = 1000.0, **fields: np.ndarray) -> Sweep:
    rays = dbz.shape[0]
    azimuth = ((np.arange(rays) + 0.5) * 360.0 / rays).astype(np.float32)
    values = {"reflectivity": dbz, **fields}
    return Sweep(0.5, azimuth, 0.5 * gate_m, gate_m, {n: v.astype(np.float32) for n, v in values.items()})


def no_echo(shape: tuple[int, int] = (360, 150)) -> np.ndarray:
    return np.full(shape, NO_ECHO_DBZ)


def test_speckle_is_small_clusters() -> None:
    dbz = no_echo()
    dbz[10, 80] = 30.0  # one gate of 1.4 km2
    dbz[100:104, 80:84] = 30.0
    dbz[[359, 0], 100:104] = 30.0  # across north
    small = speckle(one_sweep(dbz), CONFIG)
    assert small[10, 80]
    assert small.sum() == 1


def test_shares_count_observed_neighbours() -> None:
    dbz = no_echo()
    dbz[50:60, 50:60] = 30.0
    dbz[54, 54] = 50.0
    dbz[200, 70] = 40.0
    echoes = Echoes.of(one_sweep(dbz))
    fill, support = shares(echoes, CONFIG)
    at = {(int(r), int(g)): k for k, (r, g) in enumerate(zip(echoes.ray, echoes.gate, strict=True))}
    assert (fill[at[55, 55]], support[at[55, 55]]) == (1.0, 1.0)
    assert (fill[at[54, 54]], support[at[54, 54]]) == (1.0, 0.0)
    assert (fill[at[200, 70]], support[at[200, 70]]) == (0.0, 0.0)
    assert 0.3 < fill[at[50, 50]] < 0.6


def test_spokes_are_thin_lines_along_a_ray() -> None:
    dbz = no_echo()
    dbz[30, 60:] = 15.0
    dbz[100:110, 60:70] = 15.0
    echoes = Echoes.of(one_sweep(dbz))
    found = spokes(echoes, [], CONFIG)
    assert found[echoes.ray == 30].all()
    assert not found[echoes.ray != 30].any()


def test_low_correlation_is_not_weather_but_hail_may_be_lower() -> None:
    dbz, rhohv = no_echo(), np.full((360, 150), 0.98)
    dbz[0:40, 50:90] = 25.0
    rhohv[0:10, 50:90] = 0.5  # birds
    rhohv[10:20, 50:90] = 0.9  # melting snow
    dbz[20:30, 50:90] = 55.0
    rhohv[20:30, 50:90] = 0.7  # hail
    echoes = Echoes.of(one_sweep(dbz, rhohv=rhohv))
    bad = unlike_weather(echoes, CONFIG)
    assert bad[echoes.ray < 10].mean() > 0.95
    assert not bad[echoes.ray >= 10].any()


def test_weak_signals_are_not_judged_by_correlation() -> None:
    dbz = no_echo()
    dbz[0:40, 50:90] = 10.0
    noisy = np.full((360, 150), 0.4)
    weak = Echoes.of(one_sweep(dbz, rhohv=noisy, snr=np.full((360, 150), 3.0)))
    strong = Echoes.of(one_sweep(dbz, rhohv=noisy, snr=np.full((360, 150), 30.0)))
    assert not unlike_weather(weak, CONFIG).any()
    assert unlike_weather(strong, CONFIG).all()


def test_still_echo_goes_only_where_it_is_uneven() -> None:
    rng = np.random.default_rng(2)
    dbz, velocity = no_echo(), np.zeros((360, 150))
    dbz[0:40, 40:80] = np.where(rng.random((40, 40)) < 0.4, 40.0, 10.0)  # clutter
    dbz[100:140, 40:80] = 35.0  # rain that moves across the beam
    echoes = Echoes.of(one_sweep(dbz, velocity=velocity))
    _, support = shares(echoes, CONFIG)
    bad = still(echoes, support, CONFIG)
    assert bad[(echoes.ray < 40) & (echoes.dbz == 40.0)].mean() > 0.9
    assert bad[(echoes.ray >= 102) & (echoes.ray < 138) & (echoes.gate > 42) & (echoes.gate < 78)].sum() == 0
    moving = Echoes.of(one_sweep(dbz, velocity=velocity + 8.0))
    assert not still(moving, support, CONFIG).any()


def test_clutter_decreases_fast_with_height() -> None:
    volume = ground_clutter(dry())
    echoes = Echoes.of(volume.sweeps[0])
    above = sweep_above(volume.sweeps, 0, volume.beam_width_deg)
    assert above is not None
    assert above.elevation_deg == pytest.approx(2.7)
    doubt = decrease(echoes, above, CONFIG)
    assert np.median(doubt[(echoes.dbz > 40.0) & (echoes.range_m < 40e3)]) > 0.8
    tall = polar_volume(storm(x0=30e3, y0=0.0))
    weather = Echoes.of(tall.sweeps[0])
    assert np.median(decrease(weather, sweep_above(tall.sweeps, 0, 1.9), CONFIG)) < 0.1


def test_nothing_is_above_the_highest_sweep() -> None:
    volume = dry(40)
    assert sweep_above(volume.sweeps, len(ELEVATIONS) - 1, 0.0) is None
    assert decrease(Echoes.of(volume.sweeps[-1]), None, CONFIG).size == 0


def test_correspondence_follows_the_ground() -> None:
    low = polar_volume(lambda x, y, z: 0 * z, elevations=(0.5,), gates=100).sweeps[0]
    high = polar_volume(lambda x, y, z: 0 * z, elevations=(60.0,), gates=150, rays=720).sweeps[0]
    ray, gate = correspondence(low, high)
    assert (np.abs(high.azimuth_deg[ray] - low.azimuth_deg) <= 0.26).all()
    # At 60 degrees the slant range is about twice the distance along the ground.
    assert gate[30] == pytest.approx(61, abs=1)
    assert gate[90] == -1


def test_nan_and_empty_sweeps_pass_through() -> None:
    volume = polar_volume(lambda x, y, z: np.full(z.shape, np.nan), elevations=(0.5, 1.2))
    assert all(np.isnan(s.reflectivity).all() for s in clean(volume).sweeps)
    few = replace(volume, sweeps=volume.sweeps[:1])
    assert len(clean(few).sweeps) == 1
