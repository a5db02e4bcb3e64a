"""Threads for kernels that release the GIL."""

from __future__ import annotations

import functools
import itertools
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait


def run_parallel(work: Callable[[int], None], n_items: int) -> None:
    """Call ``work(0) ... work(n_items - 1)`` on several threads, this one among them.

    As many as :func:`thread_count` tells.
    Each thread takes the next item when it is free, so ``work`` must not depend on the order. On a busy machine helpers
    that have not begun when this thread runs out of items are not waited for. An exception of ``work`` is raised here.
    Several threads may call at once, and so may a forked process.
    """
    items = itertools.count()  # next() holds the GIL: no item is handed out twice

    def drain() -> None:
        for item in items:
            if item >= n_items:
                return
            work(item)

    n_helpers = min(thread_count(), n_items) - 1
    helpers = [_pool(os.getpid()).submit(drain) for _ in range(n_helpers)]
    try:
        drain()
    finally:
        begun = [helper for helper in helpers if not helper.cancel()]
        wait(begun)
    for helper in begun:
        helper.result()


def thread_count() -> int:
    """``torch.get_num_threads()`` where torch is loaded, otherwise the number of processors this process may use."""
    torch = sys.modules.get("torch")  # importing it takes longer than most of the work
    if torch:
        return int(torch.get_num_threads())
    if hasattr(os, "sched_getaffinity"):  # Linux only
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _pool(process: int) -> ThreadPoolExecutor:
    """This process's threads: they do not survive a fork, so a child makes its own."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="nowcast-kernels")
