"""Volumes and forecasts as one web page: a map through time, a level, a profile and the storm in 3D."""

from __future__ import annotations

from nowcast.view.contents import Contents, contents_of
from nowcast.view.page import page_of, view_json

__all__ = ["Contents", "contents_of", "page_of", "view_json"]
