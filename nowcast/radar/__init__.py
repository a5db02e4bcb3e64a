"""Radar volumes: read, quality-control, grid."""

from __future__ import annotations

from nowcast.radar.content import sniff
from nowcast.radar.polar import NO_ECHO_DBZ, PolarVolume, Site, Sweep
from nowcast.radar.reader import read_volume

__all__ = ["NO_ECHO_DBZ", "PolarVolume", "Site", "Sweep", "read_volume", "sniff"]
