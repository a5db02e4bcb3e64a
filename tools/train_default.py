"""Rebuild the shipped weights: ``make train-default``, or ``python tools/train_default.py -o build/default``.

Simulated events, each of its own kind, step, spacing and radar, go straight to grids; one window of each is fitted
and kept in ``OUT/fits``, so that a run that was stopped goes on. Windows of real storms, made with
``nowcast fit ARCHIVE --future 6 --every 1 -o FILE.nc``, are given with ``--fits`` and count ``--repeat`` times. Then
``nowcast.train`` does what ``nowcast train`` does, with ``configs/train-default.yaml``.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from nowcast.gaussians import FitConfig, extend_fit, fit_sequence
from nowcast.io.gaussians import read_windows, write_windows
from nowcast.pipeline.config import load_config
from nowcast.pipeline.evaluate import WET_DBZ, WET_VOXELS
from nowcast.pipeline.settings import Settings
from nowcast.simulate import CorpusPlan
from nowcast.simulate.corpus import for_each_event
from nowcast.train import train
from nowcast.types import FittedWindow

INPUTS, LEADS = 4, 6
TARGETS = FitConfig(forward_steps=6)  # the Gaussians of later volumes are a small part of the loss


def fit_event(plan: CorpusPlan, folder: Path, number: int) -> Path | None:
    """Fit the window of an event and keep it; None where its last input has next to no echo."""
    event = plan.event(number)
    path, dry = folder / f"{event.name}.nc", folder / f"{event.name}.dry"
    if path.exists() or dry.exists():
        return path if path.exists() else None
    volumes = event.volumes()
    if (volumes.reflectivity[INPUTS - 1] > WET_DBZ).sum() <= WET_VOXELS:
        dry.touch()
        return None
    fitted = extend_fit(fit_sequence(volumes.select(slice(0, INPUTS))), volumes, TARGETS)
    write_windows([FittedWindow(fitted, INPUTS, event.name, volumes)], path)
    return path


def fit_corpus(plan: CorpusPlan, folder: Path, jobs: int) -> list[Path]:
    """Fit one window of every event, in processes; the files of those with echo, in the order of the events."""
    folder.mkdir(parents=True, exist_ok=True)

    def tell(done: int, total: int) -> None:
        print(f"\r{done} of {total} events fitted", end="\n" if done == total else "", file=sys.stderr, flush=True)

    paths = for_each_event(plan, partial(fit_event, plan, folder), jobs, tell)
    return [path for path in paths if path is not None]


def main() -> None:
    """Parse, fit, train, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("build/default"))
    parser.add_argument("--events", type=int, default=310)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--fits", type=Path, nargs="*", default=[], help="windows of real storms")
    parser.add_argument("--repeat", type=int, default=3, help="how often each of them counts")
    parser.add_argument("--config", type=Path, default=Path(__file__).parents[1] / "configs" / "train-default.yaml")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    plan = CorpusPlan(events=given.events, volumes=INPUTS + LEADS, seed=given.seed, diverse=True)
    paths = fit_corpus(plan, given.output / "fits", given.jobs)
    settings = load_config(given.config, Settings).train
    windows = [window for path in paths for window in read_windows(path)]
    real = [replace(window, event=path.stem) for path in given.fits for window in read_windows(path)]
    report = train([*windows, *real * given.repeat], settings, given.output)
    print(json.dumps({k: v for k, v in vars(report).items() if not k.endswith("events")}, default=str, indent=2))


if __name__ == "__main__":
    main()
