"""Benchmarks of the kernels: ``make bench``, or ``python kernels/benchmarks/run.py --out DIR``.

The cases stand in ``cases.json``. Each is first checked on a small copy of itself against the reference; where one
fails, nothing is reported and the run ends with exit code 1. Each is timed in a process of its own, whose peak memory
stands beside the times. One JSON file says what was measured, on what, with which versions. With a CUDA device the
voxelizer's cases run there as well (``gpu.py``).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu import bench_voxelize_gpu
from machine import machine
from measure import Mismatch, alone, check, timed
from torch import Tensor
from torch.nn import functional as F

from nowcast_kernels.jit import kernel
from nowcast_kernels.ssd import causal_conv1d, ssd
from nowcast_kernels.voxelize import RegularGrid, cpu, voxelize
from nowcast_kernels.voxelize.rows import lay_rows, levels, row_lists

PACKAGES = ("torch", "numpy", "numba", "llvmlite")
FIRST_CALL = """
import time; start = time.perf_counter()
import torch; from nowcast_kernels.voxelize import RegularGrid, voxelize
loaded = time.perf_counter()
grid = RegularGrid((4, 20, 20), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
leaves = [torch.ones(3, k, requires_grad=True) for k in (3, 3, 4, 1)]
voxelize(*leaves, grid).sum().backward()
print(time.perf_counter() - loaded)
"""


def gaussians(case: dict[str, Any]) -> tuple[list[Tensor], RegularGrid]:
    """Random Gaussians on cubic voxels of 500 m, as leaves."""
    rng = np.random.default_rng(0)
    nz, ny, nx = case["shape"]
    n = case["gaussians"]
    grid = RegularGrid((nz, ny, nx), (1500.0, -250.0 * ny, -250.0 * nx), (500.0, 500.0, 500.0))
    low, high = np.log(500.0 * np.array(case["scale_voxels"]))
    first = np.array(grid.first_m[::-1])
    arrays = (
        rng.uniform(first, first + 500.0 * np.array([nx, ny, nz]), (n, 3)),
        rng.uniform(low, high, (n, 3)),
        rng.normal(size=(n, 4)),
        rng.normal(size=(n, case["channels"])),
    )
    return [torch.tensor(a, dtype=torch.float32).requires_grad_() for a in arrays], grid


def sequence(case: dict[str, Any]) -> list[Tensor]:
    """Random x, dt, A, B, C, D of a state-space layer, as leaves."""
    random = torch.Generator().manual_seed(0)
    batch, length, heads, head_dim, d_state = (case[k] for k in ("batch", "length", "heads", "head_dim", "d_state"))

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random)

    dt = F.softplus(draw(batch, length, heads) - 2)
    tensors = (draw(batch, length, heads, head_dim), dt, -torch.exp(draw(heads)))
    tensors += (draw(batch, length, d_state), draw(batch, length, d_state), draw(heads))
    return [t.requires_grad_() for t in tensors]


def convolution(case: dict[str, Any]) -> list[Tensor]:
    """Random x, weight and bias of a causal convolution, as leaves."""
    random = torch.Generator().manual_seed(0)
    shapes = ((case["batch"], case["length"], case["channels"]), (case["channels"], case["width"]), (case["channels"],))
    return [torch.randn(*shape, generator=random).requires_grad_() for shape in shapes]


def check_voxelize(case: dict[str, Any]) -> None:
    """The case's Gaussians, fewer and on a small grid."""
    leaves, grid = gaussians(case | {"shape": [12, 40, 50], "gaussians": 50})
    check(case["name"], lambda backend: voxelize(*leaves, grid, backend=backend), leaves, "numba")


def check_voxelize_gpu(case: dict[str, Any]) -> None:
    """The same on the CUDA device."""
    leaves, grid = gaussians(case | {"shape": [12, 40, 50], "gaussians": 50})
    on_gpu = [p.detach().cuda().requires_grad_() for p in leaves]
    check(case["name"], lambda backend: voxelize(*on_gpu, grid, backend=backend), on_gpu, "triton")


def check_ssd(case: dict[str, Any]) -> None:
    """The case with a short sequence."""
    leaves = sequence(case | {"length": 2 * case["chunk"] + 5})
    check(case["name"], lambda b: ssd(*leaves, chunk=case["chunk"], backend=b), leaves, "auto")


def check_conv(case: dict[str, Any]) -> None:
    """The case with a short sequence; the reference is the plain form, which serves float64."""
    leaves = convolution(case | {"length": 50})

    def run(backend: str) -> Tensor:
        return causal_conv1d(*(p.double() if backend == "reference" else p for p in leaves)).float()

    check(case["name"], run, leaves, "auto")


@kernel
def count_pairs(table, shape):  # type: ignore[no-untyped-def]
    """Number of (voxel, Gaussian) pairs within the cut."""
    lists = row_lists(shape[1])
    pairs = 0
    for t in table:
        z, z_last = levels(t, shape[0])
        while z <= z_last:
            n, z = lay_rows(lists, t, z, z_last, 0, shape[1] - 1, shape)
            for r in range(n):
                pairs += max(lists[0][2, r], 0)
    return pairs


def bench_voxelize(case: dict[str, Any], repeats: int) -> dict[str, Any]:
    """Forward and backward pass as a caller meets them: checks, sorting and autograd included."""
    leaves, grid = gaussians(case)
    plan = cpu.make_plan(*(p.detach().numpy() for p in leaves[:3]), grid)
    field = voxelize(*leaves, grid)
    upstream = torch.randn(field.shape)
    return {
        "kernel": "voxelize", **case,
        "pairs": int(count_pairs(plan.table, cpu.padded_shape(plan))),
        "forward": timed(lambda: voxelize(*leaves, grid), repeats),
        "backward": timed(lambda: torch.autograd.grad(field, leaves, upstream, retain_graph=True), repeats),
    }  # fmt: skip


def bench_gpu(case: dict[str, Any], repeats: int) -> dict[str, Any]:
    """The case on the CUDA device."""
    leaves, grid = gaussians(case)
    return {"kernel": "voxelize_gpu", **case, **bench_voxelize_gpu(leaves, grid, repeats)}


def bench_ssd(case: dict[str, Any], repeats: int) -> dict[str, Any]:
    """Forward, and forward with backward."""
    leaves = sequence(case)
    return {"kernel": "ssd", **case, **both_passes(lambda: ssd(*leaves, chunk=case["chunk"]), leaves, repeats)}


def bench_conv(case: dict[str, Any], repeats: int) -> dict[str, Any]:
    """Forward, and forward with backward."""
    leaves = convolution(case)
    return {"kernel": "conv", **case, **both_passes(lambda: causal_conv1d(*leaves), leaves, repeats)}


def both_passes(run: Callable[[], Tensor], leaves: list[Tensor], repeats: int) -> dict[str, Any]:
    """Timings of a function and of it with its gradients."""
    forward = timed(run, repeats)
    return {"forward": forward, "forward_backward": timed(lambda: torch.autograd.grad(run().sum(), leaves), repeats)}


def first_call_seconds() -> dict[str, float]:
    """Seconds of the first voxelize with backward in a new process: compiling, and with the code on disk."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", FIRST_CALL]
        environment = os.environ | {"NUMBA_CACHE_DIR": folder, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        answers = [
            float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
            for _ in range(2)
        ]
    return {"compiling": answers[0], "from_disk": answers[1]}


def yardstick() -> dict[str, float]:
    """What the machine can do at this moment, to compare runs by ratio."""
    a, b = torch.randn(1024, 1024), torch.empty(64 * 2**20 // 4)
    matmul, copy = timed(lambda: a @ a, 20), timed(lambda: b.clone(), 20)
    return {
        "matmul_gflops": 2 * 1024**3 / matmul["best_ms"] / 1e6,
        "copy_gb_per_s": 2 * 0.0671 / copy["best_ms"] * 1e3,
    }


def line(result: dict[str, Any]) -> str:
    """One result for people."""
    passes = (f"{k} {v['median_ms']:.1f} ms (best {v['best_ms']:.1f})" for k, v in result.items() if "ward" in k)
    memory = f"peak {result['resident_mib']['peak']:.0f} MiB"
    return f"{result['kernel']:12s} {result['name']:18s} " + ", ".join((*passes, memory))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="directory for kernels.json")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    cases = json.loads(Path(__file__).with_name("cases.json").read_text())
    kinds = {
        "voxelize": [(check_voxelize, bench_voxelize)],
        "ssd": [(check_ssd, bench_ssd)],
        "conv": [(check_conv, bench_conv)],
    }
    if torch.cuda.is_available() and find_spec("triton"):
        kinds["voxelize"].append((check_voxelize_gpu, bench_gpu))
    results = []
    try:
        for name, runs in kinds.items():
            for case, (verify, bench) in product(cases[name], runs):
                verify(case)
                results.append(alone(bench, case, options.repeats))
                print(line(results[-1]))
    except Mismatch as mismatch:
        print(f"no figures: {mismatch}", file=sys.stderr)
        return 1
    report = {
        "machine": machine(PACKAGES),
        "yardstick": yardstick(),
        "first_call_seconds": first_call_seconds(),
        "cases": results,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / "kernels.json"
    target.write_text(json.dumps(report, indent=1) + "\n")
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
