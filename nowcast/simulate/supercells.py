"""Recipe for supercells: long-lived storms that leave the mean wind to the right of the shear.

Motion follows Bunkers and others (doi:10.1175/1520-0434(2000)015<0061:PSMUAN>2.0.CO;2): the mean wind of the lowest
6 km plus 7.5 m/s at right angles to the shear between the lowest and the highest half kilometre of that layer. Their
shape has what a forecaster looks for: a core, echo overhanging the inflow beside it, and a forward flank drawn out down
the shear.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nowcast.simulate.cells import Cells
from nowcast.simulate.climate import Climate, Rng, draw_cells, draw_flow, draw_storms
from nowcast.simulate.convection import SPIN_UP_S, clustered
from nowcast.simulate.flow import SteeringFlow
from nowcast.simulate.outflow import set_off
from nowcast.simulate.scene import Roughness, Scene

Float64 = NDArray[np.float64]

DEVIATION_MS = 7.5
LEFT_SHARE = 0.15
"""Share of storms that split: the left mover lives beside the right one, weaker and shorter."""
SHEARED = replace(Climate(), steering_ms=(12.0, 3.5), shear_per_s=(4.4e-3, 0.9e-3), cells_a_storm=2.5)


def deviant_motion(flow: SteeringFlow, *, left: bool = False) -> Float64:
    """Velocity ``[2]`` in m/s of a right-moving (or left-moving) supercell at t = 0."""
    mean = flow.wind(np.linspace(0, 6000, 25), 0.0).mean(0)
    shear = flow.wind(np.linspace(5500, 6000, 3), 0.0).mean(0) - flow.wind(np.linspace(0, 500, 3), 0.0).mean(0)
    right = np.array([shear[1], -shear[0]]) / max(float(np.hypot(*shear)), 0.1)
    return np.asarray(mean + DEVIATION_MS * (-right if left else right))


def draw_supercell_scene(rng: Rng, duration_s: float) -> Scene:
    """One to four supercells in strong shear, ordinary storms around them."""
    flow = draw_flow(rng, SHEARED)
    melting = float(rng.normal(*SHEARED.melting_m))
    count = int(rng.integers(1, 5))
    groups = []
    for _ in range(count):
        begin = float(rng.uniform(-SPIN_UP_S, 0.5 * duration_s))
        spot = rng.uniform(-110e3, 110e3, 2)
        # Where it is halfway through the event, so that most of its life is within sight.
        spot -= deviant_motion(flow) * max(0.5 * duration_s - begin, 0.0)
        groups.append(_supercell(rng, flow, begin, spot, left=False))
        if rng.random() < LEFT_SHARE:
            groups.append(_supercell(rng, flow, begin, spot, left=True))
    start, x, y = clustered(rng, duration_s, storms_per_hour=3.0 + rng.gamma(2.0, 2.0), flow=flow)
    ordinary = draw_storms(rng, SHEARED, start, x, y, flow)
    groups += [ordinary, set_off(rng, SHEARED, flow, ordinary, share=0.3)]
    motion = deviant_motion(flow)
    facts: dict[str, float | str] = {
        "supercells": float(count),
        "right_mover_u_ms": float(motion[0]),
        "right_mover_v_ms": float(motion[1]),
    }
    return Scene(
        "supercell", flow, Cells.join(groups), None, Roughness.draw(rng), melting, duration_s, parameters=facts
    )


def _supercell(rng: Rng, flow: SteeringFlow, start_s: float, spot: Float64, *, left: bool) -> Cells:
    """An ordinary cell that moves with the wind, and the supercell that grows out of it and turns aside."""
    mature = float(rng.uniform(3600, 9000)) * (0.5 if left else 1.0)
    peak, top = float(rng.normal(58, 2.5)) - 4.0 * left, float(rng.normal(15200, 1000)) - 1500.0 * left
    size = float(np.exp(rng.normal(0, 0.2)))
    propagation = deviant_motion(flow, left=left) - flow.steering.wind_ms[0]
    shear = flow.wind(6000.0, 0.0) - flow.wind(250.0, 0.0)
    down = shear / np.hypot(*shear)
    inflow = np.array([down[1], -down[0]]) * (-1 if left else 1)
    turn = start_s + 1500.0
    place = spot + flow.steering.drift(0.0, start_s, turn)

    def part(
        aside: Float64, below: float, top_m: float, radius: float, ratio: float, overhang: float, anvil: float
    ) -> Cells:
        at = place + aside
        heading = float(np.arctan2(down[1], down[0]))
        values: dict[str, ArrayLike] = {
            "start_s": turn, "growth_s": 1500.0, "mature_s": mature, "decay_s": 2400.0, "x_m": at[0], "y_m": at[1],
            "peak_dbz": peak - below, "top_m": top_m, "radius_m": radius * size, "axis_ratio": ratio,
            "orientation_rad": heading, "overhang_m": overhang, "anvil_dbz": anvil, "anvil_floor_m": 5000.0,
        }  # fmt: skip
        arrays = {name: np.array([value], np.float64) for name, value in values.items()}
        return Cells(**arrays, propagation_ms=propagation[None], storm=np.zeros(1, np.int64))

    core = part(np.zeros(2), 0.0, top, 5000.0, 1.2, 0.0, 24.0)
    flank = part(size * (9e3 * down - 3e3 * inflow), 13.0, 0.75 * top, 8500.0, 2.2, 0.0, 0.0)
    overhang = part(size * (2e3 * down + 4.5e3 * inflow), 9.0, 0.85 * top, 4500.0, 1.3, 4500.0, 0.0)
    first = draw_cells(
        rng, SHEARED, np.array([start_s]), spot[:1], spot[1:], storm=np.zeros(1, np.int64), vigour=np.ones(1),
        propagation_ms=np.zeros((1, 2)),
    )  # fmt: skip
    parts = Cells.join([first, core, flank, overhang])
    return replace(parts, storm=np.zeros(len(parts), np.int64))
