"""Derivatives of everything that the fit minimises, and the metric and optimiser on top of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import small_grid

from nowcast.gaussians.coherence import CoherenceTerm, Stiffness, neighbour_average
from nowcast.gaussians.metric import Metric
from nowcast.gaussians.optimise import minimise
from nowcast.gaussians.state import Limits, State, retract, to_local, to_parameters
from nowcast.gaussians.terms import AmplitudeTerm, ImageTerm, Term

GRID = small_grid((6, 14, 18))
FREE = Limits(*(np.full(n, v, np.float32) for n, v in ((3, 0.0), (3, 20.0), (2, -9.0), (2, 9.0))))


def some_state(n: int = 12, channels: int = 2, seed: int = 0) -> State:
    rng = np.random.default_rng(seed)
    span = np.array([35e3, 25e3, 4e3])
    means = rng.uniform(-0.5, 0.5, (n, 3)) * span + (0, 0, 3.5e3)
    scales = np.log([4000.0, 3000.0, 1200.0]) + rng.normal(0, 0.2, (n, 3))
    quats = np.array([1.0, 0, 0, 0]) + rng.normal(0, 0.2, (n, 4))
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    amplitudes = rng.uniform(0.2, 0.6, (n, channels))
    return State(*(a.astype(np.float32) for a in (means, scales, quats, amplitudes)))


def image(state: State) -> ImageTerm:
    rng = np.random.default_rng(5)
    target = rng.uniform(0.05, 0.8, (state.intensities.shape[1], *GRID.shape)).astype(np.float32)
    weight = rng.uniform(0.0, 2.0, target.shape).astype(np.float32)
    weight[:, :, :3] = 0.0
    return ImageTerm(target, weight, GRID)


def terms(state: State) -> dict[str, Term]:
    shifted = replace(state, means=state.means + np.float32(300.0), intensities=state.intensities * np.float32(0.9))
    return {
        "image": image(state),
        "amplitude": AmplitudeTerm(np.full(len(state), 0.02, np.float32), GRID.spacing_m),
        "coherence": CoherenceTerm(shifted, GRID.spacing_m, Stiffness(0.3, 1.0, 0.2, 0.1)),
    }


@pytest.mark.parametrize("name", ["image", "amplitude", "coherence"])
def test_gradient_is_the_adjoint_of_the_derivative_and_the_slope_of_the_cost(name: str) -> None:
    state = some_state()
    term = terms(state)[name]
    at = term.at(state)
    rng = np.random.default_rng(1)
    step = rng.normal(0, 1.0, (len(state), 11))
    pushed = at.push(to_parameters(state, step)).astype(np.float64)
    slope = float((to_local(state, at.gradient()) * step).sum())
    assert slope == pytest.approx(
        float(pushed @ at.residual.astype(np.float64)), rel=2e-4, abs=1e-4 * np.abs(pushed).sum()
    )

    small = 2e-3

    def cost(share: float) -> float:
        residual = term.at(retract(state, share * step, FREE)).residual.astype(np.float64)
        return 0.5 * float(residual @ residual)

    # The cut at three sigma moves with the Gaussians: a jump of 1% of the amplitude that the gradient leaves out.
    assert slope == pytest.approx((cost(small) - cost(-small)) / (2 * small), rel=0.1)


def test_image_term_ignores_what_is_not_observed_and_what_lies_beyond_the_clip() -> None:
    state = some_state(channels=1)
    target = np.zeros((1, *GRID.shape), np.float32)
    negative = replace(state, intensities=-state.intensities)
    ones = np.ones_like(target)
    assert not ImageTerm(target, ones, GRID).at(negative).residual.any()
    assert (
        not ImageTerm(target + np.float32(80 / 70), ones, GRID)
        .at(replace(state, intensities=state.intensities * 99))
        .residual.max()
        > 0
    )
    unseen = ImageTerm(target + np.float32(np.nan), np.zeros_like(target), GRID).at(state)
    assert not unseen.residual.any()
    assert all(np.isfinite(g).all() for g in unseen.gradient().arrays())


def test_metric_solves_what_it_multiplies() -> None:
    state = some_state()
    rng = np.random.default_rng(2)
    step = rng.normal(size=(len(state), 11))
    metric = Metric.at(state, GRID.spacing_m, rng.uniform(0, 1, (len(state), 11)))
    np.testing.assert_allclose(metric.solve(metric.times(step)), step, rtol=1e-8, atol=1e-8)


def test_metric_is_the_gauss_newton_matrix_of_a_lone_gaussian() -> None:
    state = some_state(1, channels=1, seed=3)
    wide = replace(
        state, means=np.array([[0, 0, 5000]], np.float32), log_scales=np.log(np.array([[7e3, 3e3, 1100]], np.float32))
    )
    grid = small_grid((40, 64, 64), 1000.0)
    grid = replace(grid, spacing_m=(250.0, 1000.0, 1000.0))
    at = ImageTerm(np.full((1, *grid.shape), 0.5, np.float32), np.ones((1, *grid.shape), np.float32), grid).at(wide)
    pushed = [at.push(to_parameters(wide, np.eye(10)[None, k])).astype(np.float64) for k in range(10)]
    matrix = np.array([[a @ b for b in pushed] for a in pushed])
    metric = Metric.at(wide, grid.spacing_m)
    expected = np.array([metric.times(np.eye(10)[None, k])[0] for k in range(10)])
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    # The floors of faint and round Gaussians, and the cut, leave a few per cent.
    assert np.abs((matrix - expected) / scale).max() < 0.12


def test_minimise_finds_the_gaussians_that_made_the_field() -> None:
    truth = some_state(6, channels=1, seed=4)
    field = (
        ImageTerm(np.zeros((1, *GRID.shape), np.float32), np.ones((1, *GRID.shape), np.float32), GRID).at(truth).field
    )
    term = ImageTerm(field, np.ones_like(field), GRID)
    rng = np.random.default_rng(6)
    start = retract(truth, rng.normal(0, 0.2, (6, 10)), replace(FREE, least=FREE.least[:1], most=FREE.most[:1]))
    limits = Limits(
        np.full(3, 5, np.float32), np.full(3, 11, np.float32), np.zeros(1, np.float32), np.ones(1, np.float32)
    )
    result = minimise([term], start, limits=limits, spacing_m=GRID.spacing_m, steps=60)
    assert all(b <= a for a, b in zip(result.costs, result.costs[1:], strict=False))
    assert result.costs[-1] < 1e-4 * result.costs[0]


def test_minimise_without_gaussians() -> None:
    term = image(some_state())
    empty = State.empty(2)
    result = minimise([term], empty, limits=FREE, spacing_m=GRID.spacing_m, steps=3)
    assert len(result.state) == 0 and result.costs[0] > 0


def test_coherence_lets_a_neighbourhood_go_but_not_one_gaussian() -> None:
    state = some_state(20, channels=1)
    stiff = CoherenceTerm(state, GRID.spacing_m, Stiffness(flow=0.02, neighbours=1.0, shape=0.1, amplitude=0.1))
    together = replace(state, means=state.means + np.array([2000, 0, 0], np.float32))
    one = state.means.copy()
    one[7, 0] += 2000.0
    apart = [float((stiff.at(replace(state, means=m)).residual[60:120] ** 2).sum()) for m in (together.means, one)]
    assert apart[0] < 1e-6 < apart[1]
    assert not stiff.at(state).residual.any()


def test_neighbour_average_is_an_average_without_oneself() -> None:
    means = some_state(15).means
    weights = np.ones(15)
    weights[3] = 0.0
    average = neighbour_average(means, weights, 4, 10e3).toarray()
    np.testing.assert_allclose(average.sum(axis=1), 1.0)
    assert not np.diag(average).any() and not average[:, 3].any()
    np.testing.assert_array_equal(neighbour_average(means[:1], weights[:1], 4, 10e3).toarray(), [[1.0]])
    np.testing.assert_array_equal(neighbour_average(means, np.zeros(15), 4, 10e3).toarray(), np.eye(15))
