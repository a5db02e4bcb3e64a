"""Pictures of volumes, forecasts and Gaussians: functions from :mod:`nowcast.types` to figures and files."""

from nowcast.plot.animate import write_animation
from nowcast.plot.camera import Camera
from nowcast.plot.derived import plot_differences, plot_probabilities
from nowcast.plot.gaussians import plot_gaussians
from nowcast.plot.maps import plot_levels, plot_map
from nowcast.plot.panels import leads_of, plot_panels, plot_times
from nowcast.plot.pictures import (
    FORECAST_KINDS,
    GAUSSIAN_KINDS,
    KINDS,
    PRODUCT_KINDS,
    VOLUME_KINDS,
    Choices,
    Target,
    forecast_pictures,
    gaussian_pictures,
    kinds_of,
    product_pictures,
    target_of,
    volume_pictures,
)
from nowcast.plot.products import plot_product
from nowcast.plot.scene import plot_scene
from nowcast.plot.sections import Line, plot_section
from nowcast.plot.style import PALETTES, Palette, save_figure
from nowcast.plot.tracks import plot_tracks

__all__ = [
    "FORECAST_KINDS",
    "GAUSSIAN_KINDS",
    "KINDS",
    "PALETTES",
    "PRODUCT_KINDS",
    "VOLUME_KINDS",
    "Camera",
    "Choices",
    "Line",
    "Palette",
    "Target",
    "forecast_pictures",
    "gaussian_pictures",
    "kinds_of",
    "leads_of",
    "plot_differences",
    "plot_gaussians",
    "plot_levels",
    "plot_map",
    "plot_panels",
    "plot_probabilities",
    "plot_product",
    "plot_scene",
    "plot_section",
    "plot_times",
    "plot_tracks",
    "product_pictures",
    "save_figure",
    "target_of",
    "volume_pictures",
    "write_animation",
]
