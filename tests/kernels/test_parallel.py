"""Work shared among threads: each item once, failures told to the caller."""

from __future__ import annotations

import pytest

from nowcast_kernels.parallel import run_parallel


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("n_items", [0, 1, 5, 100])
def test_each_item_is_done_once(threads, count, n_items) -> None:
    threads(count)
    done: list[int] = []
    run_parallel(done.append, n_items)
    assert sorted(done) == list(range(n_items))


def test_a_failure_reaches_the_caller(threads) -> None:
    threads(3)

    def work(item: int) -> None:
        if item == 11:
            raise ZeroDivisionError("eleven")

    with pytest.raises(ZeroDivisionError, match="eleven"):
        run_parallel(work, 50)
