"""What cells leave behind: ice that the upper wind carries away, falls out, melts and rains.

Every few minutes a deep cell puts out a *puff* of ice below its top. A puff drifts with the wind of its own height, not
with the cell, spreads, and sinks as its crystals fall: a weak one stays an anvil, a strong one becomes the stratiform
rain behind a line, bright band and all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nowcast.simulate.cells import UPDRAUGHT_MS, Cells, cell_state
from nowcast.simulate.flow import SteeringFlow

Float64 = NDArray[np.float64]

EVERY_S = 900.0
LOWEST_TOP_M = 7500.0
"""Cells whose top stays below make no anvil."""
FALL_MS = 1.5
"""Speed at which the base of a puff sinks: snow's fall speed less sublimation."""
STREAK_S = 900.0
"""Falling ice crosses the levels within about this time, so shear leans a puff by no more than it does in this time."""


@dataclass(frozen=True)
class Puffs:
    """P puffs of ice; every array ``[P]``.

    ``start_s``, ``life_s``; ``x_m, y_m`` where it was put out; ``height_m`` its level, ``depth_m`` from there to its
    top; ``dbz``; ``radius_m`` at the start and ``spread_ms`` by which it grows; ``floor_m`` how far down it falls out;
    ``cell`` the cell that made it.
    """

    start_s: Float64
    life_s: Float64
    x_m: Float64
    y_m: Float64
    height_m: Float64
    depth_m: Float64
    dbz: Float64
    radius_m: Float64
    spread_ms: Float64
    floor_m: Float64
    cell: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start_s)

    def select(self, which: NDArray[np.bool_]) -> Puffs:
        return Puffs(**{name: value[which] for name, value in vars(self).items()})


def puffs_of(cells: Cells, flow: SteeringFlow) -> Puffs:
    """The puffs of all cells through their lives; follows from the cells, nothing is drawn."""
    first = cells.start_s + 0.7 * cells.growth_s
    last = cells.start_s + cells.growth_s + cells.mature_s + 0.5 * cells.decay_s
    makes = (cells.anvil_dbz > 0) & (cells.top_m >= LOWEST_TOP_M)
    count = np.where(makes, np.maximum(np.ceil((last - first) / EVERY_S), 0), 0).astype(np.int64)
    owner = np.repeat(np.arange(len(cells)), count)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    own = cells.select(owner)
    start = first[owner] + EVERY_S * number
    state = cell_state(own, flow, start)
    height = 0.72 * state.top_m
    relative = flow.wind(height, start) - np.stack([state.u_ms, state.v_ms], -1)
    lean = relative * (np.maximum(height - 3000, 0) / UPDRAUGHT_MS)[:, None]
    strength = np.clip((own.top_m - 6000) / 9000, 0.1, 1.0)
    return Puffs(
        start_s=start,
        life_s=1800.0 + 3600.0 * strength,
        x_m=state.x_m + lean[:, 0],
        y_m=state.y_m + lean[:, 1],
        height_m=height,
        depth_m=0.25 * state.top_m,
        dbz=own.anvil_dbz,
        radius_m=1.5 * own.radius_m,
        spread_ms=0.5 + 2.0 * strength,
        floor_m=own.anvil_floor_m,
        cell=owner,
    )


def puff_centres(puffs: Puffs, flow: SteeringFlow, z_m: Float64, t_s: float) -> Float64:
    """Position ``[P, L, 2]`` at heights ``z_m``: drift with the wind of the puff's level, leaning with the shear."""
    age = t_s - puffs.start_s
    way = flow.drift(puffs.height_m, puffs.start_s, t_s)
    own_wind = flow.wind(puffs.height_m, t_s)
    lean_s = STREAK_S * (1 - np.exp(-age / STREAK_S))
    lean = (flow.wind(z_m, t_s)[None] - own_wind[:, None]) * lean_s[:, None, None]
    foot = np.stack([puffs.x_m, puffs.y_m], -1) + way
    return foot[:, None] + lean


def puff_profile(puffs: Puffs, z_m: Float64, t_s: float, melting_m: float) -> Float64:
    """Reflectivity ``[P, L]`` in dBZ on the puffs' axes."""
    age = (t_s - puffs.start_s)[:, None]
    height, depth, life = puffs.height_m[:, None], puffs.depth_m[:, None], puffs.life_s[:, None]
    fade = -30.0 * np.clip(1 - age / 600.0, 0, 1) - 9.0 * age / 3600 - 30.0 * np.clip(3 * age / life - 2, 0, 1) ** 2
    base = np.maximum(height - 1500.0 - FALL_MS * age, puffs.floor_m[:, None])
    above, under = np.maximum(z_m - height, 0) / depth, np.maximum(base - z_m, 0) / 1000
    ice = puffs.dbz[:, None] + fade - 14.0 * above**2 - 18.0 * under
    return ice + melting_profile(np.minimum(z_m, height), melting_m, growth_db_per_km=1.5)


def melting_profile(z_m: Float64, melting_m: float, growth_db_per_km: float) -> Float64:
    """Reflectivity of stratiform precipitation relative to its rain, dB at heights ``z_m``.

    Snow grows downwards by aggregation; in the melting layer, some hundred metres below the 0 degree level,
    water-coated aggregates give the bright band; below it smaller and faster drops give less
    (doi:10.1175/1520-0469(1995)052<0838:LTROOT>2.0.CO;2).
    """
    band = 6.0 * np.exp(-0.5 * ((z_m - (melting_m - 250.0)) / 220.0) ** 2)
    return band - growth_db_per_km * np.maximum(z_m - melting_m, 0) / 1000
