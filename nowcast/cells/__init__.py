"""Storm cells with identity over time, from tracked Gaussians."""

from __future__ import annotations

from nowcast.cells.find import CellConfig
from nowcast.cells.track import Ahead, Cell, forecast_tracks, track_cells

__all__ = ["Ahead", "Cell", "CellConfig", "forecast_tracks", "track_cells"]
