"""Recipes for scattered convection: single cells, multicell storms, and mixtures of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nowcast.simulate.cells import Cells
from nowcast.simulate.climate import Climate, Rng, draw_flow, draw_storms
from nowcast.simulate.flow import SteeringFlow
from nowcast.simulate.outflow import set_off
from nowcast.simulate.scene import Roughness, Scene

Float64 = NDArray[np.float64]

SPIN_UP_S = 6000.0
"""Storms start up to so long before the event, so that it begins with a mixture of ages."""
REACH_M = 190e3

MIXED = Climate()
SINGLE = replace(Climate(), cells_a_storm=1.15, steering_ms=(5.0, 2.5), shear_per_s=(0.7e-3, 0.4e-3))
"""Weak shear: each cell rains into its own updraught and dies alone."""
MULTICELL = replace(Climate(), cells_a_storm=7.0, steering_ms=(11.0, 4.0), shear_per_s=(2.6e-3, 0.8e-3))
"""Moderate shear: outflow and inflow meet on one flank, where cell follows cell."""


def draw_cells_scene(rng: Rng, duration_s: float) -> Scene:
    """Single cells and multicell storms, gathered around a few places where the air converges."""
    return draw_scattered("cells", rng, duration_s, MIXED, storms_per_hour=5.0 + rng.gamma(3.0, 3.0), outflow=0.5)


def draw_single_scene(rng: Rng, duration_s: float) -> Scene:
    """Many short-lived cells in weak flow; the outflow of the strongest sets off others around them."""
    return draw_scattered("single", rng, duration_s, SINGLE, storms_per_hour=12.0 + rng.gamma(3.0, 6.0), outflow=0.8)


def draw_multicell_scene(rng: Rng, duration_s: float) -> Scene:
    """Few storms of many cells, which propagate to one side and send out new storms."""
    return draw_scattered(
        "multicell", rng, duration_s, MULTICELL, storms_per_hour=2.0 + rng.gamma(3.0, 1.3), outflow=0.5
    )


def draw_scattered(
    kind: str, rng: Rng, duration_s: float, climate: Climate, *, storms_per_hour: float, outflow: float
) -> Scene:
    """Clustered storms and those that their outflow sets off; the day decides how vigorous all of them are."""
    flow = draw_flow(rng, climate)
    melting = float(rng.normal(*climate.melting_m))
    vigour_db, deeper_m = rng.normal(0, 1.5), rng.normal(0, 900)
    climate = replace(
        climate,
        peak_dbz=(climate.peak_dbz[0] + vigour_db, climate.peak_dbz[1]),
        top_m=(climate.top_m[0] + deeper_m, climate.top_m[1]),
    )
    anvil = float(rng.normal(20, 4))
    start, x, y = clustered(rng, duration_s, storms_per_hour=storms_per_hour, flow=flow)
    first = draw_storms(rng, climate, start, x, y, flow, anvil_dbz=anvil)
    cells = Cells.join([first, set_off(rng, climate, flow, first, share=outflow, anvil_dbz=anvil)])
    facts = {"storms_per_hour": storms_per_hour, "climate_peak_dbz": climate.peak_dbz[0]}
    return Scene(kind, flow, cells, None, Roughness.draw(rng), melting, duration_s, parameters=dict(facts))


def clustered(
    rng: Rng, duration_s: float, *, storms_per_hour: float, flow: SteeringFlow
) -> tuple[Float64, Float64, Float64]:
    """Time and place of first cells: a Poisson process around some centres that drift slower than the flow.

    The day has its prime, and each centre is busiest at a time of its own near it, for an hour or two.
    """
    span = SPIN_UP_S + duration_s
    number = max(3, int(rng.poisson(storms_per_hour * span / 3600)))
    centres = int(rng.integers(3, 8))
    place, width = rng.uniform(-140e3, 140e3, (centres, 2)), rng.uniform(10e3, 40e3, centres)
    prime = rng.uniform(-0.5 * SPIN_UP_S, duration_s + 2000.0)
    busiest = prime + rng.normal(0, 2500.0, centres)
    owner = rng.choice(centres, number, p=rng.dirichlet(np.full(centres, 1.5)))
    start = busiest[owner] + rng.normal(0, 2500.0, number)
    alone = rng.random(number) < 0.2
    start = np.where(
        alone | (start < -SPIN_UP_S) | (start > duration_s), rng.uniform(-SPIN_UP_S, duration_s, number), start
    )
    spot = place[owner] + rng.standard_normal((number, 2)) * width[owner, None]
    spot += 0.5 * flow.steering.drift(np.zeros(number), np.full(number, duration_s / 2), start)
    spot[alone] = rng.uniform(-REACH_M, REACH_M, (int(alone.sum()), 2))
    return start, spot[:, 0], spot[:, 1]
