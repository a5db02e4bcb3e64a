"""Simulated weather and a simulated radar: archives with a known answer."""

from __future__ import annotations

from nowcast.simulate.archive import ArchivePlan, SimulatedEvent, simulate_archive
from nowcast.simulate.corpus import CorpusEvent, CorpusPlan, simulate_corpus
from nowcast.simulate.field import reflectivity
from nowcast.simulate.grids import simulate_volumes
from nowcast.simulate.kinds import KINDS, MIX, draw_scene
from nowcast.simulate.polar import simulate_volume
from nowcast.simulate.radar import Radar
from nowcast.simulate.scene import Roughness, Scene
from nowcast.simulate.truth import Truth, read_truth

__all__ = [
    "KINDS",
    "MIX",
    "ArchivePlan",
    "CorpusEvent",
    "CorpusPlan",
    "Radar",
    "Roughness",
    "Scene",
    "SimulatedEvent",
    "Truth",
    "draw_scene",
    "read_truth",
    "reflectivity",
    "simulate_archive",
    "simulate_corpus",
    "simulate_volume",
    "simulate_volumes",
]
