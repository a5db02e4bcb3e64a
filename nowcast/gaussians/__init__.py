"""STC-GS: volumes as 3D Gaussians that persist from frame to frame, and move on with the flow."""

from nowcast.gaussians.advect import advect
from nowcast.gaussians.config import FitConfig
from nowcast.gaussians.fit import extend_fit, fit_sequence
from nowcast.gaussians.order import morton_order
from nowcast.gaussians.quality import reconstruction_scores, render

__all__ = ["FitConfig", "advect", "extend_fit", "fit_sequence", "morton_order", "reconstruction_scores", "render"]
