"""A storm scene: reflectivity as a pure function of place, height and time, and the motion behind it.

A scene holds parameters only; :mod:`nowcast.simulate.field` evaluates it. Position is in metres east and north of the
scene's origin (the radar), height above mean sea level, time in seconds from the start of the event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from nowcast.simulate.anvils import Puffs, puffs_of
from nowcast.simulate.cells import Cells, CellState, cell_state
from nowcast.simulate.flow import SteeringFlow
from nowcast.simulate.noise import Renewal


@dataclass(frozen=True)
class Roughness:
    """How far simulated echo departs from smooth shapes.

    ``noise_db`` standard deviation of the noise added to reflectivity; ``warp_m`` that of the displacement which makes
    outlines irregular; ``noise``, ``warp``: how both change with time. Noise and warp travel with the steering flow,
    the noise aloft with the wind there.
    """

    noise_db: float
    warp_m: float
    noise: Renewal
    warp: Renewal

    @staticmethod
    def draw(rng: np.random.Generator, noise_db: float = 4.8, warp_m: float = 2200.0) -> Roughness:
        return Roughness(noise_db, warp_m, Renewal.draw(rng, 660.0, 1e6), Renewal.draw(rng, 2400.0, 1e6))

    @staticmethod
    def none() -> Roughness:
        """No roughness: the field is exactly the sum of the shapes."""
        still = Renewal(3600.0, np.zeros((1, 2)))
        return Roughness(0.0, 0.0, still, still)


@dataclass(frozen=True)
class Sheet:
    """Widespread stratiform precipitation.

    Rain is ``mean_dbz + spread_db * n(x, y, t)`` with noise n of unit variance, thinned where that is low. Snow above
    the melting level decreases by ``lapse_db_per_km``, and so stronger rain has higher tops. The pattern is made at
    ``source_m`` and moves with the wind there; what falls from it leans with the shear, as fall streaks do.
    ``stretch`` draws the pattern out into bands along ``orientation_rad``.
    """

    mean_dbz: float
    spread_db: float
    lapse_db_per_km: float
    source_m: float
    renewal: Renewal
    stretch: float = 1.0
    orientation_rad: float = 0.0


@dataclass(frozen=True)
class Scene:
    """Weather over a radar for a while.

    Attributes
    ----------
    kind
        Name of the recipe that drew it.
    flow, cells, sheet, roughness
        The parts; ``sheet`` None without widespread rain.
    melting_m
        Height of the 0 degree level.
    duration_s
        The event lasts from 0 to here.
    extent_m
        Half width of the square outside of which there is nothing.
    parameters
        What the recipe drew, for the truth file.
    """

    kind: str
    flow: SteeringFlow
    cells: Cells
    sheet: Sheet | None
    roughness: Roughness
    melting_m: float = 4500.0
    duration_s: float = 7200.0
    extent_m: float = 200e3
    parameters: dict[str, float | str] = field(default_factory=dict)

    @cached_property
    def puffs(self) -> Puffs:
        """The ice that the cells leave behind."""
        return puffs_of(self.cells, self.flow)

    def cell_state(self, t_s: float) -> CellState:
        """Where each cell is at ``t_s``, how it moves and at which stage it is: the truth."""
        return cell_state(self.cells, self.flow, t_s)
