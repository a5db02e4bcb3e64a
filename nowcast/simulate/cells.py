"""Convective cells: where each one is, and how it is built, through its life.

A cell's life has the three stages every observer of thunderstorms describes (Byers and Braham 1949). It *grows*: the
first echo appears aloft, intensifies within minutes, core and top rise, and rain reaches the ground. It is *mature*: a
reflectivity core in the lower middle troposphere, the top at its highest; towards the end both begin to sink. It
*decays*: the core falls to the ground, reflectivity collapses, the top sinks. So the vertical structure tells, minutes
ahead, what the low levels will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nowcast.errors import InputError
from nowcast.simulate.flow import SteeringFlow

Float64 = NDArray[np.float64]

TOP_DBZ = 10.0
"""Reflectivity on the axis at a cell's top."""
FIRST_ECHO_DB = -40.0
"""How far below its later peak a cell's reflectivity is when it starts."""
END_DB = -45.0
"""The same when it ends."""
STAGES = np.array([0.0, 0.75, 1.0, 1.3, 1.6, 2.0, 2.65, 3.0])
"""Life in units of its stages: 0 first echo, 1 mature, 2 decay begins, 3 end. Below, at these, with weights 0 to 1:"""
YOUNG = np.array([1.0, 0.8, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
RISEN = np.array([0.0, 1.0, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0])
FALLEN = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.4, 1.0, 1.0])
"""how far the core is where the first echo was, has been carried up, and has come down to the ground; the descent
begins before reflectivity falls."""
CORE_RISE = 0.09
"""How far the updraught carries the core up, as a share of the top's height."""
PULSE_S = 1080.0
UPDRAUGHT_MS = 25.0
"""Echo above 3 km leans with the wind as if it had risen from there at this speed."""


@dataclass(frozen=True)
class Cells:
    """C convective cells; every array has a leading axis C.

    Attributes
    ----------
    start_s, growth_s, mature_s, decay_s
        Time of first echo, and how long each stage lasts, seconds.
    x_m, y_m
        Position at ``start_s``, metres east and north of the scene's origin.
    propagation_ms
        ``[C, 2]`` velocity in addition to the steering flow (east, north), m/s.
    peak_dbz, top_m, radius_m
        Reflectivity in the core and height of the top when mature; distance at which reflectivity has fallen by
        20 dB, geometric mean of the two half axes.
    axis_ratio, orientation_rad
        Long over short half axis, and direction of the long one, counter-clockwise from east.
    overhang_m
        Height of the lowest echo when mature: 0 where rain reaches the ground.
    anvil_dbz, anvil_floor_m
        Reflectivity of the anvil that the cell leaves behind (0 for none), and height down to which it falls out.
    storm
        ``[C]`` int, number of the storm that the cell belongs to.
    """

    start_s: Float64
    growth_s: Float64
    mature_s: Float64
    decay_s: Float64
    x_m: Float64
    y_m: Float64
    propagation_ms: Float64
    peak_dbz: Float64
    top_m: Float64
    radius_m: Float64
    axis_ratio: Float64
    orientation_rad: Float64
    overhang_m: Float64
    anvil_dbz: Float64
    anvil_floor_m: Float64
    storm: NDArray[np.int64]

    def __post_init__(self) -> None:
        count = len(self.start_s)
        for f in fields(self):
            expected = (count, 2) if f.name == "propagation_ms" else (count,)
            if getattr(self, f.name).shape != expected:
                raise InputError(f"cells' {f.name} has shape {getattr(self, f.name).shape}, not {expected}")

    def __len__(self) -> int:
        return len(self.start_s)

    @property
    def end_s(self) -> Float64:
        return self.start_s + self.growth_s + self.mature_s + self.decay_s

    def select(self, which: ArrayLike) -> Cells:
        """Some of the cells, by index or by mask."""
        return Cells(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    @staticmethod
    def empty() -> Cells:
        shapes = {"propagation_ms": (0, 2)}
        arrays = {f.name: np.zeros(shapes.get(f.name, 0)) for f in fields(Cells)}
        return Cells(**{**arrays, "storm": np.zeros(0, np.int64)})  # type: ignore[arg-type]

    @staticmethod
    def join(groups: Sequence[Cells]) -> Cells:
        """All cells of all groups; storms are numbered on, so that they stay distinct."""
        if not groups:
            return Cells.empty()
        offsets = np.cumsum([0, *(int(g.storm.max(initial=-1)) + 1 for g in groups[:-1])])
        joined = {f.name: np.concatenate([getattr(g, f.name) for g in groups]) for f in fields(Cells)}
        joined["storm"] = np.concatenate([g.storm + o for g, o in zip(groups, offsets, strict=True)])
        return Cells(**joined)


class CellState(NamedTuple):
    """What the cells are at one time; every array ``[C]``, in the order of :class:`Cells`.

    ``x_m, y_m`` position at the ground, ``u_ms, v_ms`` velocity, ``peak_dbz`` reflectivity in the core (on the axis,
    before roughness), ``core_m`` its height, ``top_m`` height of ``TOP_DBZ`` on the axis, ``base_m`` lowest echo,
    ``radius_m``, ``age_s`` since first echo, ``alive`` whether the cell exists then.
    """

    x_m: Float64
    y_m: Float64
    u_ms: Float64
    v_ms: Float64
    peak_dbz: Float64
    core_m: Float64
    top_m: Float64
    base_m: Float64
    radius_m: Float64
    age_s: Float64
    alive: NDArray[np.bool_]


def cell_state(cells: Cells, flow: SteeringFlow, t_s: ArrayLike) -> CellState:
    """The cells at time ``t_s`` (one time, or one for each cell): steered along, each at its stage of life."""
    t = np.broadcast_to(np.asarray(t_s, np.float64), cells.start_s.shape)
    age = t - cells.start_s
    grown = np.sin(0.5 * np.pi * np.clip(age / cells.growth_s, 0, 1))
    decayed = np.clip((age - cells.growth_s - cells.mature_s) / cells.decay_s, 0, 1)
    steering = flow.steering
    way = steering.drift(np.zeros_like(t), cells.start_s, t) + cells.propagation_ms * age[:, None]
    velocity = steering.wind_ms[0] + steering.trend_ms2[0] * t[:, None] + cells.propagation_ms
    stage = np.clip(age / cells.growth_s, 0, 1) + np.clip((age - cells.growth_s) / cells.mature_s, 0, 1) + decayed
    young, risen, fallen = (np.interp(stage, STAGES, weight) for weight in (YOUNG, RISEN, FALLEN))
    first_m = np.clip(0.55 * cells.top_m, 2000, 6500)
    first_core_m, core_m = np.clip(0.48 * cells.top_m, 1500, 6000), np.clip(0.3 * cells.top_m, 1200, 4200)
    pulse_db, pulse_m = _pulse(cells, age)
    core = (
        core_m + (first_core_m - core_m) * young + CORE_RISE * cells.top_m * risen - (core_m - 1000) * fallen + pulse_m
    )
    return CellState(
        x_m=cells.x_m + way[:, 0],
        y_m=cells.y_m + way[:, 1],
        u_ms=velocity[:, 0],
        v_ms=velocity[:, 1],
        peak_dbz=cells.peak_dbz + FIRST_ECHO_DB * (1 - grown) + END_DB * decayed**1.7 + pulse_db,
        core_m=np.maximum(core, 1.3 * cells.overhang_m),
        top_m=first_m + (cells.top_m - first_m) * grown - cells.top_m * (0.25 * decayed + 0.1 * fallen),
        base_m=np.maximum(0.3 * cells.top_m * np.clip(1 - grown / 0.8, 0, 1), cells.overhang_m),
        radius_m=cells.radius_m * (0.6 + 0.4 * grown) * (1 + 0.2 * decayed),
        age_s=age,
        alive=(age >= 0) & (t < cells.end_s),
    )


def _pulse(cells: Cells, age_s: Float64) -> tuple[Float64, Float64]:
    """Long-lived cells pulse while mature, dB, and a quarter of a pulse ahead of that their core rises and sinks, m."""
    within = np.clip((age_s - cells.growth_s) / cells.mature_s, 0, 1)
    strength = np.clip(cells.mature_s / 3600 - 0.3, 0, 1) * np.sin(np.pi * within)
    phase = 2 * np.pi * (age_s - cells.growth_s) / PULSE_S
    return 3.0 * strength * np.sin(phase), 900.0 * strength * np.cos(phase)


def axis_profile(state: CellState, z_m: Float64) -> Float64:
    """Reflectivity ``[C, L]`` in dBZ on the cells' axes at heights ``z_m`` ``[L]``.

    From the core down nearly constant, as rain is; upwards falling to ``TOP_DBZ`` at the top, ever faster; below the
    base of echo that has not reached the ground, a steep edge.
    """
    peak, core, top, base = (a[:, None] for a in (state.peak_dbz, state.core_m, state.top_m, state.base_m))
    above = np.maximum(z_m - core, 0) / np.maximum(top - core, 500)
    below = np.maximum(core - z_m, 0) / 1000
    hanging = np.maximum(base - z_m, 0) / 1000
    return peak - np.maximum(peak - TOP_DBZ, 8.0) * above**1.1 - 0.5 * below - 12.0 * hanging


def axis_lean(state: CellState, flow: SteeringFlow, z_m: Float64, t_s: float) -> Float64:
    """Horizontal offset ``[C, L, 2]`` in metres of the axis from its foot, by the wind relative to the cell."""
    velocity = np.stack([state.u_ms, state.v_ms], -1)[:, None, :]
    rise_s = np.maximum(z_m - 3000.0, 0) / UPDRAUGHT_MS
    return (flow.wind(z_m, t_s)[None] - velocity) * rise_s[None, :, None]
