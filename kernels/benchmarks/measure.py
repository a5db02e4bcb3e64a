"""Checking, timing and weighing, shared by the benchmarks of the kernels."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

TOLERANCE = 1e-4  # largest error over largest value, field and gradients, float32


class Mismatch(Exception):
    """A fast kernel disagrees with its reference."""


def check(name: str, run: Callable[[str], Tensor], leaves: list[Tensor], fast: str) -> None:
    """Compare output and gradients of a backend with the reference."""
    answers = []
    for backend in (fast, "reference"):
        out = run(backend)
        weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.device)
        answers.append([out.detach(), *torch.autograd.grad((out * weights).sum(), leaves)])
    for got, expected in zip(*answers, strict=True):
        error = float((got - expected).abs().max() / expected.abs().max())
        if not error < TOLERANCE:
            raise Mismatch(f"{name}: the {fast} backend is off by {error:.2g} (largest error over largest value)")


def timed(run: Callable[[], Any], repeats: int, wait: Callable[[], Any] = lambda: None) -> dict[str, Any]:
    """Milliseconds of repeated runs after one that is not counted, each until ``wait`` returns."""
    run()
    ms = []
    for _ in range(repeats):
        wait()
        start = time.perf_counter()
        run()
        wait()
        ms.append(1e3 * (time.perf_counter() - start))
    low, middle, high = statistics.quantiles(ms, n=4)
    return {"best_ms": min(ms), "median_ms": middle, "quartiles_ms": [low, high], "repeats": repeats}


def alone(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """The function's answer from a process of its own, with the memory that this process had before and at most."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_weigh, function, arguments).result()


def _weigh(function: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]) -> dict[str, Any]:
    before = resident_mib("VmRSS")
    result = function(*arguments)
    return result | {"resident_mib": {"before": before, "peak": resident_mib("VmHWM")}}


def resident_mib(field: str) -> float:
    """Resident set of this process: VmRSS now, VmHWM at most."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held when it started this process
        line = next(text for text in status.read_text().splitlines() if text.startswith(field))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
