"""The map of storm cells: outlines, tracks so far and tracks to come stand where the cells are and go."""

from __future__ import annotations

import numpy as np
from helpers import moving_cells, small_grid
from matplotlib.collections import LineCollection, PatchCollection

from nowcast.cells import forecast_tracks, track_cells
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
    assert {text.get_text() for text in axes.texts} >= {str(cell.id) for cell in cells[-1]}
    figure.canvas.draw()


def test_a_map_without_a_cell_says_so() -> None:
    dry = moving_cells(GRID, cells=1, peak_dbz=20.0)
    gaussians = fit_sequence(dry, FitConfig(gaussians=32))
    figure = plot_tracks(gaussians, track_cells(gaussians), [])
    assert any("0 cells" in text.get_text() for text in figure.axes[0].texts)
    figure.canvas.draw()
