from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nowcast.gaussians import hilbert_order, morton_order
from nowcast.gaussians.order import CELL_M

places = arrays(np.float32, st.tuples(st.integers(0, 30), st.just(3)), elements=st.floats(-2e5, 2e5, width=32))


def slow_code(mean: np.ndarray) -> int:
    """Bits of the cell numbers, interleaved one by one."""
    cells = [int(np.floor(float(m) / c)) + (1 << 20) for m, c in zip(mean, CELL_M, strict=True)]
    return sum(((cells[axis] >> bit) & 1) << (3 * bit + axis) for bit in range(21) for axis in range(3))


@given(places)
@settings(deadline=None)
def test_order_is_that_of_interleaved_bits(means: np.ndarray) -> None:
    order = morton_order(torch.from_numpy(means)).numpy()
    codes = [slow_code(m) for m in means]
    assert sorted(order) == list(range(len(means)))
    assert [codes[i] for i in order] == sorted(codes)


def test_neighbours_in_space_stay_near_in_the_list() -> None:
    rng = np.random.default_rng(0)
    means = torch.from_numpy(rng.uniform(-1e5, 1e5, (2000, 3)) * (1, 1, 0.08)).float()
    steps = (means[morton_order(means)].diff(dim=0)).norm(dim=1).mean()
    assert steps < 0.3 * means.diff(dim=0).norm(dim=1).mean()


def test_ties_keep_their_order_and_far_places_are_allowed() -> None:
    means = torch.tensor([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [1e12, -1e12, 0.0]])
    assert morton_order(means)[:2].tolist() in ([0, 1], [2, 0])


def test_successive_cells_of_the_hilbert_curve_touch() -> None:
    cells = torch.cartesian_prod(*[torch.arange(16.0)] * 3)
    shuffled = cells[torch.randperm(len(cells), generator=torch.Generator().manual_seed(0))]
    means = (shuffled + 0.5) * torch.tensor(CELL_M)
    order = hilbert_order(means)
    assert sorted(order.tolist()) == list(range(len(cells)))
    assert (shuffled[order].diff(dim=0).abs().sum(dim=1) == 1).all()


@given(places)
@settings(deadline=None)
def test_the_hilbert_order_is_one_of_places_not_of_numbers(means: np.ndarray) -> None:
    """Fewer places keep their order among themselves."""
    given_means = torch.from_numpy(means)
    order = hilbert_order(given_means)
    some = order[order % 2 == 0]
    cells = torch.floor(given_means / torch.tensor(CELL_M))
    expected, found = cells[some], cells[::2][hilbert_order(given_means[::2])]
    assert torch.equal(expected, found)
