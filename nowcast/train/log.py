"""The training log: one JSON record a line, and a picture of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from nowcast.errors import InputError
from nowcast.io.atomic import atomic_path, atomic_write_text


def write_log(records: Sequence[dict[str, float]], path: Path) -> None:
    """Write one record a line; epoch 0 is the untrained model. Raises OutputError."""
    atomic_write_text(path, "".join(json.dumps(record) + "\n" for record in records))


def read_log(path: Path) -> list[dict[str, float]]:
    """The records of :func:`write_log`; raises InputError when the file is none."""
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no training log ({error}): give log.jsonl from a training folder") from error


def plot_log(log: Path, picture: Path) -> None:
    """Draw held-out and training loss and the held-out scores by epoch. Raises InputError and OutputError."""
    from matplotlib.figure import Figure

    records = read_log(log)
    epochs = [r["epoch"] for r in records]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    trained = [r for r in records if "train_loss" in r]
    left.plot([r["epoch"] for r in trained], [r["train_loss"] for r in trained], label="training", color="0.6")
    left.plot(epochs, [r["loss"] for r in records], "o-", label="held out")
    left.axhline(records[0]["loss"], ls=":", color="k", label="extrapolation (untrained)")
    left.set(xlabel="epoch", ylabel="loss")
    left.legend()
    for name in dict.fromkeys(key for r in records for key in r if key.startswith("csi_")):
        right.plot(epochs, [r.get(name, float("nan")) for r in records], "o-", label=f"{name[4:]} dBZ")
    right.set(xlabel="epoch", ylabel="CSI, held out", ylim=(0, None))
    if right.lines:
        right.legend()
    with atomic_path(picture) as temporary:
        figure.savefig(temporary, dpi=120)
