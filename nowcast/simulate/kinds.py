"""The kinds of weather that can be simulated: each a recipe that draws a scene."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nowcast.errors import UsageError
from nowcast.simulate.cells import Cells
from nowcast.simulate.climate import Climate, draw_cells, draw_flow, draw_storms
from nowcast.simulate.flow import SteeringFlow
from nowcast.simulate.noise import Renewal
from nowcast.simulate.scene import Roughness, Scene, Sheet

Rng = np.random.Generator
Float64 = NDArray[np.float64]

SPIN_UP_S = 6000.0
"""Storms start up to so long before the event, so that it begins with a mixture of ages."""
REACH_M = 190e3
LINE_SITE_M = 8500.0
LINE_RENEWAL_S = 780.0
"""A line makes new cells about so far apart and so often."""


def draw_scene(kind: str, seed: int | np.random.SeedSequence, duration_s: float) -> Scene:
    """Draw an event of the given kind and duration; the same arguments give the same scene.

    Raises
    ------
    UsageError
        There is no such kind.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no kind of weather called {kind!r}: choose from {', '.join(KINDS)}")
    return KINDS[kind](np.random.default_rng(seed), duration_s)


def check_kinds(kinds: Iterable[str]) -> None:
    """Raise UsageError unless all are kinds of weather, and there is one."""
    names = list(kinds)
    unknown = [k for k in names if k not in KINDS]
    if unknown or not names:
        raise UsageError(f"unknown kind of weather {unknown}: choose from {', '.join(KINDS)}")


def draw_cells_scene(rng: Rng, duration_s: float) -> Scene:
    """Scattered single cells and multicell storms, gathered around a few places where the air converges."""
    climate, flow = Climate(), draw_flow(rng, Climate())
    climate = replace(climate, melting_m=(float(rng.normal(*climate.melting_m)), 0.0))
    active = 5.0 + rng.gamma(3.0, 3.0)
    vigour_db, deeper_m = rng.normal(0, 1.5), rng.normal(0, 900)
    climate = replace(
        climate,
        peak_dbz=(climate.peak_dbz[0] + vigour_db, climate.peak_dbz[1]),
        top_m=(climate.top_m[0] + deeper_m, climate.top_m[1]),
    )
    start, x, y = _clustered(rng, duration_s, storms_per_hour=active, flow=flow)
    cells = draw_storms(rng, climate, start, x, y, flow, anvil_dbz=float(rng.normal(20, 4)))
    facts = {"storms_per_hour": active, "climate_peak_dbz": climate.peak_dbz[0], "climate_top_m": climate.top_m[0]}
    return _scene("cells", rng, flow, cells, None, climate.melting_m[0], duration_s, facts)


def _clustered(
    rng: Rng, duration_s: float, *, storms_per_hour: float, flow: SteeringFlow
) -> tuple[Float64, Float64, Float64]:
    """Time and place of first cells: a Poisson process around some centres that drift slower than the flow."""
    span = SPIN_UP_S + duration_s
    number = max(3, int(rng.poisson(storms_per_hour * span / 3600)))
    start = np.sort(rng.uniform(-SPIN_UP_S, duration_s, number))
    centres = int(rng.integers(3, 7))
    place, width = rng.uniform(-130e3, 130e3, (centres, 2)), rng.uniform(12e3, 40e3, centres)
    owner = rng.choice(centres, number, p=rng.dirichlet(np.full(centres, 1.5)))
    spot = place[owner] + rng.standard_normal((number, 2)) * width[owner, None]
    spot += 0.5 * flow.steering.drift(np.zeros(number), np.full(number, duration_s / 2), start)
    alone = rng.random(number) < 0.2
    spot[alone] = rng.uniform(-REACH_M, REACH_M, (int(alone.sum()), 2))
    return start, spot[:, 0], spot[:, 1]


def draw_line_scene(rng: Rng, duration_s: float) -> Scene:
    """A squall line that crosses the radar, renewing itself along its front, with the stratiform rain it leaves."""
    climate = replace(Climate(), peak_dbz=(46.5, 5.0), top_m=(13300.0, 2600.0), steering_ms=(11.0, 3.0))
    heading = rng.uniform(0, 2 * np.pi)
    flow = draw_flow(rng, climate, heading_rad=heading + rng.normal(0, 0.3))
    steering = flow.steering.wind_ms[0]
    ahead = np.array([np.cos(heading), np.sin(heading)])
    speed = max(float(steering @ ahead) + rng.uniform(2, 6), 6.0)
    if rng.random() < 0.6:
        # Trailing stratiform rain needs an upper wind slower than the line.
        slower = np.clip((flow.height_m - 5000) / 4000, 0, 1)[:, None] * ahead
        flow = replace(
            flow, wind_ms=flow.wind_ms - slower * max(float(flow.wind(9000.0, 0.0) @ ahead) - 0.45 * speed, 0)
        )
    line = _line_cells(rng, climate, duration_s, heading, speed)
    start, x, y = _clustered(rng, duration_s, storms_per_hour=3.0, flow=flow)
    cells = Cells.join([line, draw_storms(rng, climate, start, x, y, flow)])
    facts = {"line_speed_ms": speed, "line_heading_rad": heading}
    melting = float(rng.normal(*climate.melting_m))
    return _scene("line", rng, flow, cells, None, melting, duration_s, facts)


def _line_cells(rng: Rng, climate: Climate, duration_s: float, heading: float, speed: float) -> Cells:
    """Cells born along a bowed front that advances at ``speed``; they fall behind it while they live."""
    length, bow = rng.uniform(110e3, 230e3), rng.uniform(0, 25e3)
    sites = int(length / LINE_SITE_M)
    along = np.linspace(-0.5, 0.5, sites) * length
    # The line is strongest in its middle; each part of it waxes and wanes over one to two and a half hours.
    strength = rng.normal(0, 0.7, sites) - 2.5 * (2 * along / length) ** 4
    period, phase = rng.uniform(3600, 9000, sites), rng.uniform(0, 2 * np.pi, sites)
    start, site = _births(rng, sites, duration_s)
    middle = rng.uniform(0.35, 0.65) * duration_s
    front = speed * (start - middle) + rng.normal(0, 2500, len(start)) - bow * (2 * along[site] / length) ** 2
    front += rng.uniform(-25e3, 25e3)
    side = along[site] + rng.uniform(-30e3, 30e3) + rng.normal(0, 1800, len(start))
    c, s = np.cos(heading), np.sin(heading)
    return draw_cells(
        rng,
        climate,
        start,
        front * c - side * s,
        front * s + side * c,
        storm=site,
        vigour=strength[site] + 1.1 * np.sin(2 * np.pi * start / period[site] + phase[site]),
        propagation_ms=np.tile(0.1 * speed * np.array([c, s]), (len(start), 1)),
        anvil_dbz=float(rng.normal(25, 2.5)),
        anvil_floor_m=np.zeros(len(start)),
        heading_rad=heading + np.pi / 2,
    )


def _births(rng: Rng, sites: int, duration_s: float) -> tuple[Float64, NDArray[np.int64]]:
    """When and at which site along a line cells are born: every quarter of an hour or so at each."""
    start, site = [], []
    for number in range(sites):
        pauses = rng.gamma(6.0, LINE_RENEWAL_S / 6.0, int((SPIN_UP_S + duration_s) / 400) + 4)
        times = -SPIN_UP_S - rng.uniform(0, LINE_RENEWAL_S) + np.cumsum(pauses)
        times = times[times < duration_s]
        start.append(times)
        site.append(np.full(len(times), number))
    return np.concatenate(start), np.concatenate(site)


def draw_stratiform_scene(rng: Rng, duration_s: float) -> Scene:
    """Widespread rain with a bright band and weak cells embedded in it."""
    climate = replace(
        Climate(),
        peak_dbz=(36.0, 4.0),
        top_m=(7000.0, 1200.0),
        radius_m=5000.0,
        steering_ms=(12.0, 4.0),
        melting_m=(2800.0, 700.0),
    )
    flow = draw_flow(rng, climate)
    melting = float(np.clip(rng.normal(*climate.melting_m), 1500, 4500))
    wind = flow.steering.wind_ms[0]
    sheet = Sheet(
        mean_dbz=float(rng.normal(13, 3.5)),
        spread_db=float(rng.uniform(8, 11)),
        lapse_db_per_km=float(rng.uniform(4.0, 6.5)),
        source_m=melting + 2000.0,
        renewal=Renewal.draw(rng, 5400.0, 1e6),
        stretch=float(rng.uniform(1.0, 2.5)),
        orientation_rad=float(np.arctan2(wind[1], wind[0]) + rng.normal(0, 0.6)),
    )
    start, x, y = _clustered(rng, duration_s, storms_per_hour=6.0, flow=flow)
    cells = draw_storms(rng, climate, start, x, y, flow, anvil_dbz=0.0)
    facts = {"sheet_mean_dbz": sheet.mean_dbz, "sheet_spread_db": sheet.spread_db}
    return _scene("stratiform", rng, flow, cells, sheet, melting, duration_s, facts)


def draw_dry_scene(rng: Rng, duration_s: float) -> Scene:
    """No weather at all: what the radar sees is clutter and noise."""
    return _scene("dry", rng, draw_flow(rng, Climate()), Cells.empty(), None, 4300.0, duration_s, {})


def _scene(
    kind: str,
    rng: Rng,
    flow: SteeringFlow,
    cells: Cells,
    sheet: Sheet | None,
    melting_m: float,
    duration_s: float,
    facts: dict[str, float],
) -> Scene:
    return Scene(kind, flow, cells, sheet, Roughness.draw(rng), melting_m, duration_s, parameters=dict(facts))


KINDS: dict[str, Callable[[Rng, float], Scene]] = {
    "cells": draw_cells_scene,
    "line": draw_line_scene,
    "stratiform": draw_stratiform_scene,
    "dry": draw_dry_scene,
}

MIX = {"cells": 0.35, "line": 0.35, "stratiform": 0.25, "dry": 0.05}
"""Shares of the kinds in a corpus for training."""
