"""Pictures of volumes, forecasts and Gaussians: functions that take a type of :mod:`nowcast.types` and give a figure."""

from nowcast.plot.animate import write_animation
from nowcast.plot.gaussians import plot_gaussians
from nowcast.plot.maps import plot_levels, plot_map
from nowcast.plot.panels import leads_of, plot_panels, plot_times
from nowcast.plot.sections import Line, plot_section
from nowcast.plot.style import PALETTES, Palette, save_figure

__all__ = [
    "PALETTES",
    "Line",
    "Palette",
    "leads_of",
    "plot_gaussians",
    "plot_levels",
    "plot_map",
    "plot_panels",
    "plot_section",
    "plot_times",
    "save_figure",
    "write_animation",
]
