"""From what distributions the weather is drawn.

The defaults describe warm-season convection of the tropics and the middle latitudes, as radar studies of cells and
their tracks have it. Above 40 dBZ, single cells live some 25 minutes and storms of several cells 70; they move with
some 8 m/s (Belgium, ten years: Goudenhoofdt and Delobbe 2013, J. Appl. Meteor. Climatol. 52; median duration 42 minutes
and 7.7 m/s in the Prut basin: Burcea and others 2019). Heights are spread continuously, and higher for stronger cells
(Darwin: May and Ballinger 2007, Mon. Wea. Rev. 135), with a second population of congestus that a stable layer at 5 km
stops (Darwin, 17 years: doi:10.5194/acp-18-17687-2018). Cells follow each other within longer-lived storms
(doi:10.1175/1520-0426(1993)010<0785:TTITAA>2.0.CO;2); stratiform rain has 15 to 35 dBZ
(doi:10.1175/1520-0450(1995)034<1978:CCOTDS>2.0.CO;2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nowcast.simulate.cells import Cells
from nowcast.simulate.flow import SteeringFlow

Float64 = NDArray[np.float64]
Rng = np.random.Generator

FLOW_LEVELS_M = np.array([0.0, 1500.0, 3000.0, 6000.0, 9000.0, 12000.0, 16000.0])

BRIEF = 0.6
"""Life of congestus relative to deeper cells."""
STORM_ARC = 1.2
"""By how much vigour changes from the first and last to the middle cells of a storm."""


@dataclass(frozen=True)
class Climate:
    """Distributions of what cells and flow are like. Pairs are mean and standard deviation.

    A storm's vigour and a cell's own, both standard normal, are mixed (``storm_share`` of the variance is the storm's)
    into the one number that moves peak, top, size and lifetime together: strong cells are tall, wide and long-lived.
    ``shallow_share`` of them are congestus.
    """

    peak_dbz: tuple[float, float] = (44.0, 4.6)
    top_m: tuple[float, float] = (12300.0, 3000.0)
    radius_m: float = 3700.0
    growth_s: float = 840.0
    mature_s: float = 900.0
    decay_s: float = 1500.0
    storm_share: float = 0.5
    shallow_share: float = 0.2
    cells_a_storm: float = 4.0
    renewal_s: float = 780.0
    flank_m: float = 4500.0
    steering_ms: tuple[float, float] = (9.0, 4.0)
    shear_per_s: tuple[float, float] = (1.8e-3, 0.9e-3)
    melting_m: tuple[float, float] = (4300.0, 500.0)


def draw_flow(rng: Rng, climate: Climate, *, heading_rad: float | None = None) -> SteeringFlow:
    """A wind profile: steering wind, shear that turns with height, and a slow change of speed and direction."""
    heading = rng.uniform(0, 2 * np.pi) if heading_rad is None else heading_rad
    speed = max(2.0, rng.normal(*climate.steering_ms))
    shear = max(0.3e-3, rng.normal(*climate.shear_per_s))
    shear_heading = heading + rng.normal(0, 0.7)
    turn = rng.normal(0, 0.05) / 1000.0
    above = FLOW_LEVELS_M - 3700.0
    # Shear is strongest in the middle troposphere and ends at the tropopause.
    thickness = np.sign(above) * 9000.0 * np.tanh(np.abs(above) / 9000.0)
    direction = shear_heading + turn * above
    wind = speed * np.array([np.cos(heading), np.sin(heading)])
    wind = wind + shear * thickness[:, None] * np.stack([np.cos(direction), np.sin(direction)], -1)
    veer, gain = rng.normal(0, np.deg2rad(6.0)) / 3600, rng.normal(0, 0.06) / 3600
    trend = gain * wind + veer * np.stack([-wind[:, 1], wind[:, 0]], -1)
    return SteeringFlow(FLOW_LEVELS_M.copy(), wind, trend)


def draw_cells(
    rng: Rng,
    climate: Climate,
    start_s: Float64,
    x_m: Float64,
    y_m: Float64,
    *,
    storm: NDArray[np.int64],
    vigour: Float64,
    propagation_ms: Float64,
    anvil_dbz: float = 24.0,
    anvil_floor_m: Float64 | None = None,
    heading_rad: float = 0.0,
) -> Cells:
    """Draw what is left to chance for cells of known place and time; ``vigour [C]`` is that of their storms."""
    n, share = len(start_s), climate.storm_share
    v = np.sqrt(share) * vigour + np.sqrt(1 - share) * rng.standard_normal(n)
    top_noise, size_noise, anvil_noise, *stage_noise = rng.standard_normal((6, n))
    top = climate.top_m[0] + climate.top_m[1] * (0.8 * v + 0.65 * top_noise)
    shallow = rng.random(n) < climate.shallow_share
    top = np.where(shallow, np.minimum(top, 6200.0 + 900.0 * top_noise), top)
    floor = rng.choice([0.0, 4800.0, 5500.0], n, p=[0.2, 0.4, 0.4]) if anvil_floor_m is None else anvil_floor_m
    brief = np.where(shallow, BRIEF, 1.0)
    return Cells(
        start_s=start_s,
        growth_s=brief * climate.growth_s * np.exp(0.2 * stage_noise[0]),
        mature_s=brief * climate.mature_s * np.exp(0.5 * v + 0.3 * stage_noise[1]),
        decay_s=brief * climate.decay_s * np.exp(0.15 * v + 0.25 * stage_noise[2]),
        x_m=x_m,
        y_m=y_m,
        propagation_ms=propagation_ms + rng.normal(0, 0.8, (n, 2)),
        peak_dbz=np.clip(climate.peak_dbz[0] + climate.peak_dbz[1] * v - 3.0 * shallow, 25, 66),
        top_m=np.clip(top, 4000, 18500),
        radius_m=climate.radius_m * np.exp(0.25 * v + 0.35 * size_noise),
        axis_ratio=1 + rng.gamma(2.0, 0.25, n),
        orientation_rad=heading_rad + rng.normal(0, 0.6, n),
        overhang_m=np.zeros(n),
        anvil_dbz=np.where(anvil_dbz > 0, np.maximum(anvil_dbz + 4.5 * v + 3.0 * anvil_noise, 8.0), 0.0),
        anvil_floor_m=floor,
        storm=storm,
    )


def draw_storms(
    rng: Rng,
    climate: Climate,
    start_s: Float64,
    x_m: Float64,
    y_m: Float64,
    flow: SteeringFlow,
    *,
    anvil_dbz: float = 24.0,
) -> Cells:
    """Storms, each a succession of cells: the first at the given place and time, the next ones on its flank.

    ``start_s, x_m, y_m`` are ``[S]``. A storm of many cells propagates: the flank, to the right or the left of the
    shear, is where its next cells keep appearing.
    """
    count = np.minimum(rng.geometric(1 / climate.cells_a_storm, len(start_s)), 12)
    storm = np.repeat(np.arange(len(start_s)), count)
    number = np.arange(len(storm)) - np.repeat(np.cumsum(count) - count, count)
    drift_ms = rng.normal(0, 1.2, (len(start_s), 2))
    # A storm grows and decays as its cells do, over their succession.
    arc = STORM_ARC * (np.sin(np.pi * (number + 0.5) / count[storm]) - 0.8) * (count[storm] > 2)
    vigour = rng.standard_normal(len(start_s))[storm] + arc
    shear = flow.wind(6000.0, 0.0) - flow.wind(500.0, 0.0)
    shear_heading = float(np.arctan2(shear[1], shear[0]))
    side = shear_heading + rng.choice([-1.0, 1.0], len(start_s), p=[0.7, 0.3]) * rng.uniform(0.5, 1.8, len(start_s))
    pause = climate.renewal_s * np.exp(rng.normal(0, 0.35, len(storm)))
    begin = start_s[storm] + number * pause
    flank = climate.flank_m * np.exp(rng.normal(0, 0.3, len(storm))) * number * 0.6
    steered = flow.steering.drift(np.zeros(len(storm)), start_s[storm], begin)
    steered += drift_ms[storm] * (begin - start_s[storm])[:, None]
    jitter = rng.normal(0, 2200, (len(storm), 2)) * (number > 0)[:, None]
    return draw_cells(
        rng,
        climate,
        begin,
        x_m[storm] + steered[:, 0] + flank * np.cos(side[storm]) + jitter[:, 0],
        y_m[storm] + steered[:, 1] + flank * np.sin(side[storm]) + jitter[:, 1],
        storm=storm.astype(np.int64),
        vigour=vigour,
        propagation_ms=drift_ms[storm],
        anvil_dbz=anvil_dbz,
        heading_rad=shear_heading,
    )
