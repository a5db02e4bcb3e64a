"""Threads for kernels that release the GIL."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import torch


def run_parallel(work: Callable[[int], None], n_items: int) -> None:
    """Call ``work(0) ... work(n_items - 1)`` on up to ``torch.get_num_threads()`` threads.

    Threads live for one call: nothing is left that a fork would break, and several callers may run at once.
    Each takes the next item when it is free, so ``work`` must not depend on the order. The first exception of
    any thread is raised here.
    """
    items = itertools.count()  # next() holds the GIL: no item is handed out twice
    failures: list[BaseException] = []

    def drain() -> None:
        try:
            for item in items:
                if item >= n_items or failures:
                    return
                work(item)
        except BaseException as failure:  # noqa: BLE001 (raised again in the calling thread)
            failures.append(failure)

    helpers = [threading.Thread(target=drain) for _ in range(min(torch.get_num_threads(), n_items) - 1)]
    for helper in helpers:
        helper.start()
    drain()
    for helper in helpers:
        helper.join()
    if failures:
        raise failures[0]
