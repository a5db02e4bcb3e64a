"""Evaluating a scene: freeze it at a time, then ask for reflectivity at points, on grids or along beams."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nowcast.simulate import kernels
from nowcast.simulate.anvils import melting_profile, puff_centres, puff_profile
from nowcast.simulate.cells import axis_lean, axis_profile, cell_state
from nowcast.simulate.kernels import BIN_M, EDGE_DB, FAINT_DBZ, LEVEL_M, LEVELS, Snapshot
from nowcast.simulate.noise import power_law_noise
from nowcast.simulate.scene import Scene
from nowcast.units import clip_dbz, linear_to_dbz

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]

MAP_M = 2000.0
NOISE_M = 1000.0
NOISE_LEVEL_M = 1000.0
TABLE_Z_M: Float64 = LEVEL_M * np.arange(LEVELS, dtype=np.float64)
OUTSIDE_DBZ = -60.0
SHEET_EDGE_DBZ = np.float32(12.0)
"""Below this, widespread rain thins out three times as fast, so that rain areas have edges."""


def reflectivity(scene: Scene, x_m: ArrayLike, y_m: ArrayLike, z_m: ArrayLike, t_s: float) -> Float32:
    """Reflectivity in dBZ, clipped to the program's range, at points of any (broadcast) shape."""
    x, y, z = np.broadcast_arrays(*(np.asarray(a, np.float32) for a in (x_m, y_m, z_m)))
    out = np.empty(x.size, np.float32)
    kernels.points_linear_z(take_snapshot(scene, t_s), x.ravel(), y.ravel(), z.ravel(), out)
    return clip_dbz(linear_to_dbz(out)).astype(np.float32).reshape(x.shape)


def take_snapshot(scene: Scene, t_s: float) -> Snapshot:
    """The scene at time ``t_s``, ready for the sampling kernels."""
    columns, shapes = _elements(scene, t_s)
    bins = int(np.ceil(2 * scene.extent_m / BIN_M))
    start, items = kernels.fill_bins(columns, _reach(columns, shapes), scene.extent_m, bins)
    slot, origin, weight = _noise(scene, t_s)
    return Snapshot(
        extent_m=scene.extent_m,
        columns=columns,
        shapes=shapes,
        bin_start=start,
        bin_items=items,
        bins=bins,
        map_m=MAP_M,
        warp=_warp_map(scene, t_s)[None],
        sheet=_sheet_map(scene, t_s)[None, None],
        sheet_columns=_sheet_columns(scene, t_s),
        has_sheet=scene.sheet is not None,
        noise=_noise_bank(),
        noise_slot=slot,
        noise_origin=origin,
        noise_weight=weight,
        noise_m=NOISE_M,
        noise_level_m=NOISE_LEVEL_M,
    )


def _elements(scene: Scene, t_s: float) -> tuple[Float32, Float32]:
    """Tables of all cells and puffs that exist at ``t_s``: columns ``[L, E, 3]`` and shapes ``[E, 3]``."""
    cells = scene.cells.select(scene.cell_state(t_s).alive)
    state = cell_state(cells, scene.flow, t_s)
    foot = np.stack([state.x_m, state.y_m], -1)[:, None]
    centres = foot + axis_lean(state, scene.flow, TABLE_Z_M, t_s)
    age = t_s - scene.puffs.start_s
    puffs = scene.puffs.select((age >= 0) & (age < scene.puffs.life_s))
    profile = np.concatenate([axis_profile(state, TABLE_Z_M), puff_profile(puffs, TABLE_Z_M, t_s, scene.melting_m)])
    centres = np.concatenate([centres, puff_centres(puffs, scene.flow, TABLE_Z_M, t_s)])
    columns = np.empty((LEVELS, len(profile), 3), np.float32)
    columns[..., 0], columns[..., 1:] = np.maximum(profile, OUTSIDE_DBZ).T, centres.transpose(1, 0, 2)
    wider = puffs.radius_m + puffs.spread_ms * (t_s - puffs.start_s)
    round_, straight = np.ones(len(puffs)), np.zeros(len(puffs))
    shapes = _ellipses(
        np.concatenate([state.radius_m, wider]),
        np.concatenate([cells.axis_ratio, round_]),
        np.concatenate([cells.orientation_rad, straight]),
    )
    return columns, shapes


def _ellipses(radius_m: Float64, ratio: Float64, angle: Float64) -> Float32:
    """Matrices ``[E, 3]`` (xx, 2 xy, yy), dB per square metre, that fall by ``EDGE_DB`` at the half axes."""
    along, across = EDGE_DB / (radius_m**2 * ratio), EDGE_DB * ratio / radius_m**2
    c, s = np.cos(angle), np.sin(angle)
    parts = along * c**2 + across * s**2, 2 * (along - across) * c * s, along * s**2 + across * c**2
    return np.stack(parts, -1).astype(np.float32)


def _reach(columns: Float32, shapes: Float32) -> Float32:
    """How far from its axis each element is seen at each level, ``[L, E]`` in metres; 0 where it is not."""
    # The flattest direction of the ellipse bounds how far it reaches.
    xx, xy, yy = (shapes * np.array([1, 0.5, 1])).T
    gentlest = (xx + yy) / 2 - np.hypot((xx - yy) / 2, xy)
    # Between two levels the axis is brighter than at the fainter one.
    brightest = columns[..., 0].copy()
    brightest[1:] = np.maximum(brightest[1:], columns[:-1, :, 0])
    brightest[:-1] = np.maximum(brightest[:-1], columns[1:, :, 0])
    form = EDGE_DB * (np.maximum(brightest - FAINT_DBZ, 0) / EDGE_DB) ** (2 / 3)
    return np.sqrt(form / gentlest).astype(np.float32)


@lru_cache(maxsize=1)
def _noise_bank() -> Float32:
    """Roughness ``[slot, Z, N, N]``; the same for every scene, which shifts it by its own offsets."""
    rng = np.random.default_rng(20_250_214)
    return power_law_noise(rng, (3, 21, 128, 128), NOISE_M, slope=1.8, longest_m=15e3, shortest_m=300.0, depth=1.7)


@lru_cache(maxsize=1)
def _map_bank() -> Float32:
    """Smooth fields ``[slot, 3, N, N]``, 512 km wide: two for the warp, one for sheets."""
    rng = np.random.default_rng(20_250_215)
    warp = power_law_noise(rng, (3, 2, 256, 256), MAP_M, slope=4.0, longest_m=15e3, shortest_m=1500.0)
    sheet = power_law_noise(rng, (3, 1, 256, 256), MAP_M, slope=3.4, longest_m=90e3, shortest_m=1200.0)
    return np.concatenate([warp, sheet], axis=1)


def _noise(scene: Scene, t_s: float) -> tuple[Int32, Float32, Float32]:
    """Which of the bank are the two active noise members, where each of their levels lies, their weights in dB."""
    bank, renewal = _noise_bank(), scene.roughness.noise
    z = np.arange(bank.shape[1]) * NOISE_LEVEL_M
    aloft = np.clip((z - 6000) / 4000, 0, 1)[:, None]
    slots, origins, weights = [], [], []
    for member, weight, full_s in renewal.active(t_s):
        steered = scene.flow.steering.drift(z, full_s, t_s)
        way = steered + aloft * (scene.flow.drift(z, full_s, t_s) - steered)
        origins.append((way + renewal.offset(member)) % (NOISE_M * bank.shape[-1]))
        weights.append(weight * scene.roughness.noise_db)
        slots.append(member % len(bank))
    return np.asarray(slots, np.int32), np.asarray(origins, np.float32), np.asarray(weights, np.float32)


def _empty_map(extent_m: float) -> tuple[Float32, Float32]:
    axis = np.arange(0, 2 * extent_m + 1.5 * MAP_M, MAP_M) - extent_m
    return axis.astype(np.float32), np.zeros((len(axis), len(axis)), np.float32)


def _warp_map(scene: Scene, t_s: float) -> Float32:
    """Displacement ``[2, M, M]`` in metres."""
    axis, flat = _empty_map(scene.extent_m)
    out, rough, bank = np.stack([flat, flat]), scene.roughness, _map_bank()
    if rough.warp_m == 0:
        return out
    matrix = (np.eye(2) / MAP_M).astype(np.float32)
    for member, weight, full_s in rough.warp.active(t_s):
        shift = rough.warp.offset(member) + scene.flow.steering.drift(0.0, full_s, t_s)
        for component, part in enumerate(out):
            field = bank[member % len(bank), component][None, None]
            kernels.sample_periodic(field, axis, matrix, shift.astype(np.float32), weight * rough.warp_m, part)
    return out


def _sheet_map(scene: Scene, t_s: float) -> Float32:
    """Rain ``[M, M]`` of the stratiform layer in dBZ."""
    axis, out = _empty_map(scene.extent_m)
    sheet, bank = scene.sheet, _map_bank()
    if sheet is None:
        return out
    c, s = np.cos(sheet.orientation_rad), np.sin(sheet.orientation_rad)
    bands = np.array([[c / sheet.stretch, s / sheet.stretch], [-s, c]]) / MAP_M
    for member, weight, full_s in sheet.renewal.active(t_s):
        shift = sheet.renewal.offset(member) + scene.flow.drift(sheet.source_m, full_s, t_s)
        field = bank[member % len(bank), 2][None, None]
        matrix, moved = bands.astype(np.float32), shift.astype(np.float32)
        kernels.sample_periodic(field, axis, matrix, moved, weight * sheet.spread_db, out)
    out += np.float32(sheet.mean_dbz)
    return out - np.float32(2.0) * np.maximum(SHEET_EDGE_DBZ - out, np.float32(0.0))


def _sheet_columns(scene: Scene, t_s: float) -> Float32:
    """Profile of the stratiform layer ``[L, 3]``: dB relative to its rain, lean east and north in metres."""
    sheet = scene.sheet
    if sheet is None:
        return np.zeros((LEVELS, 3), np.float32)
    z = TABLE_Z_M
    profile = melting_profile(z, scene.melting_m, sheet.lapse_db_per_km)
    wind = scene.flow.wind(z, t_s) - scene.flow.wind(sheet.source_m, t_s)
    # Snow falls 1 m/s, rain 6 m/s: the time since it left its source, times the mean of the wind on the way.
    fall_s = np.where(z > scene.melting_m, LEVEL_M, LEVEL_M / 6)
    from_source = np.where(z < sheet.source_m, fall_s, 0.0)
    lean = np.cumsum((wind * from_source[:, None])[::-1], 0)[::-1]
    return np.concatenate([profile[:, None], lean], -1).astype(np.float32)
