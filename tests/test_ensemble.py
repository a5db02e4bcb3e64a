"""Products of an ensemble, on members whose distribution is known."""

from __future__ import annotations

import numpy as np
import pytest

from nowcast.ensemble import ensemble_products, with_strong_echo_of


def members(count: int = 20) -> np.ndarray:
    rng = np.random.default_rng(0)
    values = np.clip(rng.normal(15.0, 20.0, (count, 2, 3, 12, 14)), 0.0, 80.0).astype(np.float32)
    values[0, 0, 0, 0, 0] = np.nan
    values[:, :, :, -1, -1] = np.nan
    values[:, :, 1, 5] = 0.0
    return values


def test_mean_quantiles_and_probabilities_are_those_of_the_members() -> None:
    values = members()
    found = ensemble_products(values)
    known = np.isfinite(values).all(axis=0)
    np.testing.assert_allclose(found.mean[known], values.mean(axis=0)[known], rtol=1e-5)
    expected = np.quantile(values[:, known], found.quantile_levels, axis=0)
    np.testing.assert_allclose(found.quantiles[:, known], expected, rtol=1e-5, atol=1e-5)
    for k, threshold in enumerate(found.thresholds_dbz):
        np.testing.assert_allclose(found.probability[k][known], (values >= threshold).mean(axis=0)[known], atol=1e-6)
        highest = np.nan_to_num(found.probability[k]).max(axis=1)
        assert (np.nan_to_num(found.column_probability[k]) >= highest - 1e-6).all()


def test_what_a_member_does_not_know_is_missing() -> None:
    found = ensemble_products(members())
    for field in (found.mean, found.matched_mean, found.quantiles[0], found.probability[1]):
        assert np.isnan(field[0, 0, 0, 0]) and np.isnan(field[:, :, -1, -1]).all() and np.isfinite(field[1, 0, 0, 0])
    assert np.isfinite(found.column_probability[:, 0, 0, 0]).all()
    assert np.isnan(found.column_probability[:, :, -1, -1]).all()


def test_the_matched_mean_is_as_sharp_as_the_members() -> None:
    values = members()
    found = ensemble_products(values)
    known = np.isfinite(values).all(axis=0)
    strong = np.mean([(v[known] >= 45).mean() for v in values])
    assert (found.mean[known] >= 45).mean() < 0.2 * strong
    assert (found.matched_mean[known] >= 45).mean() == pytest.approx(strong, rel=0.15)
    order = np.argsort(found.mean[1, 0].ravel()[:-1])
    ranked = found.matched_mean[1, 0].ravel()[order]
    assert (np.diff(ranked) >= 0).all(), "the pattern is that of the mean"
    assert (found.matched_mean[:, 1, 5, :-1] == 0).all(), "no echo where no member has any"


def test_one_member_is_its_own_mean() -> None:
    values = members(1)
    found = ensemble_products(values)
    np.testing.assert_array_equal(found.mean, values[0])
    np.testing.assert_allclose(found.matched_mean, values[0], rtol=1e-6)


def test_a_member_gets_the_strong_echo_of_the_best_forecast_where_its_own_lies() -> None:
    rng = np.random.default_rng(3)
    control = rng.uniform(0, 58, (2, 4, 20, 20)).astype(np.float32)
    member = np.clip(1.3 * rng.permuted(control, axis=3) - 3.0, 0, 80).astype(np.float32)
    given = member.copy()
    made = with_strong_echo_of(member, control)
    assert (member == given).all() and made.dtype == np.float32
    weak = member <= 20
    assert (made[weak] == member[weak]).all()
    for ours, own, best in zip(made, member, control, strict=True):
        assert ours.max() == best.max() < own.max()
        assert (ours > 45).sum() == (best > 45).sum() < (own > 45).sum()
        place = np.argsort(own, axis=None)[::-1][:50]
        assert (np.diff(ours.reshape(-1)[place]) <= 0).all(), "what is stronger stays so"


def test_a_member_stays_finite_where_the_best_forecast_is_dry() -> None:
    member = np.full((1, 1, 3, 3), 50.0, np.float32)
    assert (with_strong_echo_of(member, np.zeros_like(member)) == 0).all()
    assert (with_strong_echo_of(np.zeros_like(member), member) == 0).all()
