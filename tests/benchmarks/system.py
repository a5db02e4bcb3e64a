"""Benchmarks of the fit and of a whole cycle: ``make bench``, or ``python tests/benchmarks/system.py --out DIR``.

The input is simulated, so the figures can be made anywhere; with ``--data ROOT``, a folder that holds the real volumes
named below, the fit, the gridding and the cycle run on those as well. One JSON file says what was measured, on what,
with which versions.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.cli.options import AUTO_GAUSSIANS
from nowcast.gaussians import (
    FitConfig,
    coherence_voxels,
    compressed_bytes,
    continue_fit,
    equal_error_bytes,
    fit_sequence,
    reconstruction_scores,
    render,
)
from nowcast.io.gaussians import as_stored
from nowcast.pipeline.inputs import load_sequence
from nowcast.radar import Site
from nowcast.radar.gridding import GridConfig
from nowcast.simulate import draw_scene, simulate_volumes
from nowcast.types import GridSpec, VolumeSequence
from nowcast.verify import categorical

sys.path.append(str(Path(__file__).parents[2] / "kernels" / "benchmarks"))
from machine import machine

PACKAGES = ("torch", "numpy", "numba", "scipy", "arm-pyart", "xarray")
SHAPE = (29, 117, 117)

BRISBANE = Site(-27.608, 152.539, 372.0)
GRIDDED = "cpol_20051113_morning_grid"
POLAR = "brisbane_20051127_odim"
NEXRAD = "single_volumes/KLBB20160601_150025_V06"


@dataclass(frozen=True)
class Case:
    """A timed case: every run's seconds and what the result was worth."""

    name: str
    seconds: list[float]
    facts: dict[str, Any]

    @property
    def line(self) -> str:
        facts = ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in self.facts.items())
        return (
            f"{self.name:44s} median {statistics.median(self.seconds):7.2f} s, best {min(self.seconds):7.2f} s  {facts}"
        )


def timed(run: Callable[[], Any], repeats: int) -> tuple[list[float], Any]:
    """Seconds of each run and the last result."""
    seconds, result = [], None
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - start)
    return seconds, result


def bench_fit(name: str, windows: list[VolumeSequence], config: FitConfig) -> Case:
    """The causal fit of each window of four volumes: seconds, and the quality of the newest volume as it is stored."""
    fit_sequence(windows[0].select(slice(-1, None)), FitConfig(gaussians=64))  # compiles the kernels
    seconds: list[float] = []
    psnr: list[float] = []
    csi: dict[str, list[float]] = {"35": [], "45": []}
    coherence, numbers, sizes, dense, strong = [], [], [], [], []
    for window in windows:
        took, fitted = timed(lambda window=window: fit_sequence(window, config), 1)  # type: ignore[misc]
        seconds += took
        newest, fitted = slice(-1, None), as_stored(fitted)
        numbers.append(len(fitted.ids))
        scores = reconstruction_scores(fitted.select(newest), window.select(newest))
        seen = window.mask[-1]
        drawn, there = render(fitted.at(-1), fitted.grid)[0][seen] >= 45, window.reflectivity[-1][seen] >= 45
        strong.append([(drawn & there).sum(), (~drawn & there).sum(), (drawn & ~there).sum()])
        psnr.append(float(scores["psnr_db"][-1]))
        coherence.append(coherence_voxels(fitted))
        sizes.append(compressed_bytes(fitted.at(-1), fitted.grid) / 1e3)
        dense.append(equal_error_bytes(window.reflectivity[-1], window.mask[-1], psnr[-1]) or math.nan)
        for threshold, values in csi.items():
            values.append(scores["csi"][threshold][-1])
    facts = {"gaussians": statistics.median(numbers), "psnr_db": statistics.median(psnr), "worst_psnr_db": min(psnr)}
    facts |= {f"csi{threshold}": float(np.nanmedian(values)) for threshold, values in csi.items()}
    facts["csi45_together"] = float(categorical.csi(np.sum(strong, axis=0)))
    facts |= {"coherence_voxels": float(np.nanmedian(coherence)), "volume_kb": statistics.median(sizes)}
    facts["equal_error_kb"] = float(np.nanmedian(dense)) / 1e3
    asked = f"N={config.gaussians}" if config.psnr_db is None else f"{config.psnr_db:g} dB"
    return Case(f"fit {name} 4x{'x'.join(map(str, SHAPE))} {asked}", seconds, facts)


def bench_warm_start(name: str, archive: VolumeSequence, gaussians: int, first: int, cycles: int) -> list[Case]:
    """A chain of cycles, each adding one volume to the fit of the last, beside a fit from nothing at each."""
    config, newest = FitConfig(gaussians=gaussians), slice(-1, None)
    fitted = fit_sequence(archive.select(slice(first - 4, first)), config)
    warm: list[float] = []
    cold: list[float] = []
    gained: list[float] = []
    for t in range(first, first + cycles):
        window = archive.select(slice(t - 3, t + 1))
        took, fitted = timed(lambda window=window, last=fitted: continue_fit(last, window, config), 1)  # type: ignore[misc]
        warm += took
        took, again = timed(lambda window=window: fit_sequence(window, config), 1)  # type: ignore[misc]
        cold += took
        psnr = [reconstruction_scores(f.select(newest), window.select(newest))["psnr_db"][0] for f in (fitted, again)]
        gained.append(float(psnr[0] - psnr[1]))
    facts = {"gained_db": statistics.median(gained), "worst_db": min(gained)}
    return [Case(f"warm start {name} N={gaussians}", warm, facts), Case(f"cold fits of the same {name}", cold, {})]


def windows_of(folder: Path, first: int = 0, every: int = 4, site: Site | None = None) -> list[VolumeSequence]:
    """Four successive volumes, from every so many places of an archive."""
    volumes = load_sequence(folder, site=site)
    return [volumes.select(slice(i, i + 4)) for i in range(first, len(volumes) - 3, every)]


def bench_grid(path: Path, repeats: int) -> Case:
    """Reading, cleaning and gridding one polar volume to 36 x 513 x 513."""
    grid = GridConfig(spacing_m=1000.0, extent_m=256_000.0, bottom_m=1500.0, top_m=19_000.0, level_spacing_m=500.0)
    load_sequence(path, grid=grid)  # compiles the kernels
    seconds, volumes = timed(lambda: load_sequence(path, grid=grid), repeats)
    return Case(f"read, clean and grid {path.name} to {'x'.join(map(str, volumes.grid.shape))}", seconds, {})


def simulated_volumes() -> VolumeSequence:
    """Four volumes of a simulated convective scene on the grid of the design's speed table."""
    spacing = 2500.0
    first = (1000.0, -spacing * (SHAPE[1] - 1) / 2, -spacing * (SHAPE[2] - 1) / 2)
    grid = GridSpec(-27.6, 152.5, SHAPE, first, (500.0, spacing, spacing))
    times = np.datetime64("2020-01-01T00:00", "ns") + np.arange(4) * np.timedelta64(600, "s")
    return simulate_volumes(draw_scene("line", 1, 3600.0), grid, times)


def bench_cycle(name: str, archive: Path, repeats: int, *options: str) -> list[Case]:
    """``nowcast forecast`` from raw radar files to NetCDF and picture: a new process each time.

    Cold is the first run on a machine, before the kernels are compiled; warm is every later one.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "forecast.nc")
        command = [
            sys.executable,
            "-m",
            "nowcast",
            "forecast",
            str(archive),
            "--leads",
            "6",
            "-o",
            str(out),
            "--json",
            *options,
        ]

        def run(cache: str) -> dict[str, Any]:
            environment = os.environ | ({"NUMBA_CACHE_DIR": cache} if cache else {})
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            answer: dict[str, Any] = json.loads(done.stdout)
            return answer

        cold, _ = timed(lambda: run(f"{folder}/kernels"), 1)
        warm, answer = timed(lambda: run(f"{folder}/kernels"), repeats)
    stages = answer["seconds"]
    return [Case(f"cycle {name}, cold", cold, {}), Case(f"cycle {name}, warm", warm, {"stages": stages})]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--data", type=Path, help="folder of real volumes; what is not there is left out")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    simulated = [simulated_volumes()] * options.repeats
    by_content = [FitConfig(gaussians=AUTO_GAUSSIANS, psnr_db=target) for target in (35.0, 40.0, 45.0)]
    cases = [bench_fit("simulated", simulated, FitConfig(gaussians=n)) for n in (2048, 4096)]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nowcast", "simulate", "-o", f"{folder}/archive", "--events", "1"]
        subprocess.run([*command, "--volumes", "4"], check=True, capture_output=True)
        event = next(p.parent for p in sorted(Path(folder, "archive").rglob("*.nc")) if "truth" not in str(p))
        cases += bench_cycle("simulated", event, options.repeats)
    if options.data and (gridded := options.data / GRIDDED).is_dir():
        fixed = [FitConfig(gaussians=n) for n in (256, 512, 1024, 2048, 4096)]
        cases += [bench_fit("CPOL", windows_of(gridded), config) for config in (*fixed, *by_content)]
        cases += bench_warm_start("CPOL", load_sequence(gridded), 2048, first=8, cycles=24)
    if options.data and (nexrad := options.data / NEXRAD).is_file():
        cases.append(bench_grid(nexrad, options.repeats))
    if options.data and (polar := options.data / POLAR).is_dir():
        wet = windows_of(polar, first=12, site=BRISBANE)
        cases += [bench_fit("Brisbane", wet, config) for config in by_content]
        cases += bench_cycle("Brisbane", polar, options.repeats, f"--site={BRISBANE.lat},{BRISBANE.lon},{BRISBANE.alt}")
    for case in cases:
        print(case.line)
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / "system.json"
    target.write_text(json.dumps({"machine": machine(PACKAGES), "cases": [asdict(c) for c in cases]}, indent=1))
    print(target)


if __name__ == "__main__":
    main()
