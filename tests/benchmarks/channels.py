"""Benchmark of several channels: ``python tests/benchmarks/channels.py --data VOLUMES --out DIR``.

Gridding with reflectivity alone and with all channels, and the fit of both, with what each is worth. Real volumes only:
simulated ones hold reflectivity alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from system import NEXRAD, PACKAGES, Case, timed

from nowcast.channels import PAPER, channel_names
from nowcast.gaussians import FitConfig, fit_sequence, reconstruction_scores
from nowcast.pipeline.channels import without_empty
from nowcast.pipeline.inputs import load_sequence
from nowcast.radar import Site
from nowcast.types import REFLECTIVITY, VolumeSequence

SEQUENCE, PLACE = "khtx_20080411_nexrad", Site(34.9306, -86.0833, 537.0)
ALONE = (REFLECTIVITY,)


def load(path: Path, channels: Sequence[str]) -> VolumeSequence:
    """The four newest volumes of a folder, or the one of a file, on the default grid."""
    site = PLACE if path.is_dir() else None
    return load_sequence(path, frames=4, site=site, channels=tuple(channels))


def worth(fitted: Any, volumes: VolumeSequence) -> dict[str, Any]:
    """PSNR of reflectivity in the newest volume, and the share of each other channel's variance that is drawn."""
    scores = reconstruction_scores(fitted, volumes)
    newest = dict(zip(volumes.channels, volumes.values[-1], strict=True))
    explained = {
        name: round(1.0 - (errors[-1] / float(np.nanstd(newest[name]))) ** 2, 3)
        for name, errors in scores.get("rmse", {}).items()
    }
    return {"psnr_db": scores["psnr_db"][-1], "csi45": scores["csi"]["45"][-1], "explained": explained}


def cases_of(path: Path, gaussians: int, repeats: int) -> list[Case]:
    """Gridding and fit of one input, with one and with all channels in turn."""
    cases = []
    for name, asked in (("reflectivity", ALONE), (PAPER, channel_names([PAPER]))):
        load(path, asked)  # compiled and imported
        seconds, volumes = timed(lambda asked=asked: load(path, asked), repeats)
        volumes = without_empty(volumes)
        facts = {"volumes": len(volumes), "channels": len(volumes.channels)}
        cases.append(Case(f"read and grid {path.name}: {name}", seconds, facts))
        config = FitConfig(gaussians=gaussians)
        seconds, fitted = timed(lambda v=volumes, c=config: fit_sequence(v, c), repeats)
        cases.append(Case(f"fit {path.name}: {name}", seconds, facts | worth(fitted, volumes)))
    return cases


def main() -> None:
    """Run the cases and write ``channels.json``."""
    from machine import machine  # system.py has put its folder on the path

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the real volumes")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--gaussians", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    cases: list[Case] = []
    for name in (NEXRAD, SEQUENCE):
        for case in cases_of(options.data / name, options.gaussians, options.repeats):
            print(case.line, flush=True)
            cases.append(case)
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / "channels.json"
    target.write_text(json.dumps({"machine": machine(PACKAGES), "cases": [asdict(c) for c in cases]}, indent=1))
    print(target)


if __name__ == "__main__":
    main()
