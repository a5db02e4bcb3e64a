"""What storms are like, side by side: simulated beside real."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from nowcast.plot.style import TEXT_SIZE
from nowcast.verify.climate import (
    CLASSES_DBZ,
    LEADS_MINUTES,
    PERCENT,
    THRESHOLDS_DBZ,
    WAVELENGTHS_M,
    StormStatistics,
)


def plot_climate(statistics: Mapping[str, StormStatistics]) -> Figure:
    """Histograms at three heights, profiles, echo tops, spectra and the decay of correlation and CSI, a line each name.

    Names that start with ``real`` are drawn thick and dashed.
    """
    figure = Figure(figsize=(15, 8), layout="constrained")
    axes = figure.subplots(2, 4)
    for number, (name, s) in enumerate(statistics.items()):
        real = name.startswith("real")
        style = {"color": f"C{number % 10}", "ls": "--" if real else "-", "lw": 2.2 if real else 1.2, "label": name}
        for panel, height in zip(axes.flat, (2000, 6000, 10_000), strict=False):
            level = int(np.abs(s.height_m - height).argmin())
            panel.semilogy(CLASSES_DBZ + 2.5, np.where(s.histogram[level] > 0, s.histogram[level], np.nan), **style)
            panel.set(title=f"share of voxels at {height / 1000:g} km", xlabel="dBZ", ylim=(1e-6, 1))
        axes[0, 3].plot(s.profile[THRESHOLDS_DBZ.index(35.0)], s.height_m / 1000, **style)
        axes[1, 0].plot(s.echo_top_m / 1000, PERCENT, **style)
        axes[1, 1].loglog(np.sqrt(WAVELENGTHS_M[1:] * WAVELENGTHS_M[:-1]) / 1000, s.spectrum, **style)
        axes[1, 2].plot(LEADS_MINUTES, s.correlation, **style)
        axes[1, 3].plot(LEADS_MINUTES, s.csi[THRESHOLDS_DBZ.index(35.0)], **style)
    axes[0, 3].set(title="voxels of 35 dBZ relative to 3 km", ylabel="km", xlim=(0, 1.8))
    axes[1, 0].set(title="20 dBZ tops where the column has 35", xlabel="km", ylabel="% of columns below")
    axes[1, 1].set(title="power spectrum, column maximum", xlabel="wavelength, km")
    axes[1, 1].invert_xaxis()
    for panel, what in zip(axes[1, 2:], ("correlation", "CSI at 35 dBZ"), strict=True):
        panel.set(title=f"{what} with extrapolation", xlabel="lead time, minutes", ylim=(0, 1))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper", fontsize=TEXT_SIZE)
    return figure
