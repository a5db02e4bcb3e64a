"""Maps, levels and their colours."""

from __future__ import annotations

from dataclasses import replace

import helpers
import numpy as np
import pytest
from plot_cases import colour_at, pixels

from nowcast.errors import UsageError
from nowcast.plot import plot_levels, plot_map
from nowcast.plot.coastline import coastlines
from nowcast.plot.frames import frame_of, origin_text, peak_text, spread_indices
from nowcast.plot.graticule import graticule, to_degrees, to_km
from nowcast.plot.layout import Sheet
from nowcast.plot.maps import extent_km, nearest_level
from nowcast.plot.style import LEVELS_DBZ, NO_ECHO, NOT_OBSERVED, class_colours, drawn_colours, reflectivity_scale
from nowcast.types import Forecast, GridSpec, VolumeSequence


def wet() -> VolumeSequence:
    return helpers.moving_cells(helpers.small_grid((6, 24, 30)), steps=2)


def dry() -> VolumeSequence:
    sequence = wet()
    return replace(sequence, values=np.zeros_like(sequence.values))


def missing() -> VolumeSequence:
    sequence = wet()
    return replace(sequence, values=np.full_like(sequence.values, np.nan), mask=np.zeros_like(sequence.mask))


def one_level() -> VolumeSequence:
    return helpers.moving_cells(helpers.small_grid((1, 24, 30)), steps=1)


def half_observed() -> VolumeSequence:
    """Nothing observed in the western half, no echo anywhere else but 52 dBZ in the north-east quarter."""
    sequence = wet()
    values, mask = np.zeros_like(sequence.values), np.ones_like(sequence.mask)
    values[..., 12:, 15:] = 52.0
    mask[..., :15] = False
    values[..., :15] = np.nan
    return replace(sequence, values=values, mask=mask)


def forecast_of(sequence: VolumeSequence, leads: int = 3) -> Forecast:
    """The newest volume, unchanged, for some leads of ten minutes."""
    values = np.repeat(sequence.reflectivity[-1:], leads, axis=0)[None]
    times = np.timedelta64(600_000_000_000, "ns") * np.arange(1, leads + 1)
    return Forecast(sequence.times[-1], times, values, sequence.grid, "persistence")


def test_titles_name_the_radars_as_far_as_they_are_known() -> None:
    volumes = wet()
    forecast = replace(forecast_of(volumes), provenance={"radars": ["behel", "bejab"]})
    many = replace(volumes, radars=tuple("abcdefg"))
    for source, named in ((forecast, "radars behel, bejab · origin"), (many, "7 radars · origin"), (volumes, "origin")):
        told = plot_map(source).texts[1].get_text().removeprefix("method persistence · ")
        assert told.startswith(named) and told.endswith(origin_text(volumes.grid))


@pytest.mark.parametrize("make", [wet, dry, missing, one_level, half_observed])
def test_every_kind_of_volume_draws_without_warnings(make) -> None:  # type: ignore[no-untyped-def]
    sequence = make()
    for figure in (plot_map(sequence), plot_map(sequence, 0, level_m=1000.0), plot_levels(sequence)):
        pixels(figure)
    pixels(plot_map(forecast_of(sequence), 1))


@pytest.mark.parametrize("palette", ["standard", "safe"])
def test_colours_tell_echo_no_echo_and_not_observed_apart(palette) -> None:  # type: ignore[no-untyped-def]
    figure = plot_map(half_observed(), palette=palette)
    scale = reflectivity_scale(palette)
    assert colour_at(figure, -25.0, 4.0) == NOT_OBSERVED
    assert colour_at(figure, 25.0, -13.0) == NO_ECHO
    assert [colour_at(figure, 25.0, 13.0)] == drawn_colours(scale, 52.0)
    colours = class_colours(scale)
    assert len(set(colours)) == len(colours) == len(LEVELS_DBZ) + 2


def test_each_class_of_5_dbz_has_one_colour() -> None:
    scale = reflectivity_scale()
    for low in LEVELS_DBZ:
        assert len(set(drawn_colours(scale, low + np.array([0.0, 2.0, 4.99])))) == 1
    assert drawn_colours(scale, [4.99, np.nan]) == [NO_ECHO, NOT_OBSERVED]
    with pytest.raises(UsageError, match="standard, safe"):
        reflectivity_scale("blue")  # type: ignore[arg-type]


def test_levels_are_found_and_refused_by_height() -> None:
    grid = helpers.small_grid((8, 10, 10))  # 1 to 8 km
    assert nearest_level(grid, 3400.0) == 2
    assert nearest_level(grid, 8500.0) == 7
    with pytest.raises(UsageError, match="1000 to 8000 m"):
        nearest_level(grid, 9000.0)
    assert len(plot_levels(wet(), levels_m=[1000.0, 2000.0, 4000.0, 6000.0]).axes) == 5  # and the colour bar


def test_headlines_name_times_origin_and_forecast() -> None:
    texts = [text.get_text() for text in plot_map(forecast_of(wet()), 2).findobj(lambda a: hasattr(a, "get_text"))]
    said = " ".join(texts)
    for words in ("FORECAST +30 min", "init 2020-01-01 00:10 UTC", "valid 2020-01-01 00:40 UTC", "27.60°S 152.50°E"):
        assert words in said
    assert "persistence" in said and "reflectivity [dBZ]" in said
    assert peak_text(frame_of(dry())) == "no echo"
    assert peak_text(frame_of(missing())) == "nothing observed"


def test_no_two_texts_overlap() -> None:
    for figure in (plot_map(forecast_of(wet())), plot_levels(wet())):
        figure.canvas.draw()
        boxes = [t.get_window_extent() for t in figure.texts if t.get_text()]
        boxes += [t.get_window_extent() for a in figure.axes for t in a.texts if t.get_text()]
        boxes += [a.xaxis.label.get_window_extent() for a in figure.axes if a.xaxis.label.get_text()]
        boxes += [legend.get_window_extent() for legend in figure.legends]
        for i, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[i + 1 :])
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1


def test_wrong_index_and_member_are_refused() -> None:
    with pytest.raises(UsageError, match="no frame 5"):
        plot_map(wet(), 5)
    with pytest.raises(UsageError, match="no member 1"):
        plot_map(forecast_of(wet()), member=1)


def test_spread_indices_keep_the_last() -> None:
    assert spread_indices(4, 6) == [0, 1, 2, 3]
    assert spread_indices(12, 6) == [1, 3, 5, 7, 9, 11]
    assert spread_indices(20, 3)[-1] == 19


def test_graticule_lies_where_the_projection_says() -> None:
    grid = helpers.small_grid((2, 80, 80))
    # One degree of latitude at 27.6 degrees is 110.8 km (WGS84).
    north = to_km(grid, np.array([152.5]), np.array([-26.6]))
    np.testing.assert_allclose(north, [[0.0, 110.8]], atol=0.1)
    lon, lat = to_degrees(grid, north[:, 0], north[:, 1])
    np.testing.assert_allclose([lon[0], lat[0]], [152.5, -26.6], atol=1e-9)
    names = {line.name for line in graticule(grid, extent_km(grid))}
    assert {"27°S", "28°S", "152°E", "153°E"} <= names


@pytest.mark.parametrize(("lat", "lon"), [(0.0, 0.0), (-17.0, 179.9), (70.0, -179.9), (89.5, 10.0)])
def test_graticule_anywhere_on_earth(lat: float, lon: float) -> None:
    grid = GridSpec(lat, lon, (1, 60, 60), (1000.0, -147_500.0, -147_500.0), (500.0, 5000.0, 5000.0))
    for line in graticule(grid, extent_km(grid)):
        # No line may jump across the map, as it would where longitudes wrap.
        assert np.abs(np.diff(line.points_km, axis=0)).max() < 40.0


def test_coasts_and_borders_are_where_they_are() -> None:
    grid = helpers.small_grid((2, 41, 42))
    for lon, lat in ((153.55, -28.165), (153.467, -27.03), (152.0, -28.50)):  # two capes, and a border of two states
        place = to_km(grid, np.array([lon]), np.array([lat]))
        distance = min(np.hypot(*(_denser(line) - place).T).min() for line in coastlines(grid))
        assert distance < 4.0
    assert all(np.abs(line).max() < 1000.0 for line in coastlines(grid))
    pixels(plot_map(helpers.moving_cells(grid, steps=1)))


def _denser(line: np.ndarray) -> np.ndarray:
    """The line with points between its points."""
    at = np.linspace(0, len(line) - 1, 50 * len(line))
    return np.column_stack([np.interp(at, np.arange(len(line)), values) for values in line.T])


@pytest.mark.parametrize(("lat", "lon"), [(-17.0, 179.9), (89.5, 10.0), (60.0, 360.0), (35.0, -97.0)])
def test_coasts_anywhere_on_earth(lat: float, lon: float) -> None:
    grid = GridSpec(lat, lon, (1, 60, 60), (1000.0, -147_500.0, -147_500.0), (500.0, 5000.0, 5000.0))
    assert all(np.isfinite(line).all() and np.abs(line).max() < 1500.0 for line in coastlines(grid))


def test_sheet_places_axes_in_inches() -> None:
    from nowcast.plot.layout import new_sheet

    sheet = new_sheet(4.0, 3.0)
    assert isinstance(sheet, Sheet)
    left, bottom, width, height = sheet.inner
    axes = sheet.axes(left, bottom, width, height)
    box = axes.get_window_extent()
    np.testing.assert_allclose([box.width, box.height], np.array([4.0, 3.0]) * sheet.figure.dpi, rtol=1e-6)
