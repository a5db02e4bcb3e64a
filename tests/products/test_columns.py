"""Products of columns that were worked out by hand, and what holds for any column."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nowcast.errors import UsageError
from nowcast.products import columns, hail, liquid
from nowcast.types import Float32

NAN = float("nan")
Z = np.arange(1000.0, 6000.0, 1000.0)
COLUMNS = arrays(
    np.float32,
    (5, 2, 3),
    elements=st.one_of(st.floats(0, 75, width=32).map(lambda v: v if v > 1 else 0.0), st.just(NAN)),
)


def column(*dbz: float) -> Float32:
    """``[Z, 1, 1]`` of the values from the lowest level up."""
    return np.array(dbz, np.float32)[:, None, None]


@pytest.mark.parametrize(("height", "dbz"), [(1000, 20.0), (1500, 25.0), (2250, 32.5), (5000, 0.0)])
def test_cappi_is_linear_between_the_levels(height: float, dbz: float) -> None:
    assert columns.cappi(column(20, 30, 40, 10, 0), Z, height)[0, 0] == pytest.approx(dbz)


def test_cappi_is_missing_beside_what_was_not_observed() -> None:
    part = column(NAN, 30, 40, NAN, 0)
    assert np.isnan(columns.cappi(part, Z, 1999)) and np.isnan(columns.cappi(part, Z, 3001))
    assert columns.cappi(part, Z, 2000) == 30 and columns.cappi(part, Z, 3000) == 40
    with pytest.raises(UsageError, match="from 1000 to 5000 m"):
        columns.cappi(part, Z, 5001)


@pytest.mark.parametrize(
    ("dbz", "expected"),
    [
        ((20, 30, 0, 0, 0), 20),
        ((NAN, 30, 0, 0, 0), 30),
        ((NAN, NAN, 0, 9, 9), 0),
        ((NAN, NAN, NAN, 50, 9), NAN),
    ],
)
def test_low_level_reflectivity_is_taken_from_the_lowest_beam(dbz: tuple[float, ...], expected: float) -> None:
    found = columns.low_level_reflectivity(column(*dbz), Z, 1000, 3000)
    np.testing.assert_equal(found[0, 0], np.float32(expected))


def test_low_level_reflectivity_of_a_grid_that_begins_higher() -> None:
    assert columns.low_level_reflectivity(column(20, 30, 0, 0, 0), Z + 500, 1000, 3000) == 20


def test_column_maximum_and_its_height() -> None:
    known = column(20, 40, NAN, 40, 0)
    assert columns.column_maximum(known) == 40 and columns.height_of_maximum(known, Z) == 2000
    assert columns.height_of_maximum(column(0, 0, 0, NAN, 0), Z) == 0
    nothing = column(*[NAN] * 5)
    assert np.isnan(columns.column_maximum(nothing)) and np.isnan(columns.height_of_maximum(nothing, Z))


@pytest.mark.parametrize(
    ("dbz", "top"),
    [
        ((50, 40, 24, 12, 0), 3500.0),  # half way from 24 to 12 dBZ
        ((50, 10, 18, 0, 0), 3000.0),  # the threshold itself, above a gap in the echo
        ((50, 40, 24, NAN, NAN), 3000.0),  # no lower than the highest level observed
        ((50, 40, 30, 30, 30), 5000.0),  # up to the top of the grid
        ((10, 10, 0, 0, 0), 0.0),
        ((10, 10, NAN, NAN, NAN), NAN),  # echo may reach it where nobody looked
        ((10, 10, 10, NAN, NAN), 0.0),
        ((NAN, NAN, NAN, NAN, 30), 5000.0),  # echo that is there counts, however little was observed
        ((NAN,) * 5, NAN),
    ],
)
def test_echo_top(dbz: tuple[float, ...], top: float) -> None:
    np.testing.assert_allclose(columns.echo_top(column(*dbz), Z, 18.0, 0.5)[0, 0], top)


def test_vil_of_a_layer_by_hand() -> None:
    # Two layers of 1 km between 40 dBZ, Z = 1e4: 3.44e-6 * 1e4 ** (4/7) * 2000 = 1.3283 kg m-2; from 40 dBZ to no
    # echo the mean Z is 5e3, which adds 0.4469.
    found = liquid.vertically_integrated_liquid(column(40, 40, 40, 0, 0), Z)
    assert found[0, 0] == pytest.approx(1.3283 + 0.4469, abs=2e-4)


def test_vil_counts_hail_as_56_dbz_and_no_echo_as_nothing() -> None:
    strong = [liquid.vertically_integrated_liquid(column(0, peak, peak, 0, 0), Z)[0, 0] for peak in (56, 57, 75)]
    assert strong[0] == strong[1] == strong[2] > 0
    assert liquid.vertically_integrated_liquid(column(0, 0, 0, 0, 0), Z) == 0
    assert liquid.vertically_integrated_liquid(column(0, 70, 0, 0, 0), Z, 80) > strong[0]


def test_vil_of_a_column_observed_in_part() -> None:
    whole = liquid.vertically_integrated_liquid(column(40, 40, 40, 40, 40), Z)
    part = liquid.vertically_integrated_liquid(column(NAN, NAN, 40, 40, 40), Z)
    assert part == pytest.approx(whole / 2)  # two of four layers
    assert np.isnan(liquid.vertically_integrated_liquid(column(NAN, NAN, NAN, 40, 40), Z))
    assert np.isnan(liquid.vertically_integrated_liquid(column(*[NAN] * 5), Z, least_observed=0.0))


def test_vil_density_is_vil_over_the_echo_top() -> None:
    tall = column(40, 40, 40, 24, 12)
    vil = liquid.vertically_integrated_liquid(tall, Z)
    assert liquid.vil_density(tall, Z)[0, 0] == pytest.approx(float(vil[0, 0]) / 4.5)
    assert liquid.vil_density(column(10, 10, 0, 0, 0), Z) == 0
    assert np.isnan(liquid.vil_density(column(NAN, NAN, NAN, 10, 0), Z))


def test_severe_hail_index_by_hand() -> None:
    # 0 degrees at 2 km, -20 at 4 km. E(50 dBZ) = 5e-6 * 10 ** 4.2 = 0.07924 J m-2 s-1, weighted 0, 0, 0.5, 1, 1 from
    # the lowest level up: layers of 0, 0.25, 0.75 and 1 times E, 0.1 * 2000 m * E = 15.85 J m-1 s-1.
    shi = hail.severe_hail_index(column(50, 50, 50, 50, 50), Z, (2000.0, 4000.0))
    assert shi[0, 0] == pytest.approx(15.85, abs=0.01)
    assert hail.expected_hail_size(shi)[0, 0] == pytest.approx(2.54 * 15.85**0.5, abs=0.01)
    assert hail.expected_hail_size(shi, "mh95")[0, 0] == pytest.approx(22.157 * 15.85**0.212, abs=0.01)
    # WT = 57.5 * 4 - 121 = 109; at SHI = WT the probability is a half, at 2.6 km and less WT stays at 20.
    assert hail.severe_hail_probability(np.float32([[109.0]]), 4000.0) == pytest.approx(0.5)
    assert hail.severe_hail_probability(np.float32([[20.0]]), 1000.0) == pytest.approx(0.5)
    assert hail.severe_hail_probability(shi * 0, 4000.0) == 0


def test_no_hail_below_40_dbz_or_the_freezing_level() -> None:
    assert hail.severe_hail_index(column(40, 40, 40, 40, 40), Z, (2000.0, 4000.0)) == 0
    assert hail.severe_hail_index(column(70, 70, 0, 0, 0), Z, (2000.0, 4000.0)) == 0
    assert np.isnan(hail.severe_hail_index(column(60, NAN, NAN, NAN, 60), Z, (2000.0, 4000.0)))


@given(dbz=COLUMNS)
def test_stronger_echo_never_gives_less(dbz: Float32) -> None:
    stronger = np.where(dbz > 0, dbz + np.float32(3), dbz)
    for product in (
        lambda v: columns.column_maximum(v),
        lambda v: columns.cappi(v, Z, 2300.0),
        lambda v: columns.low_level_reflectivity(v, Z),
        lambda v: liquid.vertically_integrated_liquid(v, Z),
        lambda v: hail.severe_hail_index(v, Z, (2000.0, 4000.0)),
    ):
        before, after = product(dbz), product(stronger)
        np.testing.assert_array_equal(np.isnan(before), np.isnan(after))
        assert (after >= before - 1e-4)[np.isfinite(before)].all()


@given(dbz=COLUMNS)
def test_echo_tops_lie_in_order_and_below_the_grids_top(dbz: Float32) -> None:
    low, high = (np.nan_to_num(columns.echo_top(dbz, Z, threshold)) for threshold in (18.0, 45.0))
    reached = np.nan_to_num(columns.column_maximum(dbz)) >= 45
    assert (low[reached] >= high[reached]).all() and low.max() <= Z[-1]
    assert (np.nan_to_num(columns.column_maximum(dbz))[high > 0] >= 45).all()


@given(dbz=COLUMNS)
def test_looking_at_less_of_a_column_never_gives_more_vil(dbz: Float32) -> None:
    less = dbz.copy()
    less[1] = NAN
    whole = liquid.vertically_integrated_liquid(dbz, Z, least_observed=0.0)
    part = liquid.vertically_integrated_liquid(less, Z, least_observed=0.0)
    assert (part <= whole + 1e-6)[np.isfinite(part)].all() and not (np.isnan(whole) & np.isfinite(part)).any()


def test_column_maximum_is_the_composite_of_pyart() -> None:
    pyart = pytest.importorskip("pyart")
    radar = pyart.testing.make_empty_ppi_radar(12, 36, 3)
    radar.azimuth["data"] = np.tile(np.arange(36, dtype=np.float32), 3)
    dbz = np.random.default_rng(0).uniform(0, 60, (3, 36, 12)).astype(np.float32)
    radar.add_field("reflectivity", {"data": np.ma.array(dbz.reshape(-1, 12)), "units": "dBZ"})
    theirs = pyart.retrieve.composite_reflectivity(radar, "reflectivity").fields["composite_reflectivity"]["data"]
    np.testing.assert_allclose(columns.column_maximum(dbz), theirs, rtol=1e-4)
