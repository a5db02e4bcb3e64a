"""Vertical sections: they show the voxels that the line crosses, in the map's colours."""

from __future__ import annotations

from dataclasses import replace

import helpers
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from nowcast.errors import UsageError
from nowcast.plot import Line, plot_map, plot_section
from nowcast.plot.frames import frame_of
from nowcast.plot.sections import default_line, sample_section
from nowcast.plot.style import NOT_OBSERVED, class_colours, drawn_colours, reflectivity_scale
from nowcast.types import Forecast, VolumeSequence


def cells() -> VolumeSequence:
    return helpers.moving_cells(helpers.small_grid((6, 24, 30)), steps=3)


def forecast_of(sequence: VolumeSequence, leads: int = 3) -> Forecast:
    values = np.repeat(sequence.reflectivity[:1], leads, axis=0)[None]
    times = np.timedelta64(600_000_000_000, "ns") * np.arange(1, leads + 1)
    return Forecast(sequence.times[0], times, values, sequence.grid, "persistence")


def image_colours(axes) -> set[str]:  # type: ignore[no-untyped-def]
    (image,) = axes.images
    return set(drawn_colours(reflectivity_scale(), np.ma.filled(image.get_array(), np.nan)))


def test_a_section_along_a_row_is_that_row() -> None:
    sequence = cells()
    grid, field = sequence.grid, sequence.reflectivity[0]
    x = grid.x / 1e3
    y = float(grid.y[7]) / 1e3
    section = sample_section(field, grid, Line(x[0] - 1.25, y, x[-1] + 1.25, y))
    # Points are half a voxel apart, so that each voxel comes twice.
    np.testing.assert_array_equal(section, np.repeat(field[:, 7], 2, axis=1))


def test_a_section_backwards_is_mirrored_and_outside_is_not_observed() -> None:
    sequence = cells()
    grid, field = sequence.grid, sequence.reflectivity[0]
    there, back = Line(-20.0, -11.0, 33.0, 22.0), Line(33.0, 22.0, -20.0, -11.0)
    np.testing.assert_array_equal(sample_section(field, grid, there), sample_section(field, grid, back)[:, ::-1])
    beyond = sample_section(field, grid, Line(0.0, 0.0, 1000.0, 0.0))
    assert np.isfinite(beyond[:, 0]).all() and np.isnan(beyond[:, -1]).all()


def test_default_line_crosses_the_deepest_echo() -> None:
    grid = helpers.small_grid((6, 24, 30))
    storm = helpers.moving_cells(grid, cells=1, steps=1, seed=4)
    core = storm.reflectivity[0].mean(axis=0)
    row, column = np.unravel_index(core.argmax(), core.shape)
    # One strong pixel elsewhere, such as clutter, does not attract the line.
    storm.values[0, 0, 0, (row + 12) % 24, 3] = 75.0
    line = default_line(frame_of(storm, 0))
    assert line.y0 == line.y1 == pytest.approx(grid.y[row] / 1e3, abs=2.6)
    assert line.x0 <= grid.x[column] / 1e3 <= line.x1
    nothing = replace(storm, values=np.full_like(storm.values, np.nan), mask=np.zeros_like(storm.mask))
    middle = default_line(frame_of(nothing))
    assert middle.length_km == pytest.approx(75.0) and abs(middle.y0) < 2.6


def test_map_and_section_have_the_same_classes() -> None:
    sequence = cells()
    sequence.values[..., :4] = np.nan
    sequence.mask[..., :4] = False
    known = set(class_colours(reflectivity_scale()))
    section = plot_section(sequence, [0])
    on_map, in_section = image_colours(section.axes[0]), image_colours(section.axes[1])
    assert on_map == image_colours(plot_map(sequence, 0).axes[0])
    assert len(in_section) > 5 and on_map | in_section <= known and NOT_OBSERVED in on_map


def test_below_the_lowest_level_is_drawn_as_not_observed() -> None:
    figure = plot_section(cells(), [0], line=Line(-30.0, 0.0, 30.0, 0.0))
    figure.canvas.draw()
    section = figure.axes[1]
    # The grid starts at 0.5 km (its lowest level is 1 km, levels are 1 km apart).
    column, row = section.transData.transform((31.0, 0.3))
    drawn = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    assert to_hex(drawn[drawn.shape[0] - 1 - int(row), int(column)] / 255.0) == NOT_OBSERVED


def test_sections_of_a_forecast_beside_observed_ones() -> None:
    sequence = cells()
    figure = plot_section(forecast_of(sequence), [0, 1, 2], observed=sequence)
    figure.canvas.draw()
    assert len(figure.axes) == 1 + 6 + 1  # map, sections, colour bar
    said = " ".join(text.get_text() for axes in figure.axes for text in axes.texts)
    assert len({axes.get_ylim() for axes in figure.axes[1:7]}) == 1
    # There is no volume at +30 min: the cell says so and stays empty.
    assert said.count("FORECAST") == 4 and "no volume" in said


def test_of_an_ensemble_it_is_the_best_forecast_that_is_cut() -> None:
    volumes = helpers.moving_cells(helpers.small_grid(), steps=3)
    leads = np.timedelta64(600_000_000_000, "ns") * np.arange(1, 3)
    members = np.stack([volumes.reflectivity[1:], volumes.reflectivity[1:]])
    forecast = Forecast(volumes.times[0], leads, members, volumes.grid, "gaumamba", control=members[0])
    words = [text.get_text() for text in plot_section(forecast).findobj(Text)]
    assert any("method gaumamba ·" in word for word in words) and not any("member" in word for word in words)
    assert any("member 2 of 2" in text.get_text() for text in plot_section(forecast, member=1).findobj(Text))


@pytest.mark.parametrize("shape", [(1, 12, 12), (6, 12, 12)])
def test_sections_of_dry_and_missing_volumes_draw(shape: tuple[int, int, int]) -> None:
    sequence = helpers.moving_cells(helpers.small_grid(shape), steps=1)
    dry = replace(sequence, values=np.zeros_like(sequence.values))
    missing = replace(sequence, values=np.full_like(sequence.values, np.nan), mask=np.zeros_like(sequence.mask))
    for volumes in (sequence, dry, missing):
        plot_section(volumes).canvas.draw()


def test_impossible_lines_are_refused() -> None:
    with pytest.raises(UsageError, match="no length"):
        Line(1.0, 2.0, 1.0, 2.0)
    with pytest.raises(UsageError, match="no length"):
        Line(0.0, 0.0, float("nan"), 1.0)
    with pytest.raises(UsageError, match="does not cross the grid"):
        plot_section(cells(), line=Line(30_000.0, 0.0, 60_000.0, 0.0))
