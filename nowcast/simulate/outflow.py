"""Outflow: the cold air of strong cells runs out over the ground and sets off new storms at its front.

The gust front leaves a cell when its core comes down and slows down as it spreads; where it lifts moist air, mostly on
the side towards which the shear points, new cells appear within the hour, often several along its arc (Wilson and
Schreiber 1986, Mon. Wea. Rev. 114, 2516-2536).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nowcast.simulate.cells import Cells, cell_state
from nowcast.simulate.climate import Climate, Rng, draw_storms
from nowcast.simulate.flow import SteeringFlow

Float64 = NDArray[np.float64]

FRONT_MS = 9.0
"""Speed of a front relative to the air, at first; it is half of that after ``SLOWING_S``."""
SLOWING_S = 2400.0
DELAY_S = 2000.0
WEAKEST_DBZ = 44.0
"""Cells that stay below set off nothing."""


def set_off(
    rng: Rng,
    climate: Climate,
    flow: SteeringFlow,
    parents: Cells,
    *,
    share: float,
    anvil_dbz: float = 24.0,
    generations: int = 2,
) -> Cells:
    """New storms at the gust fronts of ``parents`` and of their offspring; storms are numbered from 0.

    ``share`` is the mean number of fronts that a cell of 54 dBZ sends out to success.
    """
    families: list[Cells] = []
    for _ in range(generations):
        strength = np.clip((parents.peak_dbz - WEAKEST_DBZ) / (54.0 - WEAKEST_DBZ), 0, 1.5)
        fronts = parents.select(rng.random(len(parents)) < share * strength)
        if not len(fronts):
            break
        start, x, y = _along_fronts(rng, flow, fronts)
        parents = draw_storms(rng, climate, start, x, y, flow, anvil_dbz=anvil_dbz)
        families.append(parents)
    return Cells.join(families)


def _along_fronts(rng: Rng, flow: SteeringFlow, fronts: Cells) -> tuple[Float64, Float64, Float64]:
    """When and where: one to three storms within an arc of each front."""
    begin = fronts.start_s + fronts.growth_s + 0.7 * fronts.mature_s
    state = cell_state(fronts, flow, begin)
    shear = flow.wind(3000.0, 0.0) - flow.wind(0.0, 0.0)
    middle = np.arctan2(shear[1], shear[0]) + rng.normal(0, 0.8, len(fronts))
    delay = rng.gamma(5.0, DELAY_S / 5.0, len(fronts))
    count = rng.choice([1, 2, 3], len(fronts), p=[0.5, 0.3, 0.2])
    one = np.repeat(np.arange(len(fronts)), count)
    after = np.clip(delay[one] + rng.normal(0, 300.0, len(one)), 300.0, None)
    angle = middle[one] + rng.normal(0, 0.45, len(one))
    # The integral of a speed that falls as 1 / (1 + t / SLOWING_S).
    distance = FRONT_MS * SLOWING_S * np.log1p(after / SLOWING_S) + rng.normal(0, 1000.0, len(one))
    steered = flow.steering.drift(np.zeros(len(one)), begin[one], begin[one] + after)
    x = state.x_m[one] + steered[:, 0] + distance * np.cos(angle)
    y = state.y_m[one] + steered[:, 1] + distance * np.sin(angle)
    return begin[one] + after, x, y
