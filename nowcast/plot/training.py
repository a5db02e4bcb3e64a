"""The training log as a picture."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nowcast.plot.style import TITLE_SIZE


def plot_training(records: Sequence[dict[str, float]]) -> Figure:
    """Held-out and training loss, and the held-out scores, by epoch; ``records`` as of ``nowcast.train.read_log``.

    A ring marks the epoch whose weights are kept.
    """
    epochs = [r["epoch"] for r in records]
    figure = Figure(figsize=(9, 3.9), layout="constrained")
    figure.suptitle("Training: loss and critical success index by epoch", fontsize=TITLE_SIZE, fontweight="bold")
    left, right = figure.subplots(1, 2)
    trained = [r for r in records if "train_loss" in r]
    left.plot([r["epoch"] for r in trained], [r["train_loss"] for r in trained], label="training", color="0.6")
    left.plot(epochs, [r["loss"] for r in records], "o-", label="held out")
    left.axhline(records[0]["loss"], ls=":", color="k", label="extrapolation (untrained)")
    best = min(records, key=lambda r: r["loss"])
    left.plot(best["epoch"], best["loss"], "o", ms=12, mfc="none", color="k", label="kept")
    left.set(xlabel="epoch", ylabel="loss")
    left.legend(fontsize="small")
    for name in dict.fromkeys(key for r in records for key in r if key.startswith("csi_")):
        right.plot(epochs, [r.get(name, float("nan")) for r in records], "o-", label=f"{name[4:]} dBZ")
    right.set(xlabel="epoch", ylabel="CSI, held out", ylim=(0, None))
    if right.lines:
        right.legend(ncols=len(right.lines), loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
