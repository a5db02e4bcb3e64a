"""What each part of GauMamba and of its training is worth: the same windows and seed, one thing changed a line.

``python tests/benchmarks/ablation.py FITS... --out DIR [--config FILE] [--only NAME...]``. ``FITS`` are files of
``nowcast fit --future N`` of several events; the held-out ones are the same for every line. Scores are those of the
best epoch on the held-out events; cost is the time of training against that of the first line, and the number of
weights. ``chance`` learns 1% faster: what it differs by means nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nowcast.io.gaussians import read_windows
from nowcast.models import load_checkpoint
from nowcast.pipeline.config import load_config
from nowcast.pipeline.settings import Settings
from nowcast.train import TrainConfig, read_log, train

Change = Callable[[TrainConfig], TrainConfig]


def model(**changes: object) -> Change:
    return lambda c: replace(c, model=replace(c.model, **changes))


def loss(**changes: object) -> Change:
    return lambda c: replace(c, loss=replace(c.loss, **changes))


VARIANTS: dict[str, Change] = {
    "as configured": lambda c: c,
    "chance": lambda c: replace(c, learning_rate=1.01 * c.learning_rate),
    "no layer pairs": model(pairs=0),
    "one pair": model(pairs=1),
    "two pairs": model(pairs=2),
    "no memory": model(memory=False),
    "one direction": model(both_ways=False),
    "half as wide": lambda c: model(d_model=c.model.d_model // 2, head_dim=c.model.head_dim // 2)(c),
    "twice as wide": lambda c: model(d_model=c.model.d_model * 2)(c),
    "growth only": model(max_drift_ms=0.0, max_stretch_per_min=0.0, max_turn_deg_per_min=0.0),
    "no drift": model(max_drift_ms=0.0),
    "parameter loss only": loss(csi=0.0, area=0.0, mae=0.0, crps=0.0, parameters=1.0),
    "rendered loss only": loss(parameters=0.0),
    "little absolute error": loss(mae=0.1),
    "absolute error only": loss(csi=0.0, area=0.0),
    "axes not turned": lambda c: replace(c, turn_axes=False),
    "no frames dropped": lambda c: replace(c, dropped=0.0),
}


def main() -> None:
    """Train every variant and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fits", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    given = parser.parse_args()
    config = TrainConfig() if given.config is None else load_config(given.config, Settings).train
    windows = [window for path in given.fits for window in read_windows(path)]
    lines, first_seconds = {}, 0.0
    print("| variant | CSI35 | CSI45 | MAE, dBZ | bias at 35 | epoch | weights | cost |\n" + "|---" * 8 + "|")
    for name in given.only:
        report = train(windows, VARIANTS[name](config), given.out / name.replace(" ", "-"))
        seconds = sum(record["seconds"] for record in read_log(report.log))
        first_seconds = first_seconds or seconds
        weights = sum(p.numel() for p in load_checkpoint(report.checkpoint).parameters())
        if not lines:
            print(_line("extrapolation", report.untrained_scores, "", "", ""))
        lines[name] = {**report.best_scores, "epoch": report.best_epoch, "weights": weights, "seconds": seconds}
        print(_line(name, report.best_scores, report.best_epoch, weights, f"{seconds / first_seconds:.2f}"), flush=True)
    (given.out / "ablation.json").write_text(json.dumps(lines, indent=2))


def _line(name: str, scores: dict[str, float], *rest: object) -> str:
    shown = [f"{scores[key]:.3f}" for key in ("csi_35", "csi_45", "mae_dbz", "bias_35")]
    return "| " + " | ".join([name, *shown, *map(str, rest)]) + " |"


if __name__ == "__main__":
    main()
