"""Forecasts that any model must beat."""

from nowcast.baselines.extrapolation import extrapolation, extrapolation_levels
from nowcast.baselines.persistence import persistence
from nowcast.baselines.steps import has_pysteps, steps

__all__ = ["extrapolation", "extrapolation_levels", "has_pysteps", "persistence", "steps"]
