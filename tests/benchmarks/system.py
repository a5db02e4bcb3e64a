"""Benchmarks of the fit and of a whole cycle: ``make bench``, or ``python tests/benchmarks/system.py --out DIR``.

The input is simulated, so the figures can be made anywhere; with ``--data DIR`` the fit also runs on real gridded
volumes. One JSON file says what was measured, on what, with which versions.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.gaussians import FitConfig, fit_sequence, reconstruction_scores
from nowcast.pipeline.inputs import load_sequence
from nowcast.simulate import draw_scene, simulate_volumes
from nowcast.types import GridSpec, VolumeSequence

PACKAGES = ("torch", "numpy", "numba", "scipy", "arm-pyart", "xarray")
SHAPE = (29, 117, 117)


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


def bench_fit(name: str, volumes: VolumeSequence, gaussians: int, repeats: int) -> Case:
    """The causal fit of a sequence: seconds and the quality of the newest volume."""
    config = FitConfig(gaussians=gaussians)
    fit_sequence(volumes.select(slice(-1, None)), FitConfig(gaussians=64))  # compiles the kernels
    seconds, fitted = timed(lambda: fit_sequence(volumes, config), repeats)
    scores = reconstruction_scores(fitted, volumes)
    facts = {"psnr_db": float(scores["psnr_db"][-1]), "csi35": float(scores["csi"]["35"])}
    return Case(f"fit {name} {len(volumes)}x{SHAPE} N={gaussians}", seconds, facts)


def simulated_volumes() -> VolumeSequence:
    """Four volumes of a simulated convective scene on the grid of the design's speed table."""
    spacing = 2500.0
    first = (1000.0, -spacing * (SHAPE[1] - 1) / 2, -spacing * (SHAPE[2] - 1) / 2)
    grid = GridSpec(-27.6, 152.5, SHAPE, first, (500.0, spacing, spacing))
    times = np.datetime64("2020-01-01T00:00", "ns") + np.arange(4) * np.timedelta64(600, "s")
    return simulate_volumes(draw_scene("line", 1, 3600.0), grid, times)


def bench_cycle(archive: Path, repeats: int) -> list[Case]:
    """``nowcast forecast`` from raw radar files to NetCDF and picture: a new process each time."""
    out = archive.parent / "cycle.nc"
    command = [sys.executable, "-m", "nowcast", "forecast", str(archive), "--leads", "6", "-o", str(out), "--json"]
    answers: list[dict[str, Any]] = []

    def run() -> None:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        answers.append(json.loads(done.stdout))

    seconds, _ = timed(run, repeats)
    return [Case("cycle: 4 raw volumes to forecast and picture", seconds, {"stages": answers[-1]["seconds"]})]


def machine() -> dict[str, Any]:
    """Where and with what the figures were made."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    return {
        "commit": commit or None,
        "device": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--data", type=Path, help="directory of gridded volumes to fit as well")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    cases = [bench_fit("simulated", simulated_volumes(), n, options.repeats) for n in (2048, 4096)]
    if options.data:
        volumes = load_sequence(options.data, frames=4)
        cases += [bench_fit(options.data.name, volumes, n, options.repeats) for n in (2048, 4096)]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nowcast", "simulate", "-o", f"{folder}/archive", "--events", "1"]
        subprocess.run([*command, "--volumes", "4"], check=True, capture_output=True)
        event = next(p.parent for p in sorted(Path(folder, "archive").rglob("*.nc")) if "truth" not in str(p))
        cases += bench_cycle(event, options.repeats)
    for case in cases:
        print(case.line)
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / "system.json"
    target.write_text(json.dumps({"machine": machine(), "cases": [asdict(c) for c in cases]}, indent=1))
    print(target)


if __name__ == "__main__":
    main()
