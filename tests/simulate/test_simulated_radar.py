"""What the simulated radar measures, against geometry and the radar equation."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast.errors import InputError
from nowcast.radar.polar import NO_ECHO_DBZ, Site
from nowcast.simulate import Radar, Roughness, Scene, draw_scene, reflectivity, simulate_volume, simulate_volumes
from nowcast.simulate.cells import Cells
from nowcast.simulate.clutter import draw_clutter
from nowcast.simulate.field import take_snapshot
from nowcast.simulate.flow import SteeringFlow
from nowcast.simulate.noise import Renewal
from nowcast.simulate.polar import BEAM_PARTS, weather_sweep
from nowcast.simulate.radar import beam_path, ray_to
from nowcast.simulate.scene import Sheet
from nowcast.types import GridSpec

SITE = Site(-27.5, 152.5, 80.0)
START = np.datetime64("2024-01-01T00:00", "ns")
SMALL = Radar(elevations_deg=(0.5, 2.0, 5.0, 12.0), rays=180, gates=75, gate_m=2000.0, clutter=False)


def uniform_scene(dbz: float, flow: SteeringFlow | None = None) -> Scene:
    """Rain of one reflectivity everywhere below 18 km."""
    sheet = Sheet(dbz, 0.0, 0.0, 19e3, Renewal(3600.0, np.zeros((1, 2))))
    flow = flow or SteeringFlow.uniform(0.0, 0.0)
    return Scene("stratiform", flow, Cells.empty(), sheet, Roughness.none(), melting_m=20e3)


def scan(scene: Scene, radar: Radar, seed: int = 0):  # type: ignore[no-untyped-def]
    clutter = draw_clutter(radar, 7)
    return simulate_volume(scene, radar, clutter, start=START, t_s=600.0, rng=np.random.default_rng(seed))


def test_beam_height_is_that_of_the_four_thirds_earth() -> None:
    range_m = np.array([20e3, 100e3, 150e3])
    ground, height = beam_path(range_m, 0.0, replace(SITE, alt=0.0))
    np.testing.assert_allclose(height, range_m**2 / (2 * 4 / 3 * 6371e3), rtol=1e-3)
    assert np.all(ground < range_m)


def test_beam_path_agrees_with_pyart() -> None:
    os.environ.setdefault("PYART_QUIET", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyart.core import antenna_to_cartesian
    range_m = np.linspace(1e3, 200e3, 40)
    for elevation in (0.5, 3.0, 19.5):
        x, y, z = antenna_to_cartesian(range_m / 1e3, np.full(40, 30.0), np.full(40, elevation))
        ground, height = beam_path(range_m, elevation, SITE)
        np.testing.assert_allclose(ground, np.hypot(x, y), rtol=1e-6)
        np.testing.assert_allclose(height, z + SITE.alt, atol=1.0)


@given(st.floats(1e3, 250e3), st.floats(0.0, 60.0))
def test_ray_to_inverts_beam_path(range_m: float, elevation: float) -> None:
    ground, height = beam_path(np.array([range_m]), elevation, SITE)
    back, angle = ray_to(ground, height, SITE)
    assert back[0] == pytest.approx(range_m, rel=1e-6)
    assert angle[0] == pytest.approx(elevation, abs=1e-4)


def test_the_parts_of_the_beam_have_its_covariance() -> None:
    np.testing.assert_allclose(BEAM_PARTS.T @ BEAM_PARTS / len(BEAM_PARTS), np.eye(2), atol=0.02)


def test_a_uniform_field_stays_uniform() -> None:
    z = weather_sweep(take_snapshot(uniform_scene(31.0), 0.0), SMALL, 2.0)
    np.testing.assert_allclose(10 * np.log10(z), 31.0, atol=1e-3)


def test_echo_below_the_noise_is_lost_by_range() -> None:
    # -20 dBZ at 1 km is 20 dBZ at 100 km.
    radar = replace(SMALL, floor_dbz=-20.0, false_alarms=0.0)
    volume = scan(uniform_scene(20.0), radar)
    sweep = volume.sweeps[0]
    seen = (sweep.reflectivity != NO_ECHO_DBZ).mean(0)
    assert np.all(seen[sweep.range_m < 70e3] > 0.95)
    assert np.all(seen[sweep.range_m > 125e3] < 0.2)
    assert 0.3 < seen[np.abs(sweep.range_m - 100e3) < 1500].mean() < 0.7
    near = sweep.reflectivity[:, sweep.range_m < 40e3]
    assert near.mean() == pytest.approx(20.0, abs=0.3)
    assert near.std() == pytest.approx(4.34 / np.sqrt(radar.samples), rel=0.3)


def test_speckles_are_as_frequent_as_told() -> None:
    radar = replace(SMALL, false_alarms=1e-3)
    volume = scan(replace(uniform_scene(0.0), sheet=None), radar)
    count = sum(int((s.reflectivity != NO_ECHO_DBZ).sum()) for s in volume.sweeps)
    expected = 1e-3 * radar.rays * radar.gates * len(radar.elevations_deg)
    assert abs(count - expected) < 5 * np.sqrt(expected)


def test_velocity_is_that_of_the_wind() -> None:
    radar = replace(SMALL, nyquist_ms=40.0)
    sweep = scan(uniform_scene(30.0, SteeringFlow.uniform(20.0, -8.0)), radar).sweeps[0]
    azimuth = np.deg2rad(sweep.azimuth_deg)
    u, v = np.linalg.lstsq(
        np.stack([np.sin(azimuth), np.cos(azimuth)], -1), sweep.fields["velocity"].mean(1), rcond=None
    )[0]
    assert (u, v) == (pytest.approx(20.0, abs=0.2), pytest.approx(-8.0, abs=0.2))
    assert np.nanmedian(sweep.fields["rhohv"]) > 0.98


def test_velocity_beyond_nyquist_is_folded() -> None:
    sweep = scan(uniform_scene(30.0, SteeringFlow.uniform(20.0, 0.0)), replace(SMALL, nyquist_ms=12.0)).sweeps[0]
    velocity = sweep.fields["velocity"]
    assert np.abs(velocity).max() <= 12.0
    east = np.abs(sweep.azimuth_deg - 90) < 10
    assert np.median(velocity[east]) == pytest.approx(20 - 24, abs=1.0)


def test_clutter_stands_still_and_looks_like_clutter() -> None:
    radar = replace(SMALL, clutter=True, false_alarms=0.0)
    dry = replace(uniform_scene(0.0), sheet=None)
    first, second = scan(dry, radar, 1).sweeps[0], scan(dry, radar, 2).sweeps[0]
    seen = [s.reflectivity > 10 for s in (first, second)]
    assert 0.02 < seen[0].mean() < 0.3
    assert (seen[0] & seen[1]).sum() > 0.7 * seen[0].sum()
    assert np.abs(np.median(first.fields["velocity"][seen[0]])) < 0.1
    assert first.fields["velocity"][seen[0]].std() < 1.0
    assert np.median(first.fields["rhohv"][seen[0]]) < 0.8
    near, far = seen[0][:, first.range_m < 20e3].mean(), seen[0][:, first.range_m > 100e3].mean()
    assert near > 5 * far


def test_a_wide_beam_smears_what_is_far() -> None:
    one = Cells(
        **{
            **{n: np.array([v]) for n, v in (("start_s", 0.0), ("growth_s", 600.0), ("mature_s", 1000.0))},
            **{n: np.array([v]) for n, v in (("decay_s", 600.0), ("x_m", 0.0), ("y_m", 110e3), ("peak_dbz", 50.0))},
            **{n: np.array([v]) for n, v in (("top_m", 12e3), ("radius_m", 1500.0), ("axis_ratio", 1.0))},
            **{n: np.array([v]) for n, v in (("orientation_rad", 0.0), ("anvil_dbz", 0.0), ("anvil_floor_m", 0.0))},
            "overhang_m": np.zeros(1),
        },
        propagation_ms=np.zeros((1, 2)),
        storm=np.zeros(1, np.int64),
    )
    scene = Scene("cells", SteeringFlow.uniform(0.0, 0.0), one, None, Roughness.none())
    snapshot = take_snapshot(scene, 1000.0)
    fine = replace(SMALL, rays=720, gates=300, gate_m=500.0)
    narrow, wide = (weather_sweep(snapshot, replace(fine, beam_width_deg=w), 1.0) for w in (0.2, 2.0))
    assert wide.max() < 0.6 * narrow.max()
    assert (wide > 1).any(1).sum() > (narrow > 1).any(1).sum()
    # Smearing moves power, it does not make or lose any (the cell varies little with height here).
    assert wide.sum() == pytest.approx(narrow.sum(), rel=0.15)


def grid_around(site: Site) -> GridSpec:
    return GridSpec(site.lat, site.lon, (15, 59, 59), (1000.0, -145e3, -145e3), (1000.0, 5000.0, 5000.0))


def test_grids_without_a_radar_are_the_field_itself() -> None:
    scene, grid = draw_scene("line", 4, 3600.0), grid_around(SITE)
    times = START + np.array([0, 600], "timedelta64[s]")
    volumes = simulate_volumes(scene, grid, times)
    assert volumes.mask.all()
    expected = reflectivity(scene, grid.x, grid.y[:, None], grid.z[:, None, None], 600.0)
    np.testing.assert_allclose(volumes.reflectivity[1], expected, atol=1e-3)
    assert expected.max() > 40
    later = simulate_volumes(scene, grid, times[1:], start=START)
    np.testing.assert_array_equal(later.values[0], volumes.values[1])


def test_the_mask_is_what_the_scan_reaches() -> None:
    radar = Radar(site=SITE, clutter=False)
    grid = grid_around(SITE)
    volumes = simulate_volumes(uniform_scene(30.0), grid, np.array([START]), radar=radar)
    mask = volumes.mask[0]
    centre = 29
    assert not mask[4:, centre, centre].any()  # cone of silence
    assert mask[4, centre, centre + 6]  # 30 km away, 5 km up: 9 degrees
    assert not mask[:, 0, 0].any()  # the corner is 205 km away
    assert not mask[0, centre, -1]  # 145 km away the lowest beam is at 2.4 km
    assert np.isnan(volumes.reflectivity[0][~mask]).all()
    np.testing.assert_allclose(volumes.reflectivity[0][mask], 30.0, atol=0.01)


def test_polar_and_direct_grids_show_the_same_weather() -> None:
    scene = draw_scene("cells", 11, 1200.0)
    radar = Radar(site=SITE, clutter=False, false_alarms=0.0, turn_s=0.01)
    from nowcast.radar.gridding import grid_volume

    volume = simulate_volume(scene, radar, draw_clutter(radar, 1), start=START, t_s=0.0, rng=np.random.default_rng(0))
    grid = GridSpec(SITE.lat, SITE.lon, (14, 117, 117), (1000.0, -145e3, -145e3), (1000.0, 2500.0, 2500.0))
    gridded, seen = grid_volume(volume, grid)
    direct = simulate_volumes(scene, grid, np.array([START]), radar=radar)
    both = seen & direct.mask[0]
    assert both.mean() > 0.9 * direct.mask[0].mean()
    a, b = gridded[both], direct.reflectivity[0][both]
    assert np.corrcoef(a, b)[0, 1] > 0.93
    assert (a > 30).sum() == pytest.approx((b > 30).sum(), rel=0.15)


def test_the_same_seed_measures_the_same() -> None:
    scene = draw_scene("cells", 1, 1200.0)
    radar = replace(SMALL, clutter=True)
    first, again, other = (scan(scene, radar, s) for s in (1, 1, 2))
    for name in ("reflectivity", "velocity", "rhohv"):
        np.testing.assert_array_equal(first.sweeps[1].fields[name], again.sweeps[1].fields[name])
    assert not np.array_equal(first.sweeps[1].reflectivity, other.sweeps[1].reflectivity)


def test_impossible_radars_are_refused() -> None:
    with pytest.raises(InputError, match="do not rise"):
        Radar(elevations_deg=(2.0, 1.0))
    with pytest.raises(InputError, match="impossible radar"):
        Radar(gate_m=0.0)
