"""Small labels on a map: off the echo where they can be, never one on another."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from helpers import small_grid
from matplotlib.figure import Figure

from nowcast.plot.maps import draw_map
from nowcast.plot.room import Room
from nowcast.plot.style import reflectivity_scale
from nowcast.types import Float32

GRID = small_grid((2, 60, 60))


def drawn(field: Float32) -> Figure:
    figure = Figure(figsize=(6, 6))
    draw_map(figure.add_axes((0.1, 0.1, 0.8, 0.8)), field, GRID, reflectivity_scale())
    figure.canvas.draw()
    return figure


def echo_in(rows: slice, columns: slice) -> Float32:
    field = np.zeros(GRID.shape[1:], np.float32)
    field[rows, columns] = 40.0
    return field


@pytest.mark.parametrize("where", ["none", "south", "north", "east", "west", "everywhere"])
def test_names_of_lines_keep_off_echo_and_off_each_other(where: str) -> None:
    low, high, half = slice(0, 30), slice(30, 60), slice(None)
    parts = {"south": (low, half), "north": (high, half), "west": (half, low), "east": (half, high)}
    field = echo_in(*parts.get(where, (half, half) if where == "everywhere" else (slice(0), slice(0))))
    figure = drawn(field)
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) > 3
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    assert all(axes.bbox.containsx(x) and axes.bbox.containsy(y) for box in boxes for x, y in box.corners())
    if where in parts:
        places = np.array([text.get_position() for text in axes.texts if text.get_text().endswith("km")])
        column = np.rint((places[:, 0] * 1e3 - GRID.x[0]) / GRID.spacing_m[2]).astype(int)
        row = np.rint((places[:, 1] * 1e3 - GRID.y[0]) / GRID.spacing_m[1]).astype(int)
        assert len(places) and (field[row, column] == 0).all()


def test_a_label_without_room_is_left_out() -> None:
    figure = Figure(figsize=(4, 4))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-50, 50), ylim=(-50, 50))
    room = Room(axes, np.zeros(GRID.shape[1:], np.float32), GRID)
    assert room.put(["one"], [[(0.0, 0.0)]], 8.0) == [(0.0, 0.0)]
    assert room.put(["two"], [[(1.0, 1.0)], [(20.0, 0.0)]], 8.0) == [(20.0, 0.0)], "the next place that is free"
    assert room.put(["three"], [[(0.5, 0.0)], [(49.9, 0.0)]], 8.0) == [None], "taken, and over the edge"
    assert room.put(["a", "b"], [[(-30.0, 9.0), None]], 8.0) == [(-30.0, 9.0), None]
