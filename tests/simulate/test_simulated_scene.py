"""The simulated weather against what its parameters say in plain formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nowcast.errors import InputError, UsageError
from nowcast.simulate import KINDS, Roughness, Scene, draw_scene, reflectivity
from nowcast.simulate.cells import Cells, axis_profile, cell_state
from nowcast.simulate.climate import Climate
from nowcast.simulate.field import take_snapshot
from nowcast.simulate.flow import SteeringFlow
from nowcast.simulate.kernels import EDGE_DB, FAINT_DBZ, LEVEL_M, points_linear_z
from nowcast.simulate.noise import Renewal, power_law_noise
from nowcast.simulate.outflow import set_off
from nowcast.units import dbz_to_linear, linear_to_dbz

Float64 = NDArray[np.float64]


def some_cells(**changes: object) -> Cells:
    """Two cells that are mature from 800 to 1800 s, without anvils."""
    two = np.ones(2)
    fields = {
        "start_s": 0 * two,
        "growth_s": 800 * two,
        "mature_s": 1000 * two,
        "decay_s": 1200 * two,
        "x_m": np.array([-20e3, -14e3]),
        "y_m": np.array([5e3, 9e3]),
        "propagation_ms": np.array([[1.0, -2.0], [0.5, 0.0]]),
        "peak_dbz": np.array([50.0, 44.0]),
        "top_m": np.array([12e3, 9e3]),
        "radius_m": np.array([5e3, 4e3]),
        "axis_ratio": np.array([1.0, 1.8]),
        "orientation_rad": np.array([0.0, 0.7]),
        "overhang_m": 0 * two,
        "anvil_dbz": 0 * two,
        "anvil_floor_m": 0 * two,
        "storm": np.array([0, 1]),
    }
    return Cells(**{**fields, **changes})  # type: ignore[arg-type]


def plain_scene(cells: Cells, flow: SteeringFlow | None = None) -> Scene:
    return Scene("cells", flow or SteeringFlow.uniform(12.0, -5.0), cells, None, Roughness.none())


def test_drift_is_the_integral_of_the_wind() -> None:
    rng = np.random.default_rng(0)
    heights = np.array([0.0, 3000.0, 9000.0])
    flow = SteeringFlow(heights, rng.normal(0, 10, (3, 2)), rng.normal(0, 1e-3, (3, 2)))
    z, t = np.array([500.0, 4000.0, 20e3]), np.linspace(-600, 3000, 10_001)
    wind = np.stack([flow.wind(z, s) for s in t])
    np.testing.assert_allclose(flow.drift(z, -600.0, 3000.0), np.trapezoid(wind, t, axis=0), rtol=1e-9)


def test_steering_is_the_mean_of_its_layer() -> None:
    flow = SteeringFlow(np.array([0.0, 10e3]), np.array([[0.0, 4.0], [20.0, 4.0]]), np.zeros((2, 2)))
    np.testing.assert_allclose(flow.steering.wind(9e3, 0.0), [7.5, 4.0])


def test_a_mature_cell_moves_exactly_with_its_stated_velocity() -> None:
    scene = plain_scene(some_cells().select([0]))
    state = scene.cell_state(1100.0)  # the core stays where it is from 1050 to 1400 s
    rng = np.random.default_rng(1)
    x, y = state.x_m + rng.uniform(-8e3, 8e3, 500), state.y_m + rng.uniform(-8e3, 8e3, 500)
    z, later = rng.uniform(0, 13e3, 500), 280.0
    before = reflectivity(scene, x, y, z, 1100.0)
    after = reflectivity(scene, x + later * state.u_ms, y + later * state.v_ms, z, 1100.0 + later)
    assert before.max() > 40
    # Positions are float32: a millimetre in 20 km, times 10 dB per km at the edge.
    np.testing.assert_allclose(after, before, atol=0.05)


def test_the_truth_tells_where_the_field_peaks_and_how_high() -> None:
    scene = plain_scene(some_cells().select([0]))
    for t in (300.0, 1000.0, 2300.0):
        state = scene.cell_state(t)
        x, y = (centre[0] + np.arange(-4000, 4001, 250.0) for centre in (state.x_m, state.y_m))
        z = np.arange(0, 14e3, 250.0)
        field = reflectivity(scene, x, y[:, None], z[:, None, None], t)
        k, j, i = np.unravel_index(int(field.argmax()), field.shape)
        assert field.max() == pytest.approx(state.peak_dbz[0], abs=0.3)
        assert abs(z[k] - state.core_m[0]) <= 2 * LEVEL_M
        # Aloft the axis leans with the wind relative to the cell: at most 400 m here.
        assert np.hypot(x[i] - state.x_m[0], y[j] - state.y_m[0]) <= 600


def test_reflectivity_adds_up_in_linear_units() -> None:
    cells, t = some_cells(), 1000.0
    x, y, z = np.meshgrid(np.arange(-15e3, 10e3, 1000), np.arange(-5e3, 10e3, 1000), [1000.0, 5000.0])
    parts = [dbz_to_linear(reflectivity(plain_scene(cells.select([i])), x, y, z, t)) for i in (0, 1)]
    both = reflectivity(plain_scene(cells), x, y, z, t)
    seen = both > 15  # below, the cut at no echo shows in the sum of two clipped fields
    assert seen.sum() > 50
    np.testing.assert_allclose(both[seen], linear_to_dbz(parts[0] + parts[1])[seen], atol=0.3)


def brute_force(scene: Scene, points: Float64, t: float) -> Float64:
    """The sum over every element, without bins, float64."""
    snapshot = take_snapshot(scene, t)
    level = points[2] / LEVEL_M
    low = level.astype(int)
    a = (level - low)[:, None, None]
    columns = (1 - a) * snapshot.columns[low].astype(float) + a * snapshot.columns[low + 1]
    dx, dy = points[0][:, None] - columns[..., 1], points[1][:, None] - columns[..., 2]
    xx, xy, yy = snapshot.shapes.T.astype(float)
    fall = xx * dx**2 + xy * dx * dy + yy * dy**2
    dbz = columns[..., 0] - fall * np.sqrt(fall / EDGE_DB)
    total = np.where((dbz > FAINT_DBZ) & (columns[..., 0] > FAINT_DBZ), 10 ** (dbz / 10), 0).sum(1)
    return np.asarray(total)


@pytest.mark.parametrize("kind", ["cells", "line"])
def test_the_kernel_misses_no_element(kind: str) -> None:
    scene = replace(draw_scene(kind, 5, 3600.0), roughness=Roughness.none())
    rng = np.random.default_rng(2)
    points = np.stack([rng.uniform(-150e3, 150e3, 4000), rng.uniform(-150e3, 150e3, 4000), rng.uniform(0, 16e3, 4000)])
    out = np.empty(4000, np.float32)
    x, y, z = points.astype(np.float32)
    points_linear_z(take_snapshot(scene, 1800.0), x, y, z, out)
    expected = brute_force(scene, points, 1800.0)
    assert (expected > 1).sum() > 20
    # Single elements may fall on either side of the faint cut in float32: 0.1 mm^6 m^-3 each.
    np.testing.assert_allclose(out, expected, rtol=2e-3, atol=0.5)


def test_echo_appears_aloft_reaches_the_ground_and_the_core_descends() -> None:
    cells, z = some_cells().select([0]), np.arange(0, 15e3, 250.0)
    flow = SteeringFlow.uniform(0, 0)
    states = [cell_state(cells, flow, t) for t in (150.0, 1200.0, 2400.0)]
    young, mature, old = (axis_profile(s, z)[0] for s in states)
    assert young[0] < 0 < young.max()
    assert mature[0] > 40
    assert z[young.argmax()] > z[mature.argmax()] > z[old.argmax()]
    tops = [s.top_m[0] for s in states]
    assert tops[0] < tops[1] > tops[2]
    assert mature.max() > old.max()


def test_the_height_of_the_echo_foretells_growth_and_decay() -> None:
    """Of cells that are as strong as each other, those with high echo will grow and those with low echo decay."""
    heights, changes = [], []
    for kind, seed in (("single", 1), ("single", 2), ("multicell", 3), ("cells", 4)):
        scene = draw_scene(kind, seed, 7200.0)
        for t in (1000.0, 3000.0, 5000.0):
            now, later = scene.cell_state(t), scene.cell_state(t + 600.0)
            for c in np.flatnonzero(now.alive & (np.hypot(now.x_m, now.y_m) < 150e3)):
                before, after = (column(scene, s.x_m[c], s.y_m[c], at) for s, at in ((now, t), (later, t + 600.0)))
                if 35 < before.max() < 48:
                    echo = np.maximum(before - 15, 0)
                    heights.append((echo * COLUMN_Z).sum() / echo.sum())
                    changes.append(after.max() - before.max())
    assert len(heights) > 150
    assert np.corrcoef(heights, changes)[0, 1] > 0.35  # 7 standard errors from none
    low, high = np.quantile(heights, [0.25, 0.75])
    growth = [np.array(changes)[w].mean() for w in (np.array(heights) < low, np.array(heights) > high)]
    assert growth[1] > growth[0] + 6


COLUMN_Z: Float64 = np.arange(500.0, 15e3, 500.0)[:, None, None]


def column(scene: Scene, x_m: float, y_m: float, t_s: float) -> NDArray[np.float32]:
    """Reflectivity within 3 km of a place."""
    aside = np.arange(-3000.0, 3001.0, 1000.0)
    return reflectivity(scene, x_m + aside, y_m + aside[:, None], COLUMN_Z, t_s)


def test_supercells_turn_right_of_the_mean_wind() -> None:
    for seed in range(4):
        scene = draw_scene("supercell", seed, 7200.0)
        long = np.flatnonzero(
            (scene.cells.mature_s > 3600) & (scene.cells.peak_dbz > 52) & (scene.cells.decay_s == 2400)
        )
        assert len(long)
        mean = scene.flow.wind(np.linspace(0, 6000, 61), 0.0).mean(0)
        shear = scene.flow.wind(5750.0, 0.0) - scene.flow.wind(250.0, 0.0)
        motion = scene.flow.steering.wind_ms[0] + scene.cells.propagation_ms[long]
        across = shear[0] * (motion - mean)[:, 1] - shear[1] * (motion - mean)[:, 0]
        # Negative is right of the shear, by 7.5 m/s; a splitting storm's left mover goes the other way.
        aside = across / np.hypot(*shear)
        np.testing.assert_allclose(np.abs(aside), 7.5, atol=0.3)
        assert (aside < 0).sum() > (aside > 0).sum()


def test_supercells_overhang_their_inflow() -> None:
    scene = replace(draw_scene("supercell", 1, 7200.0), roughness=Roughness.none())
    part = int(np.flatnonzero(scene.cells.overhang_m > 0)[0])
    t = float(scene.cells.start_s[part] + 3000.0)
    state = scene.cell_state(t)
    aloft, low = (reflectivity(scene, state.x_m[part], state.y_m[part], z, t) for z in (6000.0, 1500.0))
    assert aloft > 40
    assert low < aloft - 10


def test_outflow_sets_off_cells_around_strong_cells_only() -> None:
    rng = np.random.default_rng(0)
    strong = Cells.join([some_cells(peak_dbz=np.full(2, 56.0)).select([0])] * 200)
    flow = SteeringFlow.uniform(12.0, -5.0)
    offspring = set_off(rng, Climate(cells_a_storm=1.0), flow, strong, share=0.5, generations=1)
    assert 100 < len(offspring) < 300
    begin = strong.start_s[0] + strong.growth_s[0]
    assert offspring.start_s.min() > begin
    front = cell_state(strong.select(np.zeros(len(offspring), int)), flow, offspring.start_s)
    away = np.hypot(offspring.x_m - front.x_m, offspring.y_m - front.y_m)
    assert 6e3 < np.median(away) < 25e3
    assert len(set_off(rng, Climate(), flow, replace(strong, peak_dbz=strong.peak_dbz - 20), share=0.5)) == 0


def test_cells_exist_between_first_echo_and_end() -> None:
    cells = some_cells()
    alive = [cell_state(cells, SteeringFlow.uniform(0, 0), t).alive.all() for t in (-1.0, 1.0, 2999.0, 3001.0)]
    assert alive == [False, True, True, False]


def test_the_anvil_leaves_with_the_upper_wind() -> None:
    heights = np.array([0.0, 5000.0, 6000.0])
    flow = SteeringFlow(heights, np.array([[0.0, 0.0], [0.0, 0.0], [25.0, 0.0]]), np.zeros((3, 2)))
    cells = some_cells(anvil_dbz=np.full(2, 30.0), anvil_floor_m=np.full(2, 5000.0), propagation_ms=np.zeros((2, 2)))
    scene = plain_scene(cells.select([0]), flow)
    x, y = np.arange(-60e3, 180e3, 1000.0), np.arange(-40e3, 50e3, 1000.0)
    centres = []
    for t in (3050.0, 3250.0):  # the cell has died by 3000 s
        z = dbz_to_linear(reflectivity(scene, x, y[:, None], 8500.0, t)) - 1
        centres.append((z * x).sum() / z.sum())
    assert (centres[1] - centres[0]) / 200 == pytest.approx(25.0, rel=0.1)


def test_nothing_is_outside_the_scene_and_nothing_in_a_dry_one() -> None:
    scene = draw_scene("line", 1, 3600.0)
    assert reflectivity(scene, [250e3, 0, 0], [0, -300e3, 0], [2e3, 2e3, 25e3], 600.0).max() == 0
    x = np.linspace(-150e3, 150e3, 60)
    assert reflectivity(draw_scene("dry", 1, 3600.0), x, x[:, None], 2e3, 0.0).max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_decides_the_scene(kind: str) -> None:
    x = np.linspace(-145e3, 145e3, 59)
    fields = [reflectivity(draw_scene(kind, s, 3600.0), x, x[:, None], 3000.0, 1800.0) for s in (3, 3, 4)]
    np.testing.assert_array_equal(fields[0], fields[1])
    assert kind == "dry" or not np.array_equal(fields[0], fields[2])


def test_widespread_rain_has_a_bright_band_and_snow_above() -> None:
    scene = draw_scene("stratiform", 2, 3600.0)
    x = np.linspace(-140e3, 140e3, 71)
    z = np.array([1000.0, scene.melting_m - 250, scene.melting_m + 2500])
    field = reflectivity(scene, x, x[:, None], z[:, None, None], 1200.0)
    means = field[:, field[0] > 12].mean(-1)
    assert means[1] > means[0] + 3
    assert means[2] < means[0] - 3


def test_noise_has_unit_variance_and_the_spectrum_asked_for() -> None:
    noise = power_law_noise(
        np.random.default_rng(0), (4, 256, 256), 1000.0, slope=3.0, longest_m=200e3, shortest_m=10.0
    )
    np.testing.assert_allclose(noise.std(axis=(1, 2)), 1, rtol=1e-5)
    power = (np.abs(np.fft.fft2(noise)) ** 2).mean(0)
    k = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256))
    inner = (k > 0.02) & (k < 0.4)
    fitted = np.polyfit(np.log(k[inner]), np.log(power[inner]), 1)[0]
    assert fitted == pytest.approx(-3.0, abs=0.1)


def test_renewal_keeps_the_variance() -> None:
    renewal = Renewal(600.0, np.zeros((3, 2)))
    for t in (-100.0, 0.0, 250.0, 1e4):
        assert sum(w**2 for _, w, _ in renewal.active(t)) == pytest.approx(1.0)


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(UsageError, match="hail"):
        draw_scene("hail", 1, 3600.0)
    with pytest.raises(InputError, match="do not rise"):
        SteeringFlow(np.array([1.0, 0.0]), np.zeros((2, 2)), np.zeros((2, 2)))
    with pytest.raises(InputError, match="peak_dbz"):
        some_cells(peak_dbz=np.zeros(3))
