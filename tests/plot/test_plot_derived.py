"""Maps of a forecast's error and of an ensemble's probabilities."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import helpers
import numpy as np
import pytest
from plot_cases import colour_at, forecast_of, strips

from nowcast.errors import UsageError
from nowcast.plot import Choices, forecast_pictures, kinds_of, plot_differences, plot_probabilities, target_of
from nowcast.plot.style import NO_ECHO, NOT_OBSERVED, QUANTITIES, difference_scale, drawn_colours, quantity_scale


def test_a_difference_is_forecast_minus_observed_where_both_are_known() -> None:
    sequence = helpers.moving_cells(helpers.small_grid((4, 16, 18)), steps=8)
    sequence.values[:] = 30.0
    sequence.values[4, 0, :, :, :9] = 23.0
    sequence.values[4, 0, :, :3], sequence.mask[4, :, :3] = np.nan, False
    forecast = forecast_of(sequence, 3)
    grid = sequence.grid
    figure = plot_differences(forecast, sequence.select([3, 4, 6]), leads=[0, 1, 2])
    assert strips(figure) == ["+10 min · 00:40 UTC", "+30 min · 01:00 UTC"], "the lead that nobody saw is left out"
    (more,) = drawn_colours(difference_scale(), [7.0])
    at = grid.x[3] / 1e3, grid.x[14] / 1e3
    assert colour_at(figure, at[0], 5.0) == more and colour_at(figure, at[1], 5.0) == NO_ECHO
    assert colour_at(figure, at[1], grid.y[1] / 1e3) == NOT_OBSERVED
    with pytest.raises(UsageError, match="--obs"):
        plot_differences(forecast, sequence.select([0, 1]))


def test_a_probability_is_the_share_of_the_members() -> None:
    sequence = helpers.moving_cells(helpers.small_grid((4, 16, 18)), steps=8)
    one = forecast_of(sequence, 3)
    values = np.repeat(np.zeros_like(one.values), 4, axis=0)
    values[:3, :, 1, :, :9] = 40.0
    values[:, :, :, :3] = np.nan
    ensemble = replace(one, values=values)
    figure = plot_probabilities(ensemble, 40.0)
    (three_quarters,) = drawn_colours(quantity_scale(QUANTITIES["share"], "probability"), [75.0])
    x, y = sequence.grid.x / 1e3, sequence.grid.y / 1e3
    assert colour_at(figure, x[3], 5.0) == three_quarters and colour_at(figure, x[14], 5.0) == NO_ECHO
    assert colour_at(figure, x[14], y[1]) == NOT_OBSERVED
    assert colour_at(plot_probabilities(ensemble, 40.0, level_m=sequence.grid.z[0]), x[3], 5.0) == NO_ECHO
    with pytest.raises(UsageError, match="--members"):
        plot_probabilities(one, 40.0)


def test_all_pictures_are_those_that_there_can_be(tmp_path: Path) -> None:
    sequence = helpers.moving_cells(helpers.small_grid((3, 12, 12)), steps=6)
    one = forecast_of(sequence, 3, leads=2)
    two = replace(one, values=np.repeat(one.values, 2, axis=0))
    assert "difference" not in kinds_of(two, None) and "probability" not in kinds_of(one, sequence)
    assert {"difference", "probability"} <= set(kinds_of(two, sequence))
    paths = forecast_pictures(two, sequence, ["difference", "probability"], target_of(tmp_path, "f"), Choices())
    assert [path.name for path in paths] == ["f-difference.png", "f-probability.png"]
    with pytest.raises(UsageError, match="--obs"):
        forecast_pictures(one, None, ["difference"], target_of(tmp_path, "f"))
