"""Cells over time: which of one time goes on as which of the next is told by the Gaussians that they share.

The same Gaussians draw the same piece of storm at all times (:class:`nowcast.types.GaussianSequence`), so a cell is
followed by what it is made of rather than by where it is: fast cells need no search, and neighbours are not mixed up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from nowcast.cells.find import CellConfig, Doubles, Shape, drawn_by, label_cells, owners, shapes_of
from nowcast.gaussians import render
from nowcast.types import GaussianSequence, GaussianSet
from nowcast.units import seconds


@dataclass(frozen=True)
class Cell:
    """A cell at one time.

    Attributes
    ----------
    id
        Its identity, the same at all times of its life.
    time
        UTC.
    shape
        Where and how large it is.
    velocity_ms
        ``(east, north)``: mean of its Gaussians' velocities, by what they draw; None at a first time, which tells none.
    age_s
        Since it was first seen, which is the first time of the sequence for what was there then.
    growth_km2_h
        Change of its area since the time before; None where it was not there then.
    parent
        The cell that it split off, None for one that appeared by itself.
    members
        ``[N]`` bool, the Gaussians whose centres lie in it.
    """

    id: int
    time: np.datetime64
    shape: Shape
    velocity_ms: tuple[float, float] | None
    age_s: float
    growth_km2_h: float | None
    parent: int | None
    members: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Ahead:
    """Where a cell is to be: centroids ``[L, 2]`` m (east, north) by lead time, and of an ensemble their RMS distance
    ``[L]`` m from the members' mean, None without one."""

    id: int
    lead_s: Doubles
    centre_m: Doubles
    spread_m: Doubles | None


def track_cells(sequence: GaussianSequence, config: CellConfig | None = None) -> list[list[Cell]]:
    """The cells at each time of a fitted sequence, with identities that last.

    Each Gaussian keeps the cell that it first lay in. A cell is the one that most of what is drawn in it belongs to,
    each as one only and with at least the part ``config.shared`` of the smaller of the two. So where cells merge, the
    one that brings most lives on, and where they part again each has its own identity; where one splits, the part that
    takes most goes on and the other is a new one, with the first as its ``parent``.
    """
    config = config or CellConfig()
    kept = np.zeros(sequence.means.shape[1], int)  # the cell of each Gaussian, 0 for none
    first_seen: list[np.datetime64] = []
    found: list[list[Cell]] = []
    for t, time in enumerate(sequence.times):
        gaussians = sequence.at(t)
        dbz = render(gaussians, sequence.grid)[0]
        labels = label_cells(dbz, sequence.grid, config)
        owner, drawn = owners(gaussians, labels, sequence.grid)
        moving = sequence.velocities[t].numpy()[:, :2]
        kept[drawn == 0] = 0  # it is idle, and what it draws later is something else
        parts = [owner == number for number in range(1, int(labels.max(initial=0)) + 1)]
        shared = _shared(kept, len(first_seen), parts, drawn)
        ids = _identities(shared, kept, parts, drawn, config)
        before = {cell.id: cell for cell in found[-1]} if found else {}
        found.append([])
        for k, (shape, part) in enumerate(zip(shapes_of(dbz, labels, sequence.grid, config), parts, strict=True)):
            parent = None
            if k not in ids:
                parent = int(shared[:, k].argmax()) + 1 if shared[:, k].any() else None
                first_seen.append(time)
                ids[k] = len(first_seen)
                kept[part] = ids[k]
            kept[part & (kept == 0)] = ids[k]
            velocity = _mean(moving, part, drawn) if moving.any() else None
            age = seconds(time - first_seen[ids[k] - 1])
            growth = _growth(before.get(ids[k]), shape, time)
            found[-1].append(Cell(ids[k], time, shape, velocity, age, growth, parent, part))
    return found


def forecast_tracks(
    cells: Sequence[Cell],
    start: GaussianSet,
    lead_s: Sequence[float],
    ahead: Sequence[GaussianSet],
    members: Sequence[Sequence[GaussianSet]] = (),
) -> list[Ahead]:
    """Where the cells of the last time go with their Gaussians.

    ``ahead`` are the Gaussians of ``start`` at each of the lead times, ``members`` the same of an ensemble. A cell
    moves from its centroid as the mean of its Gaussians does, by what they draw at the start.
    """
    drawn = drawn_by(start)
    tracks = []
    for cell in cells:
        if _total(cell.members, drawn) == 0:
            continue
        origin = np.array([cell.shape.x_m, cell.shape.y_m]) - _mean(start.means.numpy()[:, :2], cell.members, drawn)

        def path(sets: Sequence[GaussianSet], cell: Cell = cell, origin: Doubles = origin) -> Doubles:
            return np.array([origin + _mean(s.means.numpy()[:, :2], cell.members, drawn) for s in sets])

        spread = None
        if members:
            paths = np.stack([path(sets) for sets in members])
            spread = np.sqrt(((paths - paths.mean(axis=0)) ** 2).sum(axis=-1).mean(axis=0))
        tracks.append(Ahead(cell.id, np.asarray(lead_s, float), path(ahead), spread))
    return tracks


def _total(part: np.ndarray, drawn: Doubles) -> float:
    return float(drawn[part].sum())


def _shared(kept: np.ndarray, count: int, parts: Sequence[np.ndarray], drawn: Doubles) -> Doubles:
    """``[count, cells]`` what is drawn in each cell of now by the Gaussians of each that there has been."""
    table = [np.bincount(kept[part], drawn[part], minlength=count + 1)[1:] for part in parts]
    return np.array(table, float).reshape(len(parts), count).T


def _identities(
    shared: Doubles, kept: np.ndarray, parts: Sequence[np.ndarray], drawn: Doubles, config: CellConfig
) -> dict[int, int]:
    """By the position of each cell of now that was there before its id."""
    if shared.size == 0:
        return {}
    had = np.bincount(kept, drawn, minlength=len(shared) + 1)[1:]
    smaller = np.minimum(had[:, None], [_total(part, drawn) for part in parts])
    good = (shared > 0) & (shared >= config.shared * smaller)
    rows, columns = linear_sum_assignment(np.where(good, -shared, 0.0))
    return {int(c): int(r) + 1 for r, c in zip(rows, columns, strict=True) if good[r, c]}


def _growth(last: Cell | None, shape: Shape, time: np.datetime64) -> float | None:
    if last is None:
        return None
    return (shape.area_km2 - last.shape.area_km2) / (seconds(time - last.time) / 3600.0)


def _mean(values: np.ndarray, part: np.ndarray, drawn: Doubles) -> tuple[float, float]:
    total = _total(part, drawn)
    if total == 0:
        return float("nan"), float("nan")
    east, north = (drawn[part, None] * values[part]).sum(axis=0) / total
    return float(east), float(north)
