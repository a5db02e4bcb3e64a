"""What a mosaic is worth: ``python tests/benchmarks/mosaics.py [--data VOLUMES] --out DIR``.

Three simulated radars around each of six scenes: the error of each alone and of their mosaics where all three see. With
real volumes also how much the three Belgian radars differ where two of them see echo.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "kernels" / "benchmarks"))
from machine import machine

from nowcast.radar import Site, read_volume
from nowcast.radar.gridding import GridConfig, grid_volume
from nowcast.radar.mosaic import Part, combine, common_grid, radar_weight
from nowcast.radar.quality import QualityConfig, clean
from nowcast.simulate import ArchivePlan, Radar
from nowcast.simulate.clutter import draw_clutter
from nowcast.simulate.grids import simulate_volumes
from nowcast.simulate.polar import simulate_volume
from nowcast.types import Float32, GridSpec

DEGREE_M = 111_319.5
SITES = (Site(0.0, 149.45, 50.0), Site(0.0, 150.55, 300.0), Site(0.9, 150.0, 120.0))
"""On the equator, where north is the same way everywhere, as in a scene."""
CONFIG = GridConfig(spacing_m=2500.0, extent_m=60_000.0)
START, T_S, ECHO_DBZ = np.datetime64("2024-01-15T04:00", "ns"), 3000.0, 5.0
BELGIUM = "multiradar_be_20190606"


def look(kind: str, seed: int, grid: GridSpec) -> tuple[Float32, list[tuple[Site, Part]]]:
    """The truth of a scene, and what each radar sees at that instant, with equal weights."""
    scene = ArchivePlan(volumes=1, kinds=(kind,), seed=seed).scene(0)
    time = np.array([START + np.timedelta64(int(T_S), "s")], "datetime64[ns]")
    truth = simulate_volumes(scene, grid, time, start=START).reflectivity[0]
    seen = []
    for site in SITES:
        radar = Radar(site=site, clutter=False, turn_s=0.1, gates=400)
        place = (DEGREE_M * (site.lon - grid.origin_lon), DEGREE_M * (site.lat - grid.origin_lat))
        rng = np.random.default_rng(1)
        volume = simulate_volume(scene, radar, draw_clutter(radar, 1), start=START, t_s=T_S, rng=rng, place_m=place)
        values, mask = grid_volume(clean(volume, None, QualityConfig()), grid)
        seen.append((site, Part(values[None], mask, np.ones(grid.shape[1:], np.float32))))
    return truth, seen


def ways(grid: GridSpec) -> dict[str, Callable[[list[tuple[Site, Part]]], Float32]]:
    """Each radar alone, and ways to bring them together."""

    def mean(distance_m: float, height_m: float) -> Callable[[list[tuple[Site, Part]]], Float32]:
        def made(seen: list[tuple[Site, Part]]) -> Float32:
            parts = [p._replace(weight=radar_weight(s, grid, distance_m, height_m)) for s, p in seen]
            return combine(parts, "mean")[0][0]

        return made

    alone = {f"radar {i + 1} alone": lambda seen, i=i: seen[i][1].values[0] for i in range(len(SITES))}
    scales = {"50 km, 2 km": (50e3, 2e3), "25 km": (25e3, 1e9), "100 km": (100e3, 1e9), "none": (1e9, 1e9)}
    means = {f"mean, scales {name}": mean(*scale) for name, scale in scales.items()}
    return {**alone, **means, "strongest": lambda seen: combine([p for _, p in seen], "strongest")[0][0]}


def simulated() -> dict[str, dict[str, list[float]]]:
    """Root mean square error and bias in dB, mean over scenes, by way and kind of weather."""
    grid = common_grid(SITES, CONFIG)
    found: dict[str, dict[str, list[list[float]]]] = {}
    for kind in ("cells", "line", "stratiform"):
        for seed in (1, 2):
            truth, seen = look(kind, seed, grid)
            all_see = np.logical_and.reduce([p.mask for _, p in seen])
            echo = np.maximum.reduce([truth, *(np.nan_to_num(p.values[0]) for _, p in seen)]) > ECHO_DBZ
            for way, make in ways(grid).items():
                error = (make(seen) - truth)[all_see & echo]
                scores = [float(np.sqrt(np.mean(error**2))), float(error.mean())]
                found.setdefault(way, {}).setdefault(kind, []).append(scores)
    return {way: {k: np.mean(v, axis=0).round(2).tolist() for k, v in kinds.items()} for way, kinds in found.items()}


def real(folder: Path) -> dict[str, dict[str, float]]:
    """How the Belgian radars differ, pair by pair, where both see more than 10 dBZ."""
    volumes = {path.name[:5]: read_volume(path) for path in sorted(folder.glob("*.hdf"))}
    grid = common_grid([v.site for v in volumes.values()], GridConfig())
    seen = {name: grid_volume(clean(v, None, QualityConfig()), grid)[0] for name, v in volumes.items()}
    found = {}
    for a, b in combinations(seen, 2):
        echo = (seen[a] > 10.0) & (seen[b] > 10.0)
        error = (seen[a] - seen[b])[echo]
        correlation = np.corrcoef(seen[a][echo], seen[b][echo])[0, 1]
        facts = {
            "voxels": len(error),
            "bias": error.mean(),
            "median": np.median(error),
            "rms": np.sqrt((error**2).mean()),
        }
        found[f"{a} - {b}"] = {k: round(float(v), 2) for k, v in (facts | {"correlation": correlation}).items()}
    return found


def main() -> None:
    """Print both tables and write ``mosaics.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the real volumes")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    answer: dict[str, Any] = {"machine": machine(("numpy", "numba")), "simulated": simulated()}
    for way, kinds in answer["simulated"].items():
        print(f"{way:28}", *(f"{kind}: {rms:.2f} dB, bias {bias:+.2f};" for kind, (rms, bias) in kinds.items()))
    if options.data is not None:
        answer["real"] = real(options.data / BELGIUM)
        for pair, facts in answer["real"].items():
            print(pair, facts)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "mosaics.json").write_text(json.dumps(answer, indent=1))
    print(options.out / "mosaics.json")


if __name__ == "__main__":
    main()
