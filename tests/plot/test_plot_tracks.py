"""The map of storm cells: outlines, tracks so far and tracks to come stand where the cells are and go."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
from helpers import moving_cells, small_grid
from matplotlib.collections import LineCollection, PatchCollection, PathCollection
from matplotlib.text import Text

from nowcast.cells import CellConfig, forecast_tracks, track_cells
from nowcast.gaussians import FitConfig, advect, fit_sequence
from nowcast.plot import plot_tracks

GRID = small_grid((6, 40, 44))


def test_outlines_tracks_and_spread_are_drawn_where_the_cells_are() -> None:
    gaussians = fit_sequence(moving_cells(GRID, (10.0, 5.0), cells=2), FitConfig(gaussians=128))
    cells, leads = track_cells(gaussians), [600.0, 1200.0]
    sets = advect(gaussians, leads)
    ahead = forecast_tracks(cells[-1], gaussians.at(-1), leads, sets, [sets, advect(gaussians, [900.0, 1500.0])])
    figure = plot_tracks(gaussians, cells, ahead)
    axes = figure.axes[0]
    lines = [c for c in axes.collections if isinstance(c, LineCollection)]
    blue = next(c for c in lines if c.get_linewidth()[0] == 1.5 and c.get_colors()[0][2] > 0.5)
    for path, cell in zip(blue.get_paths(), cells[-1], strict=True):
        start, end = path.vertices[0], path.vertices[-1]
        np.testing.assert_allclose(start, [cell.shape.x_m / 1e3, cell.shape.y_m / 1e3])
        np.testing.assert_allclose(end - start, [12.0, 6.0], atol=2.0)
    (circles,) = (c for c in axes.collections if isinstance(c, PatchCollection))
    assert len(circles.get_paths()) == 2 * len(cells[-1])
    dots = [c.get_offsets() for c in axes.collections if isinstance(c, PathCollection)]
    centres = [[c.shape.x_m / 1e3, c.shape.y_m / 1e3] for now in cells for c in now]
    np.testing.assert_allclose(sorted(dots[-1].tolist()), sorted(centres), err_msg="a dot at each observed time")
    assert {text.get_text() for text in axes.texts} >= {str(cell.id) for cell in cells[-1]}
    figure.canvas.draw()


def test_numbers_of_crowded_cells_lie_on_nothing_and_the_rest_is_counted() -> None:
    gaussians = fit_sequence(moving_cells(GRID, (10.0, 5.0), cells=1), FitConfig(gaussians=64))
    cells = track_cells(gaussians)
    (one,) = cells[-1]
    crowd = [replace(one, id=1000 + k, shape=replace(one.shape, x_m=one.shape.x_m + 500.0 * k)) for k in range(60)]
    figure = plot_tracks(gaussians, [*cells[:-1], crowd], [], CellConfig(threshold_dbz=40.0))
    figure.canvas.draw()
    (axes, *_) = figure.axes
    names = [text for text in axes.texts if text.get_text().isdigit()]
    boxes = [Text.get_window_extent(name) for name in names]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    assert 20 < len(names) < 60
    assert any(f"60 cells, {60 - len(names)} without room for a number" in t.get_text() for t in axes.texts)
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "hull of a cell: at least 40 dBZ, 20 km²" in told and "no echo (below 5 dBZ)" in told


def test_a_map_without_a_cell_says_so() -> None:
    dry = moving_cells(GRID, cells=1, peak_dbz=20.0)
    gaussians = fit_sequence(dry, FitConfig(gaussians=32))
    figure = plot_tracks(gaussians, track_cells(gaussians), [])
    assert any("0 cells" in text.get_text() for text in figure.axes[0].texts)
    figure.canvas.draw()
