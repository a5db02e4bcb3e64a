"""What each part of GauMamba and of its training is worth: the same windows and seed, one thing changed a line.

``python tests/benchmarks/ablation.py FITS... --out DIR [--config FILE] [--only NAME...]``. ``FITS`` are files of
``nowcast fit --future N`` of several events; the held-out ones are the same for every line. Scores are those of the
best epoch on the held-out events, by the loss that the line trains with; cost is the seconds of training for a window,
and the number of weights. ``chance`` learns 1% faster: what it differs by means nothing.

``DIR/ablation.md`` and ``DIR/ablation.json`` are written after every line. A run that was stopped goes on where it
was, and lines may be trained one by one: the table has all that are finished. A folder is for one set of fits and
settings.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from nowcast.io.gaussians import read_windows
from nowcast.models import ModelConfig, load_checkpoint
from nowcast.pipeline.config import load_config
from nowcast.pipeline.settings import Settings
from nowcast.train import TrainConfig, TrainReport, read_log, train
from nowcast.types import FittedWindow

Change = Callable[[TrainConfig], TrainConfig]
Line = dict[str, float]

WHOLE_MOTION_MS = 30.0  # where nothing is moved beforehand, the correction is all the motion there is


def model(**changes: object) -> Change:
    return lambda c: replace(c, model=replace(c.model, **changes))


def loss(**changes: object) -> Change:
    return lambda c: replace(c, loss=replace(c.loss, **changes))


def training(**changes: object) -> Change:
    return lambda c: replace(c, **changes)


def both(*changes: Change) -> Change:
    def changed(config: TrainConfig) -> TrainConfig:
        for change in changes:
            config = change(config)
        return config

    return changed


PARAMETERS_ONLY = loss(csi=0.0, area=0.0, mae=0.0, crps=0.0, parameters=1.0)
UNMOVED = model(motion_prior=False, max_drift_ms=WHOLE_MOTION_MS)

VARIANTS: dict[str, Change] = {
    "as configured": lambda c: c,
    "chance": lambda c: replace(c, learning_rate=1.01 * c.learning_rate),
    "no memory": model(memory=False),
    "one direction": model(both_ways=False),
    "Morton order": model(order="morton"),
    "Hilbert order": model(order="hilbert"),
    "shuffled orders": model(order="shuffled"),
    "changes from the first frame": model(changes_from="first"),
    "no motion prior": UNMOVED,
    "parameter loss only": PARAMETERS_ONLY,
    "rendered loss only": loss(parameters=0.0),
    "no layer pairs": model(pairs=0),
    "one pair": model(pairs=1),
    "two pairs": model(pairs=2),
    "four pairs": model(pairs=4),
    "half as wide": lambda c: model(d_model=c.model.d_model // 2, head_dim=c.model.head_dim // 2)(c),
    "twice as wide": lambda c: model(d_model=c.model.d_model * 2)(c),
    # No grey box: bounds that leave everything to the model. A squared error: no distance is linear.
    "the paper's variant": both(
        UNMOVED,
        model(changes_from="first", max_growth_per_min=0.2, max_stretch_per_min=0.1, max_turn_deg_per_min=5.0),
        PARAMETERS_ONLY,
        loss(huber=1e6),
    ),
    "growth only": model(max_drift_ms=0.0, max_stretch_per_min=0.0, max_turn_deg_per_min=0.0),
    "no drift": model(max_drift_ms=0.0),
    "no new echo": model(candidates=0),
    "little absolute error": loss(mae=0.1),
    "absolute error only": loss(csi=0.0, area=0.0),
    "axes not turned": training(turn_axes=False),
    "no frames dropped": training(dropped=0.0, thinned=0.0),
    "pace as it was": training(pace=0.0),
    "strength as it was": training(strength=0.0),
    "later starts": training(later_starts=0.5),
}

COLUMNS = {"csi_35": "CSI35", "csi_45": "CSI45", "mae_dbz": "MAE, dBZ", "bias_35": "bias at 35"}
COSTS = {"epoch": "epoch", "seconds_per_window": "s/window", "weights": "weights"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the variants that are asked for, and write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fits", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    given = parser.parse_args(arguments)
    config = TrainConfig() if given.config is None else load_config(given.config, Settings).train
    if config.model.pairs == 0:  # half of the variants change what only layer pairs have
        config = model(pairs=ModelConfig().pairs)(config)
    windows = [window for path in given.fits for window in read_windows(path)]
    path = given.out / "ablation.json"
    lines: dict[str, Line] = json.loads(path.read_text()) if path.exists() else {}
    for name in given.only:
        same = [line for line in lines if line in VARIANTS and VARIANTS[line](config) == VARIANTS[name](config)]
        lines |= {name: lines[same[0]]} if same else _trained(name, windows, config, given.out)
        path.write_text(json.dumps(lines, indent=2))
        (given.out / "ablation.md").write_text(table(lines))
        print(_row(name, lines[name]), flush=True)
    print(table(lines))


def _trained(name: str, windows: Sequence[FittedWindow], config: TrainConfig, out: Path) -> dict[str, Line]:
    """The line of a variant, and those of what it starts from."""
    report = train(windows, VARIANTS[name](config), out / name.replace(" ", "-").replace("'", ""))
    untrained: dict[str, Line] = {}
    if name in ("as configured", "no motion prior"):
        untrained["extrapolation" if name == "as configured" else "persistence"] = report.untrained_scores
    return {**untrained, name: {**report.best_scores, **_cost(report)}}


def _cost(report: TrainReport) -> Line:
    """The epoch that was kept, and what training took."""
    kept = load_checkpoint(report.checkpoint)
    seconds = sum(record["seconds"] for record in read_log(report.log))
    seen = report.epochs * kept.provenance["windows"]
    weights = sum(p.numel() for p in kept.parameters())
    return {"epoch": report.best_epoch, "seconds_per_window": round(seconds / seen, 3), "weights": weights}


def table(lines: dict[str, Line]) -> str:
    """The finished lines in Markdown, in the order of ``VARIANTS``."""
    heads = ["variant", *COLUMNS.values(), *COSTS.values()]
    order = ["persistence", "extrapolation", *VARIANTS]
    rows = [_row(name, lines[name]) for name in order if name in lines]
    return "\n".join(["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|", *rows]) + "\n"


def _row(name: str, line: Line) -> str:
    scores = [f"{line[key]:.3f}" if key in line else "" for key in COLUMNS]
    return "| " + " | ".join([name, *scores, *(str(line.get(key, "")) for key in COSTS)]) + " |"


if __name__ == "__main__":
    main()
