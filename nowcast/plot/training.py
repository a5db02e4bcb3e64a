"""The training log as a picture."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure


def plot_training(records: Sequence[dict[str, float]]) -> Figure:
    """Held-out and training loss, and the held-out scores, by epoch; ``records`` as of ``nowcast.train.read_log``."""
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
    return figure
