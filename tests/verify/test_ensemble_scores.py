"""Scores of ensembles against the scores package, their definitions and ensembles that are reliable by construction."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from helpers import small_grid
from scores import probability

from nowcast.errors import InputError
from nowcast.verify import EnsembleTally, Tally, TallyConfig, ensemble

GRID = small_grid((3, 24, 30))
M = 7


def dbz(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 80).astype(np.float32)


def ensemble_fields(seed: int = 0, spread: float = 10.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Members and an observation that deviate alike, by 10 dBZ, from one signal; much of it is no echo."""
    rng = np.random.default_rng(seed)
    signal = 30 * rng.normal(size=GRID.shape)
    members = dbz(signal + spread * rng.normal(size=(M, *GRID.shape)))
    return members, dbz(signal + 10 * rng.normal(size=GRID.shape)), rng.uniform(size=GRID.shape) < 0.8


def tallied(members: np.ndarray, observed: np.ndarray, scored: np.ndarray) -> Tally:
    tally = Tally(1, GRID, TallyConfig())
    tally.add(0, members, observed, scored)
    return tally


def members_of(tally: Tally) -> EnsembleTally:
    assert tally.ensemble is not None
    return tally.ensemble


def arrays(members: np.ndarray, observed: np.ndarray, scored: np.ndarray) -> tuple[xr.DataArray, xr.DataArray]:
    """The scored voxels for the scores package."""
    forecast = xr.DataArray(members[:, scored].astype(np.float64), dims=["member", "voxel"])
    return forecast, xr.DataArray(observed[scored].astype(np.float64), dims=["voxel"])


@pytest.mark.parametrize(("fair", "method"), [(False, "ecdf"), (True, "fair")])
def test_crps_agrees_with_the_scores_package(fair: bool, method: str) -> None:
    fields = ensemble_fields()
    theirs = probability.crps_for_ensemble(*arrays(*fields), "member", method=method)
    assert members_of(tallied(*fields)).crps(fair=fair)[0] == pytest.approx(float(theirs))


@pytest.mark.parametrize("fair", [False, True])
def test_brier_scores_agree_with_the_scores_package(fair: bool) -> None:
    fields = ensemble_fields(1)
    found = ensemble.brier(members_of(tallied(*fields)).exceeded, fair=fair)[0]
    for k, threshold in enumerate(TallyConfig().thresholds_dbz):
        theirs = probability.brier_score_for_ensemble(
            *arrays(*fields), "member", threshold, fair_correction=fair, reduce_dims="all"
        )
        assert found[k] == pytest.approx(float(np.asarray(theirs).item()))


def test_ranks_agree_with_the_scores_package_where_there_is_echo() -> None:
    members, observed, scored = ensemble_fields(2)
    echo = scored & ((observed >= 5) | (members >= 5).any(axis=0))
    ranks = members_of(tallied(members, observed, scored)).ranks[0]
    assert ranks.sum() == pytest.approx(echo.sum())
    theirs = probability.rank_histogram(*arrays(np.maximum(members, 5), np.maximum(observed, 5), echo), "member")
    assert ranks / ranks.sum() == pytest.approx(theirs.values)


def test_a_reliable_ensemble_looks_reliable_and_a_narrow_one_does_not() -> None:
    reliable, narrow = Tally(1, GRID), Tally(1, GRID)
    for seed in range(12):
        reliable.add(0, *ensemble_fields(seed))
        narrow.add(0, *ensemble_fields(seed, spread=3.0))
    good, bad = members_of(reliable), members_of(narrow)
    assert good.spread()[0] == pytest.approx(reliable.rmse()[0], rel=0.03)
    assert bad.spread()[0] < 0.5 * narrow.rmse()[0]
    shares = good.ranks[0] / good.ranks[0].mean()
    assert shares == pytest.approx(np.ones(M + 1), abs=0.1)
    assert min(bad.ranks[0, 0], bad.ranks[0, -1]) > 1.5 * np.median(bad.ranks[0])
    assert good.crps()[0] < bad.crps()[0]
    curve = ensemble.observed_share(good.exceeded)[0, 0]
    assert curve[0] < 0.06 and curve[-1] > 0.94 and (np.diff(curve) > 0).all()
    assert ensemble.brier_skill(good.exceeded)[0, 0] > 0.5


def test_fair_scores_do_not_depend_on_the_number_of_members() -> None:
    few, many = Tally(1, GRID), Tally(1, GRID)
    for seed in range(12):
        members, observed, scored = ensemble_fields(seed)
        few.add(0, members[:2], observed, scored)
        many.add(0, members, observed, scored)
    fair = [members_of(t).crps(fair=True)[0] for t in (few, many)]
    plain = [members_of(t).crps()[0] for t in (few, many)]
    assert fair[0] == pytest.approx(fair[1], rel=0.02)
    assert plain[0] > 1.2 * plain[1]


def test_the_mean_is_what_deterministic_scores_are_of() -> None:
    members, observed, scored = ensemble_fields(3)
    whole, mean = tallied(members, observed, scored), tallied(members.mean(axis=0), observed, scored)
    assert whole.mae() == pytest.approx(mean.mae()) and np.array_equal(whole.counts, mean.counts)
    assert mean.ensemble is None


def test_identical_members_score_as_one_forecast() -> None:
    members, observed, scored = ensemble_fields(4)
    tally = tallied(np.repeat(members[:1], M, axis=0), observed, scored)
    found = members_of(tally)
    assert found.crps()[0] == pytest.approx(tally.mae()[0])
    assert found.spread()[0] == pytest.approx(0.0, abs=1e-6)


def test_merging_is_adding() -> None:
    both, first, second = Tally(1, GRID), Tally(1, GRID), Tally(1, GRID)
    for seed, tally in ((5, first), (6, second)):
        both.add(0, *ensemble_fields(seed))
        tally.add(0, *ensemble_fields(seed))
    total = Tally(1, GRID)
    for tally in (first, second, Tally(1, GRID)):
        total.merge(tally)
    assert np.array_equal(total.counts, both.counts) and total.cases.tolist() == [2]
    assert members_of(total).crps() == pytest.approx(members_of(both).crps())
    assert np.array_equal(members_of(total).exceeded, members_of(both).exceeded)
    assert total.spectrum() == pytest.approx(both.spectrum())


def test_ensembles_of_two_sizes_are_not_mixed() -> None:
    members, observed, scored = ensemble_fields()
    tally = tallied(members, observed, scored)
    for other in (members[:3], members[0]):
        with pytest.raises(InputError, match="an earlier one of the same method 7"):
            tally.add(0, other, observed, scored)
    with pytest.raises(InputError, match="7 members"):
        tallied(members[0], observed, scored).merge(tally)


def test_a_member_without_a_value_is_refused() -> None:
    members, observed, scored = ensemble_fields()
    members[3, 1, 2, 2], scored[1, 2, 2] = np.nan, True
    with pytest.raises(InputError, match="no value at some"):
        tallied(members, observed, scored)
