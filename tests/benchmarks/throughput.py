"""Benchmark of whole archives: ``python tests/benchmarks/throughput.py --out DIR [--data ROOT]``.

``nowcast fit`` over raw radar files in sequences of four volumes, one after the other and on a Dask cluster of this
machine's cores (``--dask local``), from the start of the process to the written file: sequences a minute. The two take
turns, so that a machine that grows slow does so for both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from system import BRISBANE, PACKAGES, POLAR, Case, timed

from machine import machine  # isort: skip  (system has put its folder on the path)

FRAMES = 4


def fit(source: Path, out: Path, *options: str) -> dict[str, Any]:
    """Run the command in a process of its own: its answer."""
    command = [sys.executable, "-m", "nowcast", "fit", str(source), "-o", str(out), "--json", *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def simulated(folder: Path, sequences: int) -> Path:
    """A line of storms as the radar sees it, CfRadial."""
    command = [sys.executable, "-m", "nowcast", "simulate", "-o", str(folder), "--kind", "line"]
    subprocess.run([*command, "--volumes", str(FRAMES * sequences)], check=True, capture_output=True)
    return folder


def bench_archive(name: str, source: Path, gaussians: int, repeats: int, *options: str) -> list[Case]:
    """The same archive without and with a cluster."""
    ways = {"one after the other": (), **({"--dask local": ("--dask", "local")} if find_spec("distributed") else {})}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "fit.nc")
        fit(source, out, "--gaussians", "64", *options)  # compiles the kernels
        for _ in range(repeats):
            for way, extra in ways.items():
                took, answer = timed(
                    lambda extra=extra: fit(source, out, "--gaussians", str(gaussians), *extra, *options),  # type: ignore[misc]
                    1,
                )
                seconds[way] += took
    count = len(answer["sequences"])
    plain = statistics.median(seconds["one after the other"])
    cases = [
        Case(
            f"{name}, {count} sequences N={gaussians}, {way}",
            took,
            {
                "per_minute": 60 * count / statistics.median(took),
                "times_as_fast": plain / statistics.median(took),
            },
        )
        for way, took in seconds.items()
    ]
    for case in cases:
        print(case.line, flush=True)
    return cases


def main() -> None:
    """Run the cases and write ``throughput.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--data", type=Path, help="folder of real volumes; what is not there is left out")
    parser.add_argument("--sequences", type=int, default=6, help="of the simulated archive")
    parser.add_argument("--gaussians", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = simulated(Path(folder, "archive"), options.sequences)
        cases = bench_archive("simulated", source, options.gaussians, options.repeats)
    if options.data and (polar := options.data / POLAR).is_dir():
        site = f"--site={BRISBANE.lat},{BRISBANE.lon},{BRISBANE.alt}"
        cases += bench_archive("Brisbane", polar, options.gaussians, options.repeats, site)
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / "throughput.json"
    target.write_text(json.dumps({"machine": machine(PACKAGES), "cases": [asdict(c) for c in cases]}, indent=1))
    print(target)


if __name__ == "__main__":
    main()
