"""Scores by lead time, by height and by scale."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nowcast.plot.curves import (
    draw_band,
    draw_curves,
    finish,
    from_zero,
    lead_axis,
    make_panels,
    shown_thresholds,
    styles_of,
)
from nowcast.plot.style import TEXT_SIZE
from nowcast.verify import Report, csi, frequency_bias, mean_absolute_error, mean_error
from nowcast.verify.confidence import intervals


def plot_by_lead(report: Report) -> Figure:
    """CSI by lead time, a panel for each threshold, then the errors; one line per method, with intervals if any."""
    thresholds = report.thresholds_dbz
    figure, panels = make_panels(len(thresholds) + 4, columns=3)
    csi_panels, (mae, rmse, bias, area) = panels[: len(thresholds)], panels[len(thresholds) :]
    for k, threshold in enumerate(thresholds):
        curves = {name: tally.csi()[:, k] for name, tally in report.tallies.items()}
        _by_lead(csi_panels[k], report, curves, f"CSI at {threshold:g} dBZ")
        from_zero(csi_panels[k])
    tallies = report.tallies.items()
    _by_lead(mae, report, {name: tally.mae() for name, tally in tallies}, "mean absolute error [dBZ]")
    _by_lead(rmse, report, {name: tally.rmse() for name, tally in tallies}, "root mean square error [dBZ]")
    means = {name: mean_error(tally.sums.sum(axis=1)) for name, tally in tallies}
    _by_lead(bias, report, means, "bias [dBZ]")
    shown = 35.0 if 35.0 in thresholds else thresholds[-1]
    at = thresholds.index(shown)
    ratios = {name: frequency_bias(tally.counts.sum(axis=1)[:, at]) for name, tally in tallies}
    _by_lead(area, report, ratios, f"frequency bias at {shown:g} dBZ")
    area.axhline(1.0, color="0.5", lw=0.8)
    bias.axhline(0.0, color="0.5", lw=0.8)
    for name, (colour, _) in styles_of(report.tallies).items():
        bounds = intervals(report, name)
        if bounds:
            draw_band(mae, report.lead_minutes, bounds["mae_dbz"], colour)
            for k, panel in enumerate(csi_panels):
                draw_band(panel, report.lead_minutes, bounds["csi"][:, k], colour)
    return finish(figure, panels, report)


def _by_lead(panel: Axes, report: Report, curves: Mapping[str, np.ndarray], title: str) -> None:
    draw_curves(panel, report.lead_minutes, curves, title, all_names=report.tallies)
    lead_axis(panel)


def plot_by_height(report: Report) -> Figure:
    """CSI and mean absolute error by height, all lead times together."""
    thresholds = shown_thresholds(report)
    figure, panels = make_panels(len(thresholds) + 1)
    for panel, threshold in zip(panels, thresholds, strict=False):
        k = report.thresholds_dbz.index(threshold)
        curves = {name: csi(tally.counts[:, :, k].sum(axis=0)) for name, tally in report.tallies.items()}
        _by_height(panel, report, curves, f"CSI at {threshold:g} dBZ")
    errors = {name: mean_absolute_error(tally.sums.sum(axis=0)) for name, tally in report.tallies.items()}
    _by_height(panels[-1], report, errors, "mean absolute error [dBZ]")
    return finish(figure, panels, report)


def _by_height(panel: Axes, report: Report, curves: Mapping[str, np.ndarray], title: str) -> None:
    height_km = np.array(report.heights_m) / 1000.0
    for name, (colour, marker) in styles_of(report.tallies).items():
        panel.plot(curves[name], height_km, color=colour, marker=marker, ms=3, lw=1.4, label=name)
    panel.set_title(title, fontsize=TEXT_SIZE)
    panel.set_ylabel("height [km]")
    panel.set_ylim(0, 1.03 * height_km[-1])  # also where nothing reaches the threshold aloft
    panel.set_xlim(0, None)


def plot_by_scale(report: Report) -> Figure:
    """Fractions skill score by lead time: a row for each threshold, a column for each width of the window."""
    thresholds, tally = shown_thresholds(report), next(iter(report.tallies.values()))
    figure, panels = make_panels(len(thresholds) * len(tally.window_m), columns=len(tally.window_m), height=2.5)
    skill = {name: each.fss() for name, each in report.tallies.items()}
    for i, threshold in enumerate(thresholds):
        k = report.thresholds_dbz.index(threshold)
        for w, width in enumerate(tally.window_m):
            panel = panels[i * len(tally.window_m) + w]
            curves = {name: fss[:, k, w] for name, fss in skill.items()}
            _by_lead(panel, report, curves, f"FSS at {threshold:g} dBZ within {width / 1000:g} km")
            panel.set_ylim(0, 1)
    return finish(figure, panels, report)
