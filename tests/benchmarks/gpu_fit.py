"""Benchmark of the fit at the paper's size: ``python tests/benchmarks/gpu_fit.py --out DIR``.

Five simulated volumes of 36 x 512 x 512 voxels and six channels, 49,152 Gaussians: seconds, PSNR and memory of
:func:`nowcast.gaussians.fit_sequence`, all five volumes, beside the recipe of arXiv 2502.14895 (``convergence.py`` has
it) for the newest volume alone, at its 20,000 steps. On the CUDA device, or on the CPU where there is none; ``--scale``
makes the same scene coarser, with fewer Gaussians. The simulation knows reflectivity alone: the other channels are
stand-ins made from it.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from convergence import Published, run_published
from scipy.ndimage import gaussian_filter
from system import PACKAGES

from nowcast.channels import CHANNELS
from nowcast.gaussians import FitConfig, fit_sequence, reconstruction_scores
from nowcast.simulate import draw_scene, simulate_volumes
from nowcast.types import GridSpec, VolumeSequence

from machine import machine  # isort: skip  (its folder is put on the path by convergence)
from measure import resident_mib  # isort: skip

SHAPE, GAUSSIANS, VOLUMES = (36, 512, 512), 49_152, 5
ECHO_DBZ = 10.0


def sizes(scale: float) -> tuple[tuple[int, int, int], int]:
    """Shape of the grid and number of Gaussians."""
    nz, ny, nx = (max(4, round(scale * n)) for n in SHAPE)
    return (nz, ny, nx), max(8, round(GAUSSIANS * nz * ny * nx / np.prod(SHAPE)))


def simulated(shape: tuple[int, int, int], channels: int) -> VolumeSequence:
    """A convective line, ten minutes apart, on 512 km x 512 km x 18 km."""
    spacing = (18_000.0 / shape[0], 512_000.0 / shape[1], 512_000.0 / shape[2])
    first = (1000.0, -0.5 * spacing[1] * (shape[1] - 1), -0.5 * spacing[2] * (shape[2] - 1))
    times = np.datetime64("2020-01-01T00:00", "ns") + np.arange(VOLUMES) * np.timedelta64(600, "s")
    scene = draw_scene("line", 1, 600.0 * VOLUMES)
    volumes = simulate_volumes(scene, GridSpec(-27.6, 152.5, shape, first, spacing), times)
    names = tuple(CHANNELS)[:channels]
    values = np.stack([stand_in(name, volumes.reflectivity) for name in names], axis=1)
    return replace(volumes, values=values, channels=names)


def stand_in(name: str, dbz: np.ndarray) -> np.ndarray:
    """A field of about the size and smoothness of a channel, where there is echo."""
    smooth = gaussian_filter(dbz, (0, 0, 2, 2))
    made = {
        "zdr": 0.04 * smooth,
        "kdp": 0.001 * np.maximum(smooth - 20.0, 0.0) ** 2,
        "rhohv": 1.0 - 0.0005 * smooth,
        "spectrum_width": 1.0 + 0.05 * np.abs(dbz - smooth),
        "azimuthal_shear": 1e-4 * np.gradient(smooth, axis=3),
        "divergence": 1e-4 * np.gradient(smooth, axis=2),
    }.get(name)
    if made is None:
        return dbz
    return np.where(dbz > ECHO_DBZ, made, np.nan).astype(np.float32)


def clock() -> float:
    """Seconds, when all is done that was asked of the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def peak_mib(device: str) -> float:
    """Most memory held: of the device by torch since it was last asked, of this process on a CPU."""
    if device == "cpu":
        return resident_mib("VmHWM")
    most = torch.cuda.max_memory_allocated() / 2**20
    torch.cuda.reset_peak_memory_stats()
    return most


def fit_case(volumes: VolumeSequence, config: FitConfig, device: str) -> dict[str, Any]:
    """The fit of all volumes."""
    if device != "cpu":
        fit_sequence(volumes, replace(config, gaussians=64, rounds=1))  # compiles the kernels
        peak_mib(device)
    start = clock()
    passes: list[float] = []
    fitted = fit_sequence(volumes, config, progress=lambda done, total: passes.append(clock() - start))
    seconds = clock() - start
    peak = peak_mib(device)
    scores = reconstruction_scores(fitted, volumes)
    rmse = {name: errors[-1] for name, errors in scores.get("rmse", {}).items()}
    facts = {"seconds": seconds, "until_pass_s": passes, "psnr_db": scores["psnr_db"], "rmse": rmse}
    return facts | {"csi": scores["csi"], "peak_mib": peak}


def published_case(volumes: VolumeSequence, count: int, steps: int, device: str) -> dict[str, Any]:
    """The published recipe on the newest volume, shortened in proportion where there are fewer steps."""
    recipe = Published(backward=steps // 4, forward=steps - steps // 4, density=steps // 4)
    newest = volumes.select(slice(-1, None))
    run_published(newest, "", count, Published(2, 4, 2), device=device, clock=clock)  # compiles the kernels
    peak_mib(device)
    every = max(steps // 10, 1)
    curve = run_published(newest, "published", count, recipe, device=device, every=every, clock=clock)
    return {"recipe": asdict(recipe), "curve": curve.points, "peak_mib": peak_mib(device)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--scale", type=float, default=1.0, help="of the grid along each axis")
    parser.add_argument("--channels", type=int, default=6)
    parser.add_argument("--steps", type=int, default=20_000, help="of the published recipe; 0 leaves it out")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    shape, count = sizes(options.scale)
    volumes = simulated(shape, options.channels)
    facts: dict[str, Any] = {
        "machine": machine([*PACKAGES, *(["triton"] if find_spec("triton") else [])]),
        "device": options.device if options.device == "cpu" else torch.cuda.get_device_name(options.device),
        "shape": [VOLUMES, *shape, options.channels],
        "gaussians": count,
        "echo": float((volumes.reflectivity[-1] > 0).mean()),
        "fit": fit_case(volumes, FitConfig(gaussians=count, device=options.device), options.device),
    }
    told = "{seconds:.1f} s, {peak_mib:.0f} MiB, PSNR ".format(**facts["fit"])
    print("fit:", told + " ".join(f"{psnr:.1f}" for psnr in facts["fit"]["psnr_db"]), "dB", flush=True)
    if options.steps:
        facts["published"] = published_case(volumes, count, options.steps, options.device)
        done, seconds, psnr = facts["published"]["curve"][-1]
        print(f"published, newest volume: {done} steps, {seconds:.1f} s, PSNR {psnr:.1f} dB")
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / "gpu_fit.json"
    target.write_text(json.dumps(facts, indent=1))
    print(target)


if __name__ == "__main__":
    main()
