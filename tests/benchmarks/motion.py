"""How truly the Gaussians move: ``python tests/benchmarks/motion.py --out DIR``.

The echo of every known motion that the tests have, fitted: error of the displacements, how far they are from their
neighbours', and how many Gaussians changed over to another cell. Nothing is timed: the figures are the same anywhere.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from nowcast.gaussians import FitConfig, coherence_voxels, fit_sequence

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "kernels" / "benchmarks")]
from machine import machine
from motion_cases import CASES, STEP_S, VOXEL_M, displacement_error, swapped


def measured(name: str, gaussians: int) -> dict[str, float | str | int]:
    """One motion, fitted with so many Gaussians."""
    case = CASES[name]()
    fitted = fit_sequence(case.volumes, FitConfig(gaussians=gaussians))
    error = displacement_error(fitted, case)
    return {
        "motion": name,
        "gaussians": gaussians,
        "error_voxels": error,
        "error_ms": error * VOXEL_M / STEP_S,
        "coherence_voxels": coherence_voxels(fitted),
        "swapped": swapped(fitted, case),
    }


def main() -> None:
    """Run the cases, print a table and write ``motion.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--gaussians", type=int, nargs="+", default=[128, 512])
    options = parser.parse_args()
    cases = []
    print(f"{'motion':22}{'Gaussians':>10}{'error, voxels a step':>22}{'m/s':>7}{'coherence':>11}{'swapped':>9}")
    for name in CASES:
        for gaussians in options.gaussians:
            case = measured(name, gaussians)
            cases.append(case)
            print(
                f"{name:22}{gaussians:10d}{case['error_voxels']:22.3f}{case['error_ms']:7.2f}"
                f"{case['coherence_voxels']:11.3f}{case['swapped']:9.2%}"
            )
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / "motion.json"
    target.write_text(json.dumps({"machine": machine(("torch", "numpy", "numba")), "cases": cases}, indent=1))
    print(target)


if __name__ == "__main__":
    main()
