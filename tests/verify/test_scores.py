"""Our counting and scores against numbers counted by hand, the scores package and pysteps."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from helpers import small_grid
from hypothesis import given, settings
from hypothesis import strategies as st

from nowcast.errors import InputError
from nowcast.verify import (
    Tally,
    TallyConfig,
    csi,
    false_alarm_ratio,
    fractions_skill,
    frequency_bias,
    mean_absolute_error,
    mean_error,
    probability_of_detection,
    root_mean_square_error,
    window_voxels,
)

GRID = small_grid((3, 16, 20))


def random_fields(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A forecast, an observation that is like it, and which voxels to score."""
    rng = np.random.default_rng(seed)
    observed = rng.uniform(0, 70, GRID.shape).astype(np.float32)
    forecast = np.clip(observed + rng.normal(0, 15, GRID.shape), 0, 80).astype(np.float32)
    return forecast, observed, rng.uniform(size=GRID.shape) < 0.8


def tallied(forecast: np.ndarray, observed: np.ndarray, scored: np.ndarray, **config: object) -> Tally:
    tally = Tally(1, GRID, TallyConfig(**config))  # type: ignore[arg-type]
    tally.add(0, forecast, observed, scored)
    return tally


def test_counts_by_hand() -> None:
    forecast, observed = np.zeros(GRID.shape, np.float32), np.zeros(GRID.shape, np.float32)
    scored = np.ones(GRID.shape, bool)
    forecast[0, 0, :5] = [35, 35, 50, 34.9, 20]
    observed[0, 0, :5] = [35, 10, 36, 35.0, 60]
    forecast[2, 3, 3], scored[2, 3, 3] = 70, False  # a false alarm that does not count
    tally = tallied(forecast, observed, scored, thresholds_dbz=(35.0,))
    assert tally.counts.sum(axis=(0, 2)).tolist() == [[2, 2, 1], [0, 0, 0], [0, 0, 0]]
    counts = tally.counts.sum(axis=(0, 1, 2))
    assert csi(counts) == pytest.approx(2 / 5)
    assert probability_of_detection(counts) == pytest.approx(2 / 4)
    assert false_alarm_ratio(counts) == pytest.approx(1 / 3)
    assert frequency_bias(counts) == pytest.approx(3 / 4)
    sums = tally.sums.sum(axis=(0, 1))
    errors = np.array([0, 25, 14, -0.1, -40])
    assert sums[0] == scored.sum()
    assert mean_error(sums) == pytest.approx(errors.sum() / scored.sum(), rel=1e-5)
    assert mean_absolute_error(sums) == pytest.approx(np.abs(errors).sum() / scored.sum(), rel=1e-5)
    assert root_mean_square_error(sums) == pytest.approx(np.sqrt((errors**2).sum() / scored.sum()), rel=1e-5)


def test_undefined_scores_are_nan() -> None:
    nothing = np.zeros((2, 3))
    for score in (csi, probability_of_detection, false_alarm_ratio, frequency_bias):
        assert np.isnan(score(nothing)).all()
    only_false_alarms = np.array([0, 0, 5])
    assert csi(only_false_alarms) == 0
    assert np.isnan(frequency_bias(only_false_alarms))
    assert np.isnan(mean_absolute_error(np.zeros(4)))
    assert np.isnan(fractions_skill(np.zeros(2)))


def test_values_are_limited() -> None:
    forecast, observed = np.full(GRID.shape, 95, np.float32), np.full(GRID.shape, -20, np.float32)
    tally = tallied(forecast, observed, np.ones(GRID.shape, bool))
    assert tally.mae()[0] == pytest.approx(80.0)
    assert tally.counts[0, :, :, 2].sum() == forecast.size * 5


def test_missing_values_are_left_out_or_refused() -> None:
    forecast, observed = np.full(GRID.shape, 30, np.float32), np.full(GRID.shape, 30, np.float32)
    forecast[0, 0, :3], observed[0, 1, :2] = np.nan, np.nan
    scored = np.isfinite(forecast) & np.isfinite(observed)
    assert tallied(forecast, observed, scored).sums[0, :, 0].sum() == forecast.size - 5
    with pytest.raises(InputError, match="no value at some"):
        tallied(forecast, observed, np.ones(GRID.shape, bool))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), threshold=st.floats(5, 65))
def test_categorical_scores_agree_with_the_scores_package(seed: int, threshold: float) -> None:
    from scores.categorical import ThresholdEventOperator

    forecast, observed, scored = random_fields(seed)
    threshold = float(np.float32(threshold))
    tally = tallied(forecast, observed, scored, thresholds_dbz=(threshold,))
    f, o = (xr.DataArray(np.where(scored, a, np.float32(np.nan))) for a in (forecast, observed))
    table = ThresholdEventOperator(default_event_threshold=threshold).make_contingency_manager(f, o)
    counts = tally.counts.sum(axis=(0, 1, 2))
    theirs = table.transform().get_counts()
    assert counts.tolist() == [theirs["tp_count"], theirs["fn_count"], theirs["fp_count"]]
    assert csi(counts) == pytest.approx(float(table.critical_success_index()), nan_ok=True)
    assert probability_of_detection(counts) == pytest.approx(float(table.probability_of_detection()), nan_ok=True)
    assert false_alarm_ratio(counts) == pytest.approx(float(table.false_alarm_ratio()), nan_ok=True)
    assert frequency_bias(counts) == pytest.approx(float(table.frequency_bias()), nan_ok=True)


def test_errors_agree_with_the_scores_package() -> None:
    import scores.continuous

    forecast, observed, scored = random_fields(3)
    sums = tallied(forecast, observed, scored).sums.sum(axis=(0, 1))
    f, o = (xr.DataArray(np.where(scored, a, np.nan).astype(float)) for a in (forecast, observed))
    assert mean_absolute_error(sums) == pytest.approx(float(scores.continuous.mae(f, o)))
    assert root_mean_square_error(sums) == pytest.approx(float(scores.continuous.rmse(f, o)))
    assert mean_error(sums) == pytest.approx(float(scores.continuous.additive_bias(f, o)))


@pytest.mark.parametrize("window", [1, 3, 7])
def test_fractions_skill_agrees_with_the_scores_package(window: int) -> None:
    from scores.spatial import fss_2d_single_field

    forecast, observed, _ = random_fields(4)
    # No events near the edge: there the package counts windows around points beyond the grid, too.
    inside = np.zeros(GRID.shape, bool)
    inside[:, 7:-7, 7:-7] = True
    forecast, observed = np.where(inside, forecast, 0), np.where(inside, observed, 0)
    scale_m = window * GRID.spacing_m[2]
    everywhere = np.ones(GRID.shape, bool)
    tally = tallied(forecast, observed, everywhere, thresholds_dbz=(45.0,), scales_m=(scale_m,))
    assert tally.windows.tolist() == [window]
    for level in range(GRID.shape[0]):
        theirs = fss_2d_single_field(
            forecast[level],
            observed[level],
            event_threshold=45.0,
            window_size=(window, window),
            zero_padding=True,
            threshold_operator=np.greater_equal,
        )
        assert fractions_skill(tally.fractions[0, level, 0, 0]) == pytest.approx(float(theirs))


def test_fractions_skill_by_definition() -> None:
    forecast, observed, scored = random_fields(5)
    tally = tallied(forecast, observed, scored, thresholds_dbz=(40.0,), scales_m=(12.5e3,))
    from scipy.ndimage import uniform_filter

    top = bottom = 0.0
    for z in range(GRID.shape[0]):
        pf, po = (
            uniform_filter(((a[z] >= 40) & scored[z]).astype(float), 5, mode="constant") for a in (forecast, observed)
        )
        top += ((pf - po) ** 2)[scored[z]].sum()
        bottom += (pf**2 + po**2)[scored[z]].sum()
    assert tally.fss()[0, 0, 0] == pytest.approx(1 - top / bottom)


def test_scores_agree_with_pysteps() -> None:
    pytest.importorskip("pysteps")
    from pysteps.verification.detcatscores import det_cat_fct
    from pysteps.verification.spatialscores import fss

    forecast, observed, _ = random_fields(6)
    everywhere = np.ones(GRID.shape, bool)
    tally = tallied(forecast, observed, everywhere, thresholds_dbz=(35.0,), scales_m=(12.5e3,))
    counts = tally.counts.sum(axis=(0, 1, 2))
    theirs = det_cat_fct(forecast, observed, 35.0, ["CSI", "POD", "FAR", "BIAS"])
    assert csi(counts) == pytest.approx(theirs["CSI"])
    assert probability_of_detection(counts) == pytest.approx(theirs["POD"])
    assert false_alarm_ratio(counts) == pytest.approx(theirs["FAR"])
    assert frequency_bias(counts) == pytest.approx(theirs["BIAS"])
    level = fractions_skill(tally.fractions[0, 1, 0, 0])
    assert level == pytest.approx(fss(forecast[1], observed[1], 35.0, 5), abs=1e-9)


def test_a_shifted_echo_is_forgiven_by_wide_windows_only() -> None:
    observed = np.zeros(GRID.shape, np.float32)
    observed[:, 6:9, 6:9] = 40
    forecast = np.roll(observed, 3, axis=2)
    tally = tallied(forecast, observed, np.ones(GRID.shape, bool), scales_m=(2500.0, 12.5e3, 22.5e3))
    skill = tally.fss()[0, 0]
    assert skill[0] == 0.0
    assert 0 < skill[1] < skill[2]


def test_pooling_over_cases_adds_counts() -> None:
    first, second = random_fields(7), random_fields(8)
    both, a, b = Tally(2, GRID), Tally(2, GRID), Tally(2, GRID)
    both.add(1, *first)
    both.add(1, *second)
    a.add(1, *first)
    b.add(1, *second)
    assert np.array_equal(both.counts, a.counts + b.counts)
    assert both.cases.tolist() == [0, 2]
    assert np.isnan(both.mae()[0]) and np.isfinite(both.mae()[1])


@pytest.mark.parametrize(("scale_m", "voxels"), [(1e3, 1), (2500, 1), (7500, 3), (10e3, 5), (20e3, 9), (40e3, 17)])
def test_windows_are_odd(scale_m: float, voxels: int) -> None:
    assert window_voxels(scale_m, 2500.0) == voxels


def test_other_shapes_are_refused() -> None:
    forecast, observed, scored = random_fields()
    with pytest.raises(InputError, match="observed field has shape"):
        Tally(1, GRID).add(0, forecast, observed[:, :4], scored)
