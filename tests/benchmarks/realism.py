"""Simulated storms beside real ones: ``python tests/benchmarks/realism.py --data VOLUMES --out DIR``.

Prints a table, writes ``realism.json`` and draws ``realism.png``: histograms by height, profiles, echo tops, power
spectra, and how fast what extrapolation foretells parts from what comes. Without ``--data`` simulated storms only.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from nowcast.pipeline.inputs import load_sequence
from nowcast.plot import save_figure
from nowcast.plot.climate import plot_climate
from nowcast.radar import Site
from nowcast.simulate import KINDS, CorpusPlan
from nowcast.types import VolumeSequence
from nowcast.verify.climate import THRESHOLDS_DBZ, StormStatistics, storm_statistics

REAL = {
    "cpol_20051113_morning_grid": None,
    "brisbane_20051127_odim": Site(-27.608, 152.539, 372.0),
    "khtx_20080411_nexrad": Site(34.9306, -86.0833, 537.0),
}


def simulated(kind: str, events: int, seed: int) -> Iterator[VolumeSequence]:
    plan = CorpusPlan(events=events, volumes=13, mix={kind: 1.0}, seed=seed)
    for number in range(events):
        yield plan.event(number).volumes()


def row(name: str, s: StormStatistics) -> str:
    """A line of the table."""

    def levels(q: float) -> str:
        at = [int(np.abs(s.height_m - h).argmin()) for h in (5000, 7000, 9000, 11_000)]
        return " ".join(f"{v:.2f}" for v in s.profile[THRESHOLDS_DBZ.index(q)][at])

    area = s.area / s.area[THRESHOLDS_DBZ.index(35.0)]
    csi = ["/".join(f"{v:.2f}" for v in s.csi[THRESHOLDS_DBZ.index(q)][[0, 2, 5]]) for q in (20.0, 35.0, 45.0)]
    return (
        f"| {name} | {100 * s.area[0]:.1f} {100 * s.area[2]:.1f} | {area[4]:.2f} {area[5]:.2f} {area[6]:.3f} | "
        f"{levels(35.0)} | {' '.join(f'{t / 1000:.1f}' for t in s.echo_top_m)} | {s.slope:.2f} | "
        f"{'/'.join(f'{v:.2f}' for v in s.correlation[[0, 2, 5]])} | {' '.join(csi)} | "
        f"{'/'.join(f'{v:.2f}' for v in s.area_change[[0, 2, 5]])} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the real archives")
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--kinds", nargs="*", default=[k for k in KINDS if k != "dry"])
    parser.add_argument("--events", type=int, default=10, help="simulated events of each kind")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print("| storms | area 20, 35 dBZ, % | area 45, 50, 55 to 35 | 35 dBZ at 5, 7, 9, 11 km to 3 km | 20 dBZ tops, km: "
          "10 25 50 75 90% | slope | correlation 10/30/60 | CSI20 CSI35 CSI45 | area change |")  # fmt: skip
    print("|---" * 9 + "|")
    found: dict[str, StormStatistics] = {}
    for folder, site in REAL.items():
        if arguments.data is not None and (arguments.data / folder).exists():
            volumes = load_sequence(arguments.data / folder, site=site)
            found[f"real {folder.split('_')[0]}"] = storm_statistics([volumes])
            print(row(folder, list(found.values())[-1]), flush=True)
    for kind in arguments.kinds:
        found[kind] = storm_statistics(simulated(kind, arguments.events, arguments.seed), every=3)
        print(row(kind, found[kind]), flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    save_figure(plot_climate(found), arguments.out / "realism.png")
    answer = {name: {k: np.asarray(v).tolist() for k, v in asdict(s).items()} for name, s in found.items()}
    (arguments.out / "realism.json").write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
