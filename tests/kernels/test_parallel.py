"""Work shared among threads: each item once, failures told to the caller."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nowcast_kernels.parallel import run_parallel, thread_count


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_has_threads_of_its_own(threads) -> None:
    """In a fresh interpreter, which forks after its threads have been used."""
    program = """
import os, threading, time, torch
from nowcast_kernels.parallel import run_parallel
torch.set_num_threads(3)
run_parallel(lambda item: time.sleep(0.02), 6)
child = os.fork()
names = set()
def work(item):
    names.add(threading.current_thread().name)
    time.sleep(0.05)
run_parallel(work, 12)
if child == 0:
    os._exit(0 if len(names) == 3 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_number_of_threads_without_torch_and_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only Linux tells which processors a process may use."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert thread_count() >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert thread_count() == (os.cpu_count() or 1)
