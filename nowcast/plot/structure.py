"""Whether forecasts look like weather: power by wavelength and area of strong echo, beside what was observed."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nowcast.plot.curves import (
    INK,
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
from nowcast.verify import Report
from nowcast.verify.structure import wavelengths_m

OBSERVED: dict[str, Any] = {"color": INK, "lw": 2.2, "ls": "--", "label": "observed"}

HIGHEST_RATIO = 2.0


def plot_spectra(report: Report) -> Figure:
    """Power spectra at the first, a middle and the last lead time; below, each over the observed one."""
    leads = shown_leads(report)
    figure, panels = make_panels(2 * len(leads), columns=len(leads))
    length_km = wavelengths_m(report.grid) / 1000.0
    for i, lead in enumerate(leads):
        power, ratio = panels[i], panels[len(leads) + i]
        observed = next(iter(report.tallies.values())).spectrum()[lead, 1]
        power.loglog(length_km, _positive(observed), **OBSERVED)
        ratio.axhline(1.0, color=INK, lw=1.4, ls="--")
        for name, (colour, _) in styles_of(report.tallies).items():
            forecast, own = report.tallies[name].spectrum()[lead]
            power.loglog(length_km, _positive(forecast), color=colour, lw=1.4, label=name)
            ratio.semilogx(length_km, forecast / np.where(own > 0, own, np.nan), color=colour, lw=1.4)
        power.set_title(f"power after {report.lead_minutes[lead]:g} min [dBZ²]", fontsize=TEXT_SIZE)
        ratio.set_title("power over observed", fontsize=TEXT_SIZE)
        ratio.set(xlabel="wavelength [km]", ylim=(0, HIGHEST_RATIO))
        for panel in (power, ratio):
            _wavelength_axis(panel, length_km)
    return finish(figure, panels, report)


def plot_areas(report: Report) -> Figure:
    """Area where the column maximum reaches a threshold, by lead time, beside the observed one."""
    thresholds = shown_thresholds(report)
    figure, panels = make_panels(len(thresholds))
    areas = {name: tally.area_km2() for name, tally in report.tallies.items()}
    for panel, threshold in zip(panels, thresholds, strict=True):
        k = report.thresholds_dbz.index(threshold)
        panel.plot(report.lead_minutes, next(iter(areas.values()))[:, k, 1], **OBSERVED)
        curves = {name: area[:, k, 0] for name, area in areas.items()}
        draw_curves(panel, report.lead_minutes, curves, f"area above {threshold:g} dBZ [km²]", all_names=areas)
        lead_axis(panel)
        from_zero(panel)
    return finish(figure, panels, report)


def _positive(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, np.nan)


def _wavelength_axis(panel: Axes, length_km: np.ndarray) -> None:
    """Long waves to the left."""
    panel.set_xlim(length_km[0], length_km[-1])
    ticks = [t for t in (500, 200, 100, 50, 20, 10, 5, 2, 1) if length_km[-1] <= t <= length_km[0]]
    panel.set_xticks(ticks, [str(t) for t in ticks])
    panel.minorticks_off()
