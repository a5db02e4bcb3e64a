"""Pictures of volumes, forecasts and Gaussians: functions from :mod:`nowcast.types` to figures and files."""

from nowcast.plot.animate import write_animation
from nowcast.plot.gaussians import plot_gaussians
from nowcast.plot.maps import plot_levels, plot_map
from nowcast.plot.panels import leads_of, plot_panels, plot_times
from nowcast.plot.pictures import (
    GAUSSIAN_KINDS,
    KINDS,
    VOLUME_KINDS,
    Choices,
    Target,
    forecast_pictures,
    gaussian_pictures,
    target_of,
    volume_pictures,
)
from nowcast.plot.sections import Line, plot_section
from nowcast.plot.style import PALETTES, Palette, save_figure
from nowcast.plot.tracks import plot_tracks

__all__ = [
    "GAUSSIAN_KINDS",
    "KINDS",
    "PALETTES",
    "VOLUME_KINDS",
    "Choices",
    "Line",
    "Palette",
    "Target",
    "forecast_pictures",
    "gaussian_pictures",
    "leads_of",
    "plot_gaussians",
    "plot_levels",
    "plot_map",
    "plot_panels",
    "plot_section",
    "plot_times",
    "plot_tracks",
    "save_figure",
    "target_of",
    "volume_pictures",
    "write_animation",
]
