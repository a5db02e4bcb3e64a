"""Gridding against fields whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from radar_files import ELEVATIONS, SITE, polar_volume, storm

from nowcast.errors import ConfigError, InputError
from nowcast.radar import NO_ECHO_DBZ, PolarVolume, Sweep
from nowcast.radar.geometry import beam_height_m, slant_range_m
from nowcast.radar.gridding import GridConfig, choose_sweeps, grid_volume, ray_cells

GRID = GridConfig(spacing_m=5000.0, extent_m=120_000.0)


def test_the_default_grid_is_the_documented_one() -> None:
    grid = GridConfig().around(SITE)
    assert grid.shape == (29, 117, 117)
    assert (grid.z[0], grid.z[-1], grid.x[0], grid.x[-1]) == (1000.0, 15000.0, -145000.0, 145000.0)
    assert (grid.origin_lat, grid.origin_lon, grid.origin_alt) == (SITE.lat, SITE.lon, 0.0)


def test_an_impossible_grid_is_refused() -> None:
    for bad in ({"spacing_m": 0.0}, {"top_m": -1.0}, {"extent_m": np.nan}, {"bottom_m": np.inf}):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            GridConfig(**bad)


@pytest.mark.parametrize(("rays", "gate_m"), [(360, 1000.0), (720, 250.0), (180, 4000.0)])
def test_a_constant_field_stays_constant(rays: int, gate_m: float) -> None:
    gates = int(160e3 / gate_m)
    volume = polar_volume(lambda x, y, z: 0 * z + 33.0, rays=rays, gates=gates, gate_m=gate_m)
    values, mask = grid_volume(volume, GRID.around(SITE))
    assert mask.any()
    assert np.isfinite(values).sum() == mask.sum()
    np.testing.assert_allclose(values[mask], 33.0, rtol=1e-6)


def test_a_field_linear_in_height_comes_out_between_the_sweeps() -> None:
    volume = polar_volume(lambda x, y, z: 10.0 + z / 400.0, gates=640, gate_m=250.0)
    grid = GridConfig(spacing_m=1000.0, extent_m=100_000.0).around(SITE)
    values, mask = grid_volume(volume, grid)
    ground = np.hypot(*np.meshgrid(grid.x, grid.y))
    low, high = (SITE.alt + beam_height_m(slant_range_m(ground, e), e) for e in (ELEVATIONS[0], ELEVATIONS[-1]))
    inside = (grid.z[:, None, None] > low) & (grid.z[:, None, None] < high) & (ground > 10e3)
    assert mask[inside].all()
    expected = np.broadcast_to(10.0 + grid.z[:, None, None] / 400.0, values.shape)
    # A sweep's height changes across a voxel, steeply so for the highest: hence not exact.
    np.testing.assert_allclose(values[inside], expected[inside], atol=0.15)


def test_a_field_linear_across_the_ground_is_kept() -> None:
    volume = polar_volume(lambda x, y, z: 30.0 + x / 10e3 - y / 20e3, gates=160)
    grid = GridConfig(spacing_m=2500.0, extent_m=100_000.0).around(SITE)
    values, mask = grid_volume(volume, grid)
    x, y = np.meshgrid(grid.x, grid.y)
    expected = np.broadcast_to(30.0 + x / 10e3 - y / 20e3, values.shape)
    far = mask & (np.hypot(x, y) > 15e3)
    np.testing.assert_allclose(values[far], expected[far], atol=0.1)


def test_no_echo_is_zero_and_observed_and_missing_is_nan_and_not() -> None:
    volume = polar_volume(lambda x, y, z: np.where(x > 0, NO_ECHO_DBZ, np.nan), gates=200)
    grid = GRID.around(SITE)
    values, mask = grid_volume(volume, grid)
    east, west = grid.x > 10e3, grid.x < -10e3
    assert (values[:, :, east][mask[:, :, east]] == 0.0).all()
    assert mask[8, :, east].all()
    assert not mask[:, :, west].any()
    assert np.isnan(values[:, :, west]).all()


def test_the_mask_ends_half_a_beam_beyond_the_lowest_and_highest_sweep() -> None:
    volume = polar_volume(lambda x, y, z: 0 * z + 20.0, elevations=(1.0, 3.0, 6.0), beam_width_deg=1.0)
    grid = GridConfig(spacing_m=4000.0, extent_m=100_000.0, level_spacing_m=100.0, bottom_m=0.0).around(SITE)
    _, mask = grid_volume(volume, grid)
    row, column = 25, 45  # 80 km east
    assert (grid.y[row], grid.x[column]) == (0.0, 80_000.0)
    observed = grid.z[mask[:, row, column]]
    edges = [SITE.alt + beam_height_m(slant_range_m(80e3, e), e) for e in (0.5, 6.5)]
    assert observed[0] == pytest.approx(edges[0], abs=110.0)
    assert observed[-1] == pytest.approx(edges[1], abs=110.0)
    assert mask[(grid.z > edges[0] + 110) & (grid.z < edges[1] - 110), row, column].all()


def test_nothing_is_observed_above_the_radar_nor_beyond_its_range() -> None:
    volume = polar_volume(lambda x, y, z: 0 * z, gates=80)
    grid = GRID.around(SITE)
    _, mask = grid_volume(volume, grid)
    centre = grid.shape[1] // 2
    assert not mask[-1, centre, centre]
    ground = np.hypot(*np.meshgrid(grid.x, grid.y))
    assert not mask[:, ground > 83e3].any()
    assert mask[4, (ground > 20e3) & (ground < 70e3)].all()


def _without_rays(sweep: Sweep, first: float, last: float) -> Sweep:
    keep = (sweep.azimuth_deg < first) | (sweep.azimuth_deg > last)
    fields = {name: values[keep] for name, values in sweep.fields.items()}
    return replace(sweep, azimuth_deg=sweep.azimuth_deg[keep], fields=fields)


def test_missing_rays_leave_a_gap_of_their_own_width() -> None:
    volume = polar_volume(lambda x, y, z: 0 * z + 30.0)
    volume = volume.with_sweeps([_without_rays(s, 60.0, 90.0) for s in volume.sweeps])
    grid = GRID.around(SITE)
    values, mask = grid_volume(volume, grid)
    x, y = np.meshgrid(grid.x, grid.y)
    azimuth, ground = np.mod(np.rad2deg(np.arctan2(x, y)), 360.0), np.hypot(x, y)
    ring = (ground > 60e3) & (ground < 110e3)
    assert not mask[:, ring & (azimuth > 65) & (azimuth < 85)].any()
    assert mask[8, ring & ((azimuth < 57) | (azimuth > 93))].all()
    np.testing.assert_allclose(values[mask], 30.0, rtol=1e-6)


def test_a_sweep_blocked_in_a_sector_is_bridged_only_between_close_neighbours() -> None:
    def field(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        return 0 * z + 25.0

    def blocked(elevations: tuple[float, ...]) -> np.ndarray:
        volume = polar_volume(field, elevations=elevations, beam_width_deg=1.0)
        middle = volume.sweeps[1].with_reflectivity(np.full_like(volume.sweeps[1].reflectivity, np.nan))
        grid = GRID.around(SITE)
        _, mask = grid_volume(volume.with_sweeps([volume.sweeps[0], middle, volume.sweeps[2]]), grid)
        return mask[:, 24, 44]  # 100 km east

    assert blocked((0.5, 1.2, 1.9))[0:6].all()
    assert not blocked((0.5, 3.0, 6.0))[8:12].any()


def test_a_blocked_lowest_sweep_raises_the_lower_edge_of_the_mask() -> None:
    volume = polar_volume(lambda x, y, z: 0 * z + 25.0, beam_width_deg=1.0)
    low = volume.sweeps[0]
    east = (low.azimuth_deg > 45) & (low.azimuth_deg < 135)
    dbz = np.where(east[:, None], np.nan, low.reflectivity).astype(np.float32)
    grid = GridConfig(spacing_m=5000.0, extent_m=120_000.0, bottom_m=500.0, level_spacing_m=250.0).around(SITE)
    _, mask = grid_volume(volume.with_sweeps([low.with_reflectivity(dbz), *volume.sweeps[1:]]), grid)
    east_column, west_column = mask[:, 24, 44], mask[:, 24, 4]
    assert grid.z[east_column][0] > grid.z[west_column][0] + 250.0


def test_a_storm_stays_where_it_is() -> None:
    grid = GridConfig().around(SITE)
    values, _ = grid_volume(polar_volume(storm(x0=60e3, y0=-35e3), gates=254), grid)
    level, row, column = np.unravel_index(np.nanargmax(values), values.shape)
    assert abs(grid.x[column] - 60e3) <= 2500.0
    assert abs(grid.y[row] + 35e3) <= 2500.0
    assert abs(grid.z[level] - 3600.0) <= 1000.0
    assert 50.0 < np.nanmax(values) <= 55.0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 359))
def test_turning_the_antenna_turns_the_rays_only(shift: int) -> None:
    """Where the first ray lies must not matter: the circle has no seam."""
    volume = polar_volume(storm(), elevations=(1.0, 4.0, 9.0), gates=100)
    turned = []
    for sweep in volume.sweeps:
        azimuth = np.mod(sweep.azimuth_deg + 0.37, 360.0).astype(np.float32)
        order = np.argsort(azimuth)
        moved = np.roll(sweep.reflectivity, shift, axis=0)[order]
        turned.append(Sweep(sweep.elevation_deg, azimuth[order], 500.0, 1000.0, {"reflectivity": moved}))
    grid = GridConfig(spacing_m=5000.0, extent_m=90_000.0).around(SITE)
    values, _ = grid_volume(volume.with_sweeps(turned), grid)
    ground = np.hypot(*np.meshgrid(grid.x, grid.y))
    _, row, column = np.unravel_index(np.nanargmax(values), values.shape)
    assert abs(ground[row, column] - np.hypot(40e3, 20e3)) < 6e3
    expected = np.mod(np.rad2deg(np.arctan2(40e3, 20e3)) + shift + 0.37, 360.0)
    found = np.rad2deg(np.arctan2(grid.x[column], grid.y[row]))
    assert abs((found - expected + 180.0) % 360.0 - 180.0) < 6.0


def test_overlapping_rays_count_once() -> None:
    """Some radars sweep a little more than a full circle."""
    volume = polar_volume(lambda x, y, z: 0 * z + 21.0, elevations=(1.0,))
    sweep = volume.sweeps[0]
    azimuth = np.sort(np.concatenate([sweep.azimuth_deg, [0.9, 1.9, 2.9]])).astype(np.float32)
    rows = np.full((363, 160), 21.0, np.float32)
    more = Sweep(1.0, azimuth, 500.0, 1000.0, {"reflectivity": rows})
    values, mask = grid_volume(volume.with_sweeps([more]), GRID.around(SITE))
    once, same = grid_volume(volume, GRID.around(SITE))
    np.testing.assert_array_equal(mask, same)
    np.testing.assert_allclose(values, once, rtol=1e-6)


def test_ray_cells_tile_the_circle_and_leave_gaps() -> None:
    azimuth = (np.arange(360) + 0.5).astype(np.float32)
    start, stop = ray_cells(azimuth)
    np.testing.assert_allclose(stop[:-1], start[1:])
    assert stop[-1] - start[0] == pytest.approx(360.0)
    start, stop = ray_cells(np.delete(azimuth, [100, 101, 102]))
    assert (start[100] - stop[99]) == pytest.approx(4.0 - 2 * 0.8, abs=0.01)


def test_of_several_sweeps_at_one_elevation_the_farthest_reaching_is_used() -> None:
    far, near = polar_volume(lambda x, y, z: 0 * z + 10.0, elevations=(0.5,)).sweeps[0], None
    near = polar_volume(lambda x, y, z: 0 * z + 40.0, elevations=(0.55,), gates=60).sweeps[0]
    vertical = polar_volume(lambda x, y, z: 0 * z + 40.0, elevations=(90.0,), gates=60).sweeps[0]
    volume = PolarVolume(SITE, np.datetime64("2020-01-01", "ns"), (far, near, vertical))
    assert choose_sweeps(volume) == [far]


def test_only_a_vertical_scan_is_refused() -> None:
    volume = polar_volume(lambda x, y, z: 0 * z, elevations=(90.0,))
    with pytest.raises(InputError, match="no sweep below 85 degrees"):
        grid_volume(volume, GRID.around(SITE))


def test_gridding_is_deterministic() -> None:
    volume = polar_volume(storm())
    grid = GRID.around(SITE)
    assert grid_volume(volume, grid)[0].tobytes() == grid_volume(volume, grid)[0].tobytes()


def test_another_origin_sees_the_same_storm_at_the_same_place() -> None:
    volume = polar_volume(storm(x0=30e3, y0=0.0))
    near = GridConfig(spacing_m=2500.0, extent_m=80_000.0).around(SITE)
    moved = replace(near, origin_lat=SITE.lat + 0.1)
    values, _ = grid_volume(volume, moved)
    _, row, column = np.unravel_index(np.nanargmax(values), values.shape)
    assert moved.x[column] == pytest.approx(30e3, abs=2600.0)
    assert moved.y[row] == pytest.approx(-0.1 * 110_700.0, abs=2600.0)
