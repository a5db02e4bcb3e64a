"""Recipes for widespread rain, with and without embedded convection, and for no rain at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nowcast.simulate.cells import Cells
from nowcast.simulate.climate import Climate, Rng, draw_flow, draw_storms
from nowcast.simulate.convection import clustered
from nowcast.simulate.noise import Renewal
from nowcast.simulate.scene import Roughness, Scene, Sheet

WEAK = Climate(
    peak_dbz=(36.0, 4.0), top_m=(7000.0, 1200.0), radius_m=5000.0, steering_ms=(12.0, 4.0), melting_m=(2800.0, 700.0)
)
EMBEDDED = replace(WEAK, peak_dbz=(43.5, 4.5), top_m=(9500.0, 2000.0), radius_m=3600.0, melting_m=(3600.0, 600.0))


def draw_stratiform_scene(rng: Rng, duration_s: float) -> Scene:
    """Widespread rain with a bright band and weak cells embedded in it."""
    return _draw("stratiform", rng, duration_s, WEAK, storms_per_hour=6.0, anvil_dbz=0.0)


def draw_embedded_scene(rng: Rng, duration_s: float) -> Scene:
    """Widespread rain out of which convective cells rise, alone and in small groups."""
    return _draw("embedded", rng, duration_s, EMBEDDED, storms_per_hour=8.0 + rng.gamma(2.0, 6.0), anvil_dbz=18.0)


def draw_dry_scene(rng: Rng, duration_s: float) -> Scene:
    """No weather at all: what the radar sees is clutter and noise."""
    return Scene("dry", draw_flow(rng, Climate()), Cells.empty(), None, Roughness.draw(rng), 4300.0, duration_s)


def _draw(
    kind: str, rng: Rng, duration_s: float, climate: Climate, *, storms_per_hour: float, anvil_dbz: float
) -> Scene:
    flow = draw_flow(rng, climate)
    melting = float(np.clip(rng.normal(*climate.melting_m), 1500, 4800))
    wind = flow.steering.wind_ms[0]
    sheet = Sheet(
        mean_dbz=float(rng.normal(12, 4.0)),
        spread_db=float(rng.uniform(8, 11)),
        lapse_db_per_km=float(rng.uniform(4.0, 6.5)),
        source_m=melting + 2000.0,
        renewal=Renewal.draw(rng, 5400.0, 1e6),
        stretch=float(rng.uniform(1.0, 2.5)),
        orientation_rad=float(np.arctan2(wind[1], wind[0]) + rng.normal(0, 0.6)),
    )
    start, x, y = clustered(rng, duration_s, storms_per_hour=storms_per_hour, flow=flow)
    cells = draw_storms(rng, climate, start, x, y, flow, anvil_dbz=anvil_dbz)
    facts = {"sheet_mean_dbz": sheet.mean_dbz, "sheet_spread_db": sheet.spread_db}
    return Scene(kind, flow, cells, sheet, Roughness.draw(rng), melting, duration_s, parameters=dict(facts))
