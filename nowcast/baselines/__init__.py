"""Forecasts that any model must beat."""

from nowcast.baselines.extrapolation import extrapolation, extrapolation_levels
from nowcast.baselines.persistence import persistence

__all__ = ["extrapolation", "extrapolation_levels", "persistence"]
