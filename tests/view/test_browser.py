"""The page in a browser: it opens, time and levels move the picture, 3D draws, keys work, nothing complains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser as browsers
import numpy as np
import pytest
from browser import Visit
from helpers import moving_cells, small_grid

from nowcast.types import Forecast
from nowcast.view import contents_of, page_of, view_json


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browsers.chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three observed and three forecast frames, two of these observed later, of three members."""
    volumes = moving_cells(small_grid((8, 40, 48)), (20.0, 8.0), steps=6, peak_dbz=62.0)
    leads = volumes.times[3:] - volumes.times[2]
    values = np.stack([np.where(volumes.reflectivity[3:] > 5, volumes.reflectivity[3:] - k, 0) for k in range(3)])
    forecast = Forecast(volumes.times[2], leads, values, volumes.grid, "gaumamba", control=values[0])
    file: Path = tmp_path_factory.mktemp("view") / "page.html"
    file.write_text(page_of(view_json(contents_of("a storm", forecast, volumes.select(slice(0, 5)))), "a storm"))
    return file.as_uri()


@pytest.fixture
def visit(chromium: Any, address: str) -> Iterator[Visit]:
    made = Visit(chromium, address)
    yield made
    assert made.complaints == []
    assert made.fetched == [address]
    made.page.context.close()


def test_time_moves_the_picture(visit: Visit) -> None:
    assert visit.said("frame") == "2" and visit.said("source") == "observed"
    before, storm = visit.pixels("#map"), visit.pixels("#storm")
    visit.page.locator("#frame-slider").fill("5")
    assert visit.said("frame") == "5" and visit.said("source") == "forecast"
    assert visit.pixels("#map") != before and visit.pixels("#storm") != storm
    assert visit.page.inner_text("#mark") == "FORECAST +30 min"
    visit.shot("forecast")


def test_what_is_not_defined_at_a_time_is_not_drawn_as_not_observed(visit: Visit) -> None:
    """Rain since the initial time before it."""
    grey = """() => {
      const canvas = document.querySelector("#map");
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      let found = 0;
      for (let k = 0; k < data.length; k += 4) found += data[k] === 201 && data[k + 1] === 201 && data[k + 2] === 201;
      return found / (data.length / 4);
    }"""
    visit.page.select_option("#product", "amount")
    visit.page.locator("#frame-slider").fill("1")
    visit.pixels("#map")
    assert visit.said("source") == "observed" and visit.page.evaluate(grey) < 0.01


def test_3d_draws_and_turns(visit: Visit) -> None:
    before = visit.pixels("#storm")
    assert before[1] > 100
    box = visit.page.locator("#storm").bounding_box()
    visit.page.mouse.move(box["x"] + 200, box["y"] + 150)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + 320, box["y"] + 190)
    visit.page.mouse.up()
    turned = visit.pixels("#storm")
    assert turned != before
    visit.page.select_option("#style", "cloud")
    assert visit.pixels("#storm") != turned
    visit.page.locator("#least").fill("60")
    assert "60 dBZ" in visit.page.inner_text("#storm-text")


def test_levels_and_products_change_the_map(visit: Visit) -> None:
    visit.page.keyboard.press("ArrowUp")
    seen = [visit.pixels("#map")]
    assert visit.page.inner_text("#level-text") == "3 km"
    for _ in range(4):
        visit.page.keyboard.press("ArrowUp")
    seen.append(visit.pixels("#map"))
    assert visit.page.inner_text("#level-text") == "7 km"
    for product in ("top30", "vil", "rain"):
        visit.page.select_option("#product", product)
        seen.append(visit.pixels("#map"))
    assert len({tuple(digest) for digest in seen}) == len(seen)


def test_an_ensemble_has_its_mean_and_its_probabilities(visit: Visit) -> None:
    visit.page.keyboard.press("End")
    visit.page.select_option("#product", "mean-column")
    assert visit.said("source") == "mean"
    visit.page.select_option("#product", "chance45")
    assert "members" in visit.page.inner_text("#legend")
    assert visit.pixels("#map")[1] > 4


def test_a_click_shows_the_column(visit: Visit) -> None:
    assert visit.page.is_hidden("#column")
    visit.page.click("#map", position={"x": 200, "y": 220})
    assert visit.page.is_visible("#column")
    assert "°S" in visit.page.inner_text("#column-title")
    assert visit.pixels("#profile")[1] > 2 and visit.pixels("#history")[1] > 2


def test_play_goes_on_and_stops(visit: Visit) -> None:
    visit.page.select_option("#speed", "200")
    visit.page.locator("#speed").blur()
    visit.page.keyboard.press("Space")
    visit.page.wait_for_selector("body[data-frame='4']")
    visit.page.keyboard.press("Space")
    stopped = visit.said("frame")
    visit.page.wait_for_timeout(500)
    assert visit.said("frame") == stopped


def test_observed_takes_the_place_of_the_forecast(visit: Visit) -> None:
    visit.page.locator("#frame-slider").fill("4")
    forecast = visit.pixels("#map")
    visit.page.check("#seen")
    assert visit.said("source") == "observed" and visit.pixels("#map") == forecast
    assert visit.page.inner_text("#mark") == "OBSERVED"


def test_missing_looks_different_from_no_echo(visit: Visit) -> None:
    for theme in ("light", "dark"):
        colours = visit.page.evaluate(
            "[...document.querySelectorAll('#key i')].map((key) => getComputedStyle(key).backgroundColor)"
        )
        assert len(set(colours)) == 2, theme
        visit.page.click("#theme")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(chromium: Any, address: str, scheme: str) -> None:
    visit = Visit(chromium, address, 390, 844, color_scheme=scheme, device_scale_factor=2)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    dark = visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 28)"
    assert dark == (scheme == "dark")
    visit.page.keyboard.press("End")
    visit.shot(f"phone-{scheme}")
    assert visit.complaints == []
