"""The loops that turn a frozen moment of a scene into reflectivity, compiled.

Everything here works on a :class:`Snapshot`: tables by height for every cell and puff, maps of what covers the ground,
and a block of noise. Reflectivity adds up in linear units. Functions are inlined and arrays indexed without slices,
because numba counts references for every array that it passes or slices.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nowcast.units import dbz_to_linear
from nowcast_kernels.jit import inlined, kernel

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]
Real: TypeAlias = "float | np.floating[Any]"

EDGE_DB = 20.0
"""Reflectivity falls by this much from an element's axis to its radius, and with the third power of the distance."""
LEVEL_M = 250.0
LAYER_LEVELS = 8
LAYERS = 10
LEVELS = LAYERS * LAYER_LEVELS + 1
"""Height tables reach from the ground to 20 km; elements are listed by layers of 2 km."""
BIN_M = 4000.0
FAINT_DBZ = np.float32(-10.0)
"""What is fainter is no echo at all."""
FAINT_Z = np.float32(dbz_to_linear(float(FAINT_DBZ)))
DAMPED = np.float32(0.4)
DB_TO_LOG = np.float32(np.log(10.0) / 10.0)


class Snapshot(NamedTuple):
    """A scene at one time, ready to be evaluated at any point.

    Attributes
    ----------
    columns
        ``[L, E, 3]`` for each level and element (cell or puff): reflectivity on its axis in dBZ, the axis' x and y.
    shapes
        ``[E, 3]`` matrix (xx, 2 xy, yy) of the ellipse: ``f = xx dx^2 + 2 xy dx dy + yy dy^2`` gives the fall from the
        axis, ``f sqrt(f / EDGE_DB)`` dB.
    bin_start, bin_items, bins
        The elements that reach each bin of the ground in each layer, row by row, ``bins`` in a row.
    warp
        ``[1, 2, M, M]`` at map points ``map_m`` apart: how far (x, y) from there that lies which is seen there, metres.
    sheet, sheet_columns
        ``[1, 1, M, M]`` rain of the stratiform layer in dBZ; ``[L, 3]`` its profile in dB relative to that, its lean.
    noise, noise_slot, noise_origin, noise_weight
        ``[S, Z, N, N]`` bank of roughness; for the two members active: ``[2]`` which one of the bank, ``[2, Z, 2]``
        where each level starts, ``[2]`` weights in dB.
    """

    extent_m: float
    columns: Float32
    shapes: Float32
    bin_start: Int32
    bin_items: Int32
    bins: int
    map_m: float
    warp: Float32
    sheet: Float32
    sheet_columns: Float32
    has_sheet: bool
    noise: Float32
    noise_slot: Int32
    noise_origin: Float32
    noise_weight: Float32
    noise_m: float
    noise_level_m: float


@inlined
def _bilinear(field: Float32, m: int, n: int, j: int, k: int, i: int, l: int, a: Real, b: Real) -> Real:  # noqa: E741
    """Between rows j and k and columns i and l of ``field[m, n]``, with weights a along the row and b across."""
    low = field[m, n, j, i] + a * (field[m, n, j, l] - field[m, n, j, i])
    high = field[m, n, k, i] + a * (field[m, n, k, l] - field[m, n, k, i])
    return low + b * (high - low)


@inlined
def _periodic(field: Float32, m: int, n: int, fx: Real, fy: Real) -> Real:
    """``field[m, n]``, square and periodic with a power of two as its side, at pixel coordinates."""
    rim = field.shape[3] - 1
    x0, y0 = np.floor(fx), np.floor(fy)
    i, j = int(x0) & rim, int(y0) & rim
    return _bilinear(field, m, n, j, (j + 1) & rim, i, (i + 1) & rim, np.float32(fx - x0), np.float32(fy - y0))


@inlined
def _elements(
    columns: Float32, shapes: Float32, items: Int32, first: int, last: int, x: Real, y: Real, level: int, a: Real
) -> Real:
    """Linear reflectivity at a point from the elements ``items[first:last]``."""
    total, b = np.float32(0.0), np.float32(1.0) - a
    for position in range(first, last):
        e = items[position]
        axis = b * columns[level, e, 0] + a * columns[level + 1, e, 0]
        if axis > FAINT_DBZ:
            dx = x - b * columns[level, e, 1] - a * columns[level + 1, e, 1]
            dy = y - b * columns[level, e, 2] - a * columns[level + 1, e, 2]
            fall = shapes[e, 0] * dx * dx + shapes[e, 1] * dx * dy + shapes[e, 2] * dy * dy
            dbz = axis - fall * np.sqrt(fall * np.float32(1.0 / EDGE_DB))
            if dbz > FAINT_DBZ:
                total += np.exp(DB_TO_LOG * dbz)
    return total


@inlined
def _on_sheet(
    sheet: Float32, table: Float32, x: Real, y: Real, level: int, a: Real, extent: Real, to_map: Real
) -> Real:
    """Linear reflectivity of the stratiform layer at a point."""
    b, last, result = np.float32(1.0) - a, np.float32(sheet.shape[3] - 1.01), np.float32(0.0)
    fx = (x - b * table[level, 1] - a * table[level + 1, 1] + extent) * to_map
    fy = (y - b * table[level, 2] - a * table[level + 1, 2] + extent) * to_map
    fx, fy = min(max(fx, np.float32(0.0)), last), min(max(fy, np.float32(0.0)), last)
    i, j = int(fx), int(fy)
    dbz = _bilinear(sheet, 0, 0, j, j + 1, i, i + 1, np.float32(fx - i), np.float32(fy - j))
    dbz += b * table[level, 0] + a * table[level + 1, 0]
    if dbz > FAINT_DBZ:
        result = np.exp(DB_TO_LOG * dbz)
    return result


@inlined
def _roughness(
    noise: Float32, slot: Int32, origin: Float32, weight: Float32, x: Real, y: Real, fz: Real, scale: Real
) -> Real:
    """Noise in dB at a point, interpolated in all directions; ``fz`` height in levels of the noise."""
    fz = min(fz, np.float32(noise.shape[1] - 1.001))
    level = int(fz)
    a, total = np.float32(fz - level), np.float32(0.0)
    for member in range(2):
        if weight[member] > 0:
            fx, fy = (x - origin[member, level, 0]) * scale, (y - origin[member, level, 1]) * scale
            below = _periodic(noise, slot[member], level, fx, fy)
            fx, fy = (x - origin[member, level + 1, 0]) * scale, (y - origin[member, level + 1, 1]) * scale
            above = _periodic(noise, slot[member], level + 1, fx, fy)
            total += weight[member] * (below + a * (above - below))
    return total


@kernel(fastmath=True)
def points_linear_z(s: Snapshot, x_m: Float32, y_m: Float32, z_m: Float32, out: Float32) -> None:
    """Linear reflectivity in mm^6 m^-3 at scattered points ``[P]`` into ``out [P]``; 0 without echo or outside."""
    columns, shapes, bin_start, bin_items, bins = s.columns, s.shapes, s.bin_start, s.bin_items, s.bins
    warp, sheet, table, has_sheet = s.warp, s.sheet, s.sheet_columns, s.has_sheet
    noise, slot, origin, weight = s.noise, s.noise_slot, s.noise_origin, s.noise_weight
    extent, ceiling = np.float32(s.extent_m), np.float32((LEVELS - 1) * LEVEL_M)
    to_map, to_bin, to_level = np.float32(1.0 / s.map_m), np.float32(1.0 / BIN_M), np.float32(1.0 / LEVEL_M)
    to_noise, to_noise_level = np.float32(1.0 / s.noise_m), np.float32(1.0 / s.noise_level_m)
    for p in range(len(x_m)):
        out[p] = 0.0
        x, y, z = x_m[p], y_m[p], z_m[p]
        if abs(x) >= extent or abs(y) >= extent or z < 0 or z >= ceiling:
            continue
        fx, fy = (x + extent) * to_map, (y + extent) * to_map
        i, j = int(fx), int(fy)
        fx, fy = np.float32(fx - i), np.float32(fy - j)
        px = x + _bilinear(warp, 0, 0, j, j + 1, i, i + 1, fx, fy)
        py = y + _bilinear(warp, 0, 1, j, j + 1, i, i + 1, fx, fy)
        first = last = 0
        fz = z * to_level
        level = int(fz)
        a = np.float32(fz - level)
        if abs(px) < extent and abs(py) < extent:
            place = ((level // LAYER_LEVELS) * bins + int((py + extent) * to_bin)) * bins + int((px + extent) * to_bin)
            first, last = bin_start[place], bin_start[place + 1]
        if first == last and not has_sheet:
            continue
        total = _elements(columns, shapes, bin_items, first, last, px, py, level, a)
        if has_sheet:
            total += _on_sheet(sheet, table, px, py, level, a, extent, to_map)
        if total > FAINT_Z:
            rough = _roughness(noise, slot, origin, weight, x, y, z * to_noise_level, to_noise)
            # Breakup of drops limits how far rain exceeds its mean, nothing how far it falls short.
            out[p] = total * np.exp(DB_TO_LOG * (rough - DAMPED * max(rough, np.float32(0.0))))


@kernel(fastmath=True)
def beam_linear_z(
    s: Snapshot, place: Float32, sines: Float32, cosines: Float32, ground_m: Float32, height_m: Float32, out: Float32
) -> None:
    """Linear reflectivity along rays, the mean over the parts of a beam, of a radar at ``place [2]`` (x, y).

    ``sines, cosines [B, R]`` of each part's azimuth for each ray; ``ground_m, height_m [B, G]`` its distance along the
    ground and its height above sea level at each gate; ``out [R, G]``.
    """
    parts, gates = ground_m.shape
    one = np.empty(gates, np.float32)
    for ray in range(sines.shape[1]):
        out[ray] = 0.0
        for part in range(parts):
            x, y = place[0] + ground_m[part] * sines[part, ray], place[1] + ground_m[part] * cosines[part, ray]
            points_linear_z(s, x, y, height_m[part], one)
            out[ray] += one
        out[ray] /= np.float32(parts)


@kernel(fastmath=True)
def sample_periodic(field: Float32, axis: Float32, matrix: Float32, shift: Float32, weight: Real, out: Float32) -> None:
    """Add ``weight`` times a periodic field to a map ``out [M, M]``.

    The map's points have coordinates ``axis [M]`` in both directions, metres; ``matrix [2, 2]`` takes what is left
    after subtracting ``shift [2]`` to the pixels of ``field [1, 1, N, N]``.
    """
    for j in range(len(axis)):
        y = axis[j] - shift[1]
        for i in range(len(axis)):
            x = axis[i] - shift[0]
            fx, fy = matrix[0, 0] * x + matrix[0, 1] * y, matrix[1, 0] * x + matrix[1, 1] * y
            out[j, i] += weight * _periodic(field, 0, 0, fx, fy)


@kernel
def _covered(
    columns: Float32, reach: Float32, layer: int, e: int, extent: float, bins: int
) -> tuple[int, int, int, int]:
    """First and last column and row of bins that an element reaches within a layer; last before first for none."""
    west = south = np.inf
    east = north = -np.inf
    for level in range(layer * LAYER_LEVELS, (layer + 1) * LAYER_LEVELS + 1):
        x, y, far = float(columns[level, e, 1]), float(columns[level, e, 2]), float(reach[level, e])
        if far > 0:
            west, east = min(west, x - far), max(east, x + far)
            south, north = min(south, y - far), max(north, y + far)
    if west > east or east < -extent or west > extent or north < -extent or south > extent:
        return 0, -1, 0, -1
    first_x, first_y = max((west + extent) / BIN_M, 0.0), max((south + extent) / BIN_M, 0.0)
    last_x, last_y = min((east + extent) / BIN_M, bins - 1.0), min((north + extent) / BIN_M, bins - 1.0)
    return int(first_x), int(last_x), int(first_y), int(last_y)


@kernel
def fill_bins(columns: Float32, reach: Float32, extent: float, bins: int) -> tuple[Int32, Int32]:
    """List for each bin of each layer the elements that reach it.

    ``reach [L, E]`` is how far each element is seen at each level, metres; 0 where it is not. Returns ``start [LAYERS *
    bins * bins + 1]`` and the items.
    """
    elements = columns.shape[1]
    start = np.zeros(LAYERS * bins * bins + 1, np.int32)
    for layer in range(LAYERS):
        for e in range(elements):
            west, east, south, north = _covered(columns, reach, layer, e, extent, bins)
            for row in range(south, north + 1):
                for column in range(west, east + 1):
                    start[(layer * bins + row) * bins + column + 1] += 1
    for place in range(len(start) - 1):
        start[place + 1] += start[place]
    items, used = np.empty(start[-1], np.int32), start[:-1].copy()
    for layer in range(LAYERS):
        for e in range(elements):
            west, east, south, north = _covered(columns, reach, layer, e, extent, bins)
            for row in range(south, north + 1):
                for column in range(west, east + 1):
                    place = (layer * bins + row) * bins + column
                    items[used[place]] = e
                    used[place] += 1
    return start, items
