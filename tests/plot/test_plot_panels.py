"""Panels of observed against forecast by lead, and of a sequence by time."""

from __future__ import annotations

from dataclasses import replace

import helpers
import numpy as np
import pytest
from matplotlib.figure import Figure
from plot_cases import forecast_of, strips

from nowcast.errors import UsageError
from nowcast.plot import leads_of, plot_panels, plot_times
from nowcast.plot.frames import match_tolerance_s
from nowcast.types import VolumeSequence


def cells(steps: int = 8) -> VolumeSequence:
    return helpers.moving_cells(helpers.small_grid((4, 16, 18)), steps=steps)


def names(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def test_observed_and_forecast_stand_above_each_other_by_valid_time() -> None:
    sequence = cells()
    said = strips(plot_panels(forecast_of(sequence, 3), sequence))
    assert said == [
        *(f"00:{minute} UTC" for minute in (40, 50)),
        *("01:00 UTC", "01:10 UTC"),
        *("+10 min · 00:40 UTC", "+20 min · 00:50 UTC", "+30 min · 01:00 UTC", "+40 min · 01:10 UTC"),
    ]


def test_several_methods_have_a_row_each() -> None:
    sequence = cells()
    both = [forecast_of(sequence, 3), forecast_of(sequence, 3, method="gaumamba")]
    figure = plot_panels(both, sequence, leads=[0, 3])
    assert len(strips(figure)) == 6
    assert {"Observed", "Forecast\npersistence", "Forecast\ngaumamba"} <= set(names(figure))


def test_a_missing_observation_is_said() -> None:
    sequence = cells().select([0, 1, 2, 3, 4, 6, 7])
    assert strips(plot_panels(forecast_of(cells(), 3), sequence))[1] == "no volume"


def test_a_neighbouring_volume_does_not_stand_for_a_missing_one() -> None:
    forecast = forecast_of(cells(), 3)
    assert match_tolerance_s(forecast) == 180.0
    assert match_tolerance_s(replace(forecast, lead_times=forecast.lead_times // 2)) == 90.0
    assert match_tolerance_s(forecast_of(cells(), 3, leads=1)) == 180.0


def test_a_forecast_just_made_stands_under_the_newest_observations() -> None:
    sequence = cells(3)
    figure = plot_panels(forecast_of(sequence, 2, leads=8), sequence)
    said = strips(figure)
    assert said[:3] == ["00:00 UTC", "00:10 UTC", "00:20 UTC"]
    assert len(said) == 3 + 6 and said[-1] == "+80 min · 01:40 UTC"
    assert "Observed so far" in names(figure)
    assert len(strips(plot_panels(forecast_of(sequence, 2)))) == 4


def test_one_lead_dry_and_missing_draw() -> None:
    sequence = cells(2)
    dry = replace(sequence, values=np.zeros_like(sequence.values))
    missing = replace(sequence, values=np.full_like(sequence.values, np.nan), mask=np.zeros_like(sequence.mask))
    for volumes in (sequence, dry, missing):
        assert len(strips(plot_panels(forecast_of(volumes, 0, leads=1), volumes, level_m=2000.0))) == 2


def test_forecasts_of_different_times_do_not_mix() -> None:
    sequence = cells()
    with pytest.raises(UsageError, match="different initial times"):
        plot_panels([forecast_of(sequence, 2), forecast_of(sequence, 3)])
    with pytest.raises(UsageError, match="no forecast"):
        plot_panels([])


def test_observations_on_another_grid_are_drawn_in_the_view_of_the_forecast() -> None:
    sequence = cells()
    wide = helpers.moving_cells(helpers.small_grid((4, 30, 30)), steps=8)
    figure = plot_panels(forecast_of(sequence, 3), wide)
    figure.canvas.draw()
    limits = {tuple(axes.get_xlim()) for axes in figure.axes if axes.images}
    assert len(limits) == 1


@pytest.mark.parametrize("steps", [1, 3, 4, 5, 7, 14])
def test_times_of_a_sequence(steps: int) -> None:
    assert len(strips(plot_times(cells(steps)))) == min(steps, 12)


def test_leads_are_found_by_minutes() -> None:
    forecast = forecast_of(cells(), 0)
    assert leads_of(forecast.lead_times, [10, 40]) == [0, 3]
    with pytest.raises(UsageError, match="choose among 10, 20, 30, 40"):
        leads_of(forecast.lead_times, [15])
