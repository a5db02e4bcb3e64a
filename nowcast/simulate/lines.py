"""Recipe for squall lines: a front that makes cell after cell, the rain it leaves, and the outflow ahead of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nowcast.simulate.cells import Cells
from nowcast.simulate.climate import Climate, Rng, draw_cells, draw_flow, draw_storms
from nowcast.simulate.convection import SPIN_UP_S, clustered
from nowcast.simulate.flow import SteeringFlow
from nowcast.simulate.outflow import set_off
from nowcast.simulate.scene import Roughness, Scene

Float64 = NDArray[np.float64]

SITE_M = 8500.0
RENEWAL_S = 780.0
"""A line makes new cells about so far apart and so often."""
CLIMATE = replace(Climate(), peak_dbz=(44.0, 4.8), top_m=(13000.0, 2600.0), steering_ms=(11.0, 3.0), mature_s=780.0)


@dataclass(frozen=True)
class Line:
    """A front: it heads to ``heading_rad`` at ``speed_ms``, passes near the radar at ``middle_s``, is ``length_m`` long
    and bends back by ``bow_m`` at its ends; it is at its strongest at ``prime_s`` and lasts ``life_s`` to each side."""

    heading_rad: float
    speed_ms: float
    length_m: float
    bow_m: float
    middle_s: float
    prime_s: float
    life_s: float

    @property
    def ahead(self) -> Float64:
        return np.array([np.cos(self.heading_rad), np.sin(self.heading_rad)])


def draw_line_scene(rng: Rng, duration_s: float) -> Scene:
    """A squall line that crosses the radar, forming or breaking up on its way, with trailing stratiform rain and cells
    that its outflow sets off."""
    heading = rng.uniform(0, 2 * np.pi)
    flow = draw_flow(rng, CLIMATE, heading_rad=heading + rng.normal(0, 0.3))
    ahead = np.array([np.cos(heading), np.sin(heading)])
    line = Line(
        heading_rad=heading,
        speed_ms=max(float(flow.steering.wind_ms[0] @ ahead) + rng.uniform(2, 6), 6.0),
        length_m=rng.uniform(110e3, 240e3),
        bow_m=rng.uniform(0, 25e3),
        middle_s=rng.uniform(0.2, 0.8) * duration_s,
        prime_s=rng.uniform(-0.3, 1.2) * duration_s,
        life_s=rng.uniform(3500, 9000),
    )
    if rng.random() < 0.6:
        flow = _slower_aloft(flow, line)
    anvil = float(rng.normal(21.5, 4.0))
    cells = _line_cells(rng, line, duration_s, anvil)
    start, x, y = clustered(rng, duration_s, storms_per_hour=3.0, flow=flow)
    others = [
        draw_storms(rng, CLIMATE, start, x, y, flow),
        set_off(rng, CLIMATE, flow, cells, share=0.12, generations=1),
    ]
    facts: dict[str, float | str] = {
        "line_speed_ms": line.speed_ms,
        "line_heading_rad": heading,
        "line_prime_s": line.prime_s,
    }
    melting = float(rng.normal(*CLIMATE.melting_m))
    return Scene(
        "line", flow, Cells.join([cells, *others]), None, Roughness.draw(rng), melting, duration_s, parameters=facts
    )


def _slower_aloft(flow: SteeringFlow, line: Line) -> SteeringFlow:
    """Trailing stratiform rain needs an upper wind slower than the line."""
    excess = max(float(flow.wind(9000.0, 0.0) @ line.ahead) - 0.45 * line.speed_ms, 0)
    slower = np.clip((flow.height_m - 5000) / 4000, 0, 1)[:, None] * line.ahead
    return replace(flow, wind_ms=flow.wind_ms - slower * excess)


def _line_cells(rng: Rng, line: Line, duration_s: float, anvil_dbz: float) -> Cells:
    """Cells born along the front; they fall behind it while they live.

    Parts of the line tens of kilometres long wax and wane within an hour or so, and where it is weak few cells are
    born; the front surges forward and lags behind likewise.
    """
    sites = max(int(line.length_m / SITE_M), 3)
    along = np.linspace(-0.5, 0.5, sites) * line.length_m
    start, site = _births(rng, sites, duration_s)
    place = along[site]
    whole = 1 - ((start - line.prime_s) / line.life_s) ** 2
    strength = -0.1 + _waves(rng, place, start) + 1.6 * np.maximum(whole, -3) - 2.5 * (2 * place / line.length_m) ** 4
    born = rng.random(len(start)) < 1 / (1 + np.exp(-2.0 * strength))
    start, place, strength, site = start[born], place[born], strength[born], site[born]
    front = line.speed_ms * (start - line.middle_s) - line.bow_m * (2 * place / line.length_m) ** 2
    front += rng.uniform(-25e3, 25e3) + rng.normal(0, 3000, len(start)) + 4000 * _waves(rng, place, start)
    side = place + rng.uniform(-30e3, 30e3) + rng.normal(0, 2500, len(start)) + rng.normal(0, 3) * start
    c, s = line.ahead
    return draw_cells(
        rng,
        CLIMATE,
        start,
        front * c - side * s,
        front * s + side * c,
        storm=site,
        vigour=strength - 0.9,
        propagation_ms=np.tile(0.1 * line.speed_ms * line.ahead, (len(start), 1)),
        anvil_dbz=anvil_dbz,
        anvil_floor_m=np.zeros(len(start)),
        heading_rad=line.heading_rad + np.pi / 2,
    )


def _waves(rng: Rng, along_m: Float64, t_s: Float64) -> Float64:
    """A smooth random function of place along the line and time, of unit variance."""
    number = 8
    wave, period = rng.uniform(35e3, 150e3, number), rng.uniform(2400, 7200, number)
    sign, phase = rng.choice([-1.0, 1.0], number), rng.uniform(0, 2 * np.pi, number)
    angle = 2 * np.pi * (along_m[:, None] / wave + sign * t_s[:, None] / period) + phase
    return np.asarray(np.sin(angle).sum(1) * np.sqrt(2 / number))


def _births(rng: Rng, sites: int, duration_s: float) -> tuple[Float64, NDArray[np.int64]]:
    """When and at which site along a line cells may be born: every quarter of an hour or so at each."""
    start, site = [], []
    for number in range(sites):
        pauses = rng.gamma(6.0, RENEWAL_S / 6.0, int((SPIN_UP_S + duration_s) / 400) + 4)
        times = -SPIN_UP_S - rng.uniform(0, RENEWAL_S) + np.cumsum(pauses)
        times = times[times < duration_s]
        start.append(times)
        site.append(np.full(len(times), number))
    return np.concatenate(start), np.concatenate(site)
