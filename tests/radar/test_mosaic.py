"""Several radars on one grid: against what each alone sees, and against the truth of a simulated scene."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from helpers import real_data
from radar_files import nothing, polar_volume

from nowcast.errors import ConfigError
from nowcast.pipeline.config import load_config
from nowcast.pipeline.settings import Settings
from nowcast.radar import Site, read_volume
from nowcast.radar.geometry import column_positions
from nowcast.radar.gridding import GridConfig, grid_volume
from nowcast.radar.mosaic import MosaicConfig, Part, combine, common_grid, radar_weight
from nowcast.radar.quality import QualityConfig, clean
from nowcast.simulate import ArchivePlan, Radar
from nowcast.simulate.clutter import draw_clutter
from nowcast.simulate.grids import simulate_volumes
from nowcast.simulate.polar import simulate_volume
from nowcast.types import Bool, Float32, GridSpec

# On the equator north is the same way everywhere, as in a scene.
EAST_M = 111_319.5
SITES = (Site(0.0, 149.5, 50.0), Site(0.0, 150.5, 300.0))
COARSE = GridConfig(spacing_m=5000.0, extent_m=60_000.0, level_spacing_m=1000.0)
FINE = GridConfig(spacing_m=2500.0, extent_m=60_000.0, level_spacing_m=1000.0, top_m=10_000.0)


def part(values: list[float], weight: float) -> Part:
    array = np.array(values, np.float32).reshape(1, 1, 1, -1)
    return Part(array, np.isfinite(array[0]), np.full((1, len(values)), weight, np.float32))


def test_strongest_and_mean_of_what_was_observed() -> None:
    parts = [part([40.0, 20.0, np.nan, np.nan], 0.75), part([20.0, np.nan, 0.0, np.nan], 0.25)]
    for how, expected in (("strongest", [40.0, 20.0, 0.0, np.nan]), ("mean", [35.0, 20.0, 0.0, np.nan])):
        values, mask = combine(parts, how)  # type: ignore[arg-type]
        np.testing.assert_allclose(values.ravel(), expected)
        assert mask.ravel().tolist() == [True, True, True, False]


def test_channels_of_the_strongest_come_from_one_radar_and_of_the_mean_from_those_that_have_them() -> None:
    mask = np.ones((1, 1, 1), bool)
    weight = np.ones((1, 1), np.float32)
    a, b = ([[40.0], [2.0]], [[20.0], [np.nan]]), ([[30.0], [1.0]], [[10.0], [3.0]])
    first, second = (
        [Part(np.array(v, np.float32).reshape(2, 1, 1, 1), mask, weight) for v in radars]
        for radars in ((a[0], b[0]), (a[1], b[1]))
    )
    assert combine(first, "strongest")[0].ravel().tolist() == [40.0, 2.0]
    assert combine(second, "strongest")[0].ravel()[0] == 20.0 and np.isnan(combine(second, "strongest")[0].ravel()[1])
    assert combine(second, "mean")[0].ravel().tolist() == [15.0, 3.0]


def test_weights_fall_with_distance_and_beam_height() -> None:
    grid = COARSE.around(SITES[0])
    middle, row = grid.shape[2] // 2, grid.shape[1] // 2
    near = radar_weight(SITES[0], grid, 50e3, 1e9)
    assert near[row, middle] == 1.0
    assert near[row, middle + 10] == pytest.approx(np.exp(-1.0), rel=1e-3)
    # 50 km away a beam at half a degree is 436 + 147 m up.
    low = radar_weight(SITES[0], grid, 1e9, 583.0)
    assert low[row, middle + 10] == pytest.approx(np.exp(-1.0), rel=5e-3)
    far = radar_weight(SITES[0], GridConfig(spacing_m=50e3, extent_m=3000e3).around(SITES[0]), 50e3, 2e3)
    assert far.min() > 0.0


def test_the_common_grid_reaches_around_all_radars() -> None:
    grid = common_grid(SITES, COARSE)
    assert (grid.origin_lat, grid.origin_lon) == (0.0, 150.0)
    assert grid.x[0] <= -0.5 * EAST_M - 60e3 < grid.x[0] + 5000.0
    assert grid.x[-1] - 5000.0 < 0.5 * EAST_M + 60e3 <= grid.x[-1]
    assert abs(grid.y[0]) == pytest.approx(60e3, abs=5000.0)
    for site in SITES:
        assert np.min(column_positions(site, grid)[0]) < 4000.0
    chosen = common_grid(SITES, COARSE, (0.2, 150.1))
    assert (chosen.origin_lat, chosen.origin_lon, chosen.shape[1:]) == (0.2, 150.1, (25, 25))
    with pytest.raises(ConfigError, match="smaller extent"):
        common_grid((SITES[0], Site(0.0, -30.0, 0.0)), GridConfig(spacing_m=500.0))


@pytest.mark.parametrize("wrong", [{"combine": "median"}, {"step_minutes": 0.0}, {"centre": (95.0, 0.0)}])
def test_senseless_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        MosaicConfig(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sites:\n    KTLX: [35.3, -97.3]", r"m\.yaml:3: mosaic\.sites\.KTLX\.2 is missing"),
        (
            "sites:\n    KTLX: [95.3, -97.3, 370.0]",
            r"m\.yaml:2: mosaic sites KTLX: radar position 95\.3.* is impossible",
        ),
        ("combine: median", r"m\.yaml:2: mosaic\.combine = 'median'"),
    ],
)
def test_what_a_settings_file_gets_wrong_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(f"mosaic:\n  {text}\n")
    with pytest.raises(ConfigError, match=told):
        load_config(file, Settings)


def test_no_echo_is_not_the_same_as_not_observed() -> None:
    """A dry radar keeps its part of the grid observed, and says nothing where it does not look."""
    grid = common_grid(SITES, COARSE)
    seen = [grid_volume(polar_volume(nothing, site=site, rays=180, gates=80), grid) for site in SITES]
    parts = [Part(v[None], m, radar_weight(s, grid, 50e3, 2e3)) for (v, m), s in zip(seen, SITES, strict=True)]
    values, mask = combine(parts, "mean")
    np.testing.assert_array_equal(mask, seen[0][1] | seen[1][1])
    assert (values[0][mask] == 0.0).all() and np.isnan(values[0][~mask]).all()


@pytest.fixture(scope="module")
def scene() -> tuple[GridSpec, Float32, list[tuple[Site, Float32, Bool]]]:
    """Simulated cells on the grid: the truth, and what two radars 110 km apart see of them."""
    plan = ArchivePlan(volumes=1, kinds=("cells",), seed=2)
    start, t_s = np.datetime64("2024-01-15T04:00", "ns"), 3000.0
    grid, cells = common_grid(SITES, FINE), plan.scene(0)
    time = np.array([start + np.timedelta64(int(t_s), "s")], "datetime64[ns]")
    truth = simulate_volumes(cells, grid, time, start=start).reflectivity[0]
    seen = []
    for site, east in zip(SITES, (-0.5 * EAST_M, 0.5 * EAST_M), strict=True):
        radar = Radar(site=site, clutter=False, turn_s=0.1, gates=400)
        rng = np.random.default_rng(1)
        volume = simulate_volume(
            cells, radar, draw_clutter(radar, 1), start=start, t_s=t_s, rng=rng, place_m=(east, 0.0)
        )
        seen.append((site, *grid_volume(volume, grid)))
    return grid, truth, seen


def test_a_mosaic_is_nearer_the_truth_than_either_radar(
    scene: tuple[GridSpec, Float32, list[tuple[Site, Float32, Bool]]],
) -> None:
    grid, truth, seen = scene
    parts = [Part(v[None], m, radar_weight(site, grid, 50e3, 2e3)) for site, v, m in seen]
    values, mask = combine(parts, "mean")
    (_, a, of_a), (_, b, of_b) = seen
    np.testing.assert_array_equal(mask, of_a | of_b)
    np.testing.assert_allclose(values[0][of_a & ~of_b], a[of_a & ~of_b], rtol=1e-6)
    both = of_a & of_b & ((truth > 5.0) | (np.nan_to_num(a) > 5.0) | (np.nan_to_num(b) > 5.0))
    assert both.sum() > 1500
    errors = [float(np.sqrt(np.mean((v - truth)[both] ** 2))) for v in (a, b, values[0])]
    assert errors[2] < 0.9 * min(errors[:2])
    bias = float(np.mean((combine(parts, "strongest")[0][0] - truth)[both]))
    assert bias > 0.4, "the strongest of two noisy values is too strong"


def test_neighbouring_radars_in_belgium_agree_and_the_mosaic_holds_what_each_alone_sees() -> None:
    volumes = [
        read_volume(real_data("multiradar_be_20190606", f"{name}.pvol.hdf")) for name in ("behel", "bejab", "bewid")
    ]
    sites = [volume.site for volume in volumes]
    grid = common_grid(sites, GridConfig(spacing_m=5000.0, extent_m=100_000.0, level_spacing_m=1000.0))
    seen = [grid_volume(clean(volume, None, QualityConfig()), grid) for volume in volumes]
    for (a, _), (b, _) in combinations(seen, 2):
        # One volume each, begun within 20 s: what is left are calibration, beams of different width and height, rain
        # in between.
        echo = (a > 10.0) & (b > 10.0)
        difference = (a - b)[echo]
        assert len(difference) > 3000
        assert abs(difference.mean()) < 1.5 and abs(np.median(difference)) < 1.5
        assert np.corrcoef(a[echo], b[echo])[0, 1] > 0.6
    parts = [Part(v[None], m, radar_weight(s, grid, 50e3, 2e3)) for (v, m), s in zip(seen, sites, strict=True)]
    for how in ("mean", "strongest"):
        values, mask = combine(parts, how)  # type: ignore[arg-type]
        np.testing.assert_array_equal(mask, np.logical_or.reduce([p.mask for p in parts]))
        for one in parts:
            alone = one.mask & (np.sum([p.mask for p in parts], axis=0) == 1)
            assert alone.sum() > 300
            np.testing.assert_allclose(values[0][alone], one.values[0][alone], atol=1e-3)
        low, high = (
            f([np.where(p.mask, p.values[0], np.nan) for p in parts], axis=0) for f in (np.fmin.reduce, np.fmax.reduce)
        )
        assert (values[0][mask] >= low[mask] - 1e-3).all() and (values[0][mask] <= high[mask] + 1e-3).all()
