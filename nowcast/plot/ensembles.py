"""Whether an ensemble can be taken at its word: reliability, ranks, spread against error."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nowcast.plot.curves import (
    draw_band,
    draw_curves,
    finish,
    from_zero,
    lead_axis,
    make_panels,
    shown_leads,
    shown_thresholds,
    styles_of,
)
from nowcast.plot.style import TEXT_SIZE
from nowcast.verify import EnsembleTally, Report
from nowcast.verify.confidence import intervals
from nowcast.verify.ensemble import observed_share

LEAST_VOXELS = 50
"""A point of the reliability curve that rests on fewer voxels is not drawn."""
MOST_CLASSES = 21
GOOD_RATIO = (0.85, 1.15)


def ensembles_of(report: Report) -> dict[str, EnsembleTally]:
    """The methods with members."""
    return {name: tally.ensemble for name, tally in report.tallies.items() if tally.ensemble is not None}


def plot_spread(report: Report) -> Figure:
    """CRPS, spread beside error, and their ratio, by lead time."""
    figure, panels = make_panels(3)
    found, minutes, styles = ensembles_of(report), report.lead_minutes, styles_of(report.tallies)
    single = {name: tally.mae() for name, tally in report.tallies.items() if tally.ensemble is None}
    for name, values in single.items():
        panels[0].plot(minutes, values, color=styles[name][0], lw=0.9, ls=":", label=name)
    draw_curves(panels[0], minutes, {n: e.crps() for n, e in found.items()}, "CRPS [dBZ]", all_names=report.tallies)
    errors = {name: report.tallies[name].rmse() for name in found}
    draw_curves(panels[1], minutes, errors, "error of the mean (line), spread (dashed) [dBZ]", all_names=report.tallies)
    for name, each in found.items():
        colour, marker = styles[name]
        panels[1].plot(minutes, each.spread(), color=colour, marker=marker, ms=5, lw=1.4, ls="--")
        bounds = intervals(report, name)
        if bounds:
            draw_band(panels[0], minutes, bounds["crps"], colour)
    ratios = {name: report.tallies[name].spread_skill() for name in found}
    draw_curves(panels[2], minutes, ratios, "spread over error", all_names=report.tallies)
    panels[2].axhspan(*GOOD_RATIO, color="0.5", alpha=0.15, lw=0)
    panels[2].axhline(1.0, color="0.5", lw=0.8)
    for panel in panels:
        lead_axis(panel)
        from_zero(panel)
    return finish(figure, panels, report)


def plot_reliability(report: Report) -> Figure:
    """How often the event came by the probability given, all lead times together; below, how often it was given."""
    thresholds, found = shown_thresholds(report), ensembles_of(report)
    figure, panels = make_panels(2 * len(thresholds), columns=len(thresholds), height=2.6)
    for i, threshold in enumerate(thresholds):
        k, curve, counts = report.thresholds_dbz.index(threshold), panels[i], panels[len(thresholds) + i]
        curve.plot([0, 1], [0, 1], color="0.5", lw=0.8)
        for name, each in found.items():
            probability, exceeded = _classes(each.exceeded[:, k].sum(axis=0))
            voxels = exceeded.sum(axis=-1)
            share = np.where(voxels >= LEAST_VOXELS, observed_share(exceeded), np.nan)
            colour, marker = styles_of(report.tallies)[name]
            curve.plot(probability, share, color=colour, marker=marker, ms=5, lw=1.6, label=name)
            counts.step(probability, np.where(voxels > 0, voxels, np.nan), color=colour, where="mid", lw=1.4)
        curve.set(xlim=(0, 1), ylim=(0, 1), ylabel="observed share" if i == 0 else "")
        curve.set_title(f"at or above {threshold:g} dBZ", fontsize=TEXT_SIZE)
        counts.set(xlim=(0, 1), yscale="log", xlabel="forecast probability", ylabel="voxels" if i == 0 else "")
    return finish(figure, panels, report)


def _classes(exceeded: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities ``[P]`` and voxels ``[P, 2]``: each number of members for itself, or in classes where many."""
    members = len(exceeded) - 1
    class_of = np.arange(members + 1)
    if members + 1 > MOST_CLASSES:
        class_of = np.rint(class_of / members * (MOST_CLASSES // 2)).astype(np.int64)
    classes = np.zeros((class_of[-1] + 1, 2), np.int64)
    np.add.at(classes, class_of, exceeded)
    middle = np.bincount(class_of, np.arange(members + 1) / members) / np.bincount(class_of)
    return middle, classes


def plot_ranks(report: Report) -> Figure:
    """Rank of the observation among the members, at the first, a middle and the last lead time; flat is reliable."""
    leads = shown_leads(report)
    figure, panels = make_panels(len(leads))
    for panel, lead in zip(panels, leads, strict=True):
        panel.axhline(1.0, color="0.5", lw=0.8)
        for name, each in ensembles_of(report).items():
            ranks = each.ranks[lead]
            edges = np.linspace(0.0, 1.0, len(ranks) + 1)
            colour, _ = styles_of(report.tallies)[name]
            panel.stairs(ranks / max(ranks.mean(), 1e-9), edges, color=colour, lw=1.8, label=name)
        panel.set_title(f"after {report.lead_minutes[lead]:g} min", fontsize=TEXT_SIZE)
        panel.set(xlim=(0, 1), ylim=(0, None), xticks=[0.1, 0.9], xlabel="rank of the observation")
        panel.set_xticklabels(["below all", "above all"])
    panels[0].set_ylabel("frequency over that of a flat histogram")
    return finish(figure, panels, report)
