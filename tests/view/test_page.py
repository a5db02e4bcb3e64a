"""What a page holds: the values that went in, missing apart from no echo, little room, and nothing that escapes."""

from __future__ import annotations

import base64
import json
import re
import zlib
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from helpers import moving_cells, small_grid
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nowcast.errors import InputError, UsageError
from nowcast.io.forecasts import write_forecast
from nowcast.io.volumes import write_volumes
from nowcast.pipeline.view import view_contents, write_page
from nowcast.plot.style import class_colours, reflectivity_scale
from nowcast.products import column_maximum, make_products
from nowcast.types import Forecast, GridSpec, VolumeSequence
from nowcast.view import contents_of, page_of, view_json
from nowcast.view.codes import DBZ, MISSING, NOTHING, Coding, packed, unpacked
from nowcast.view.contents import CONFIG

GRID = small_grid((5, 20, 24))
STEP = np.timedelta64(600_000_000_000, "ns")


def observed(steps: int = 4, grid: GridSpec = GRID) -> VolumeSequence:
    """Cells, with a corner that was not observed."""
    volumes = moving_cells(grid, steps=steps)
    values, mask = volumes.values.copy(), volumes.mask.copy()
    mask[:, :, :4, :5] = False
    values[~mask[:, None]] = np.nan
    return VolumeSequence(values, mask, volumes.times, grid)


def forecast_from(volumes: VolumeSequence, leads: int = 3, members: int = 1, method: str = "gaumamba") -> Forecast:
    """The newest volume for ever, of each member a little stronger."""
    newest = volumes.reflectivity[-1]
    values = np.stack([np.where(newest > 5, newest + k, newest) for k in range(members)])[:, None].repeat(leads, axis=1)
    control = values[0] if members > 1 else None
    return Forecast(volumes.times[-1], STEP * np.arange(1, leads + 1), values, volumes.grid, method, control=control)


def held(text: str) -> dict:  # type: ignore[type-arg]
    """The data of a page."""
    return json.loads(re.search(r'<script type="application/json" id="view">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]


def volume_of(view: dict, source: str, frame: int) -> np.ndarray:  # type: ignore[type-arg]
    block = view["blocks"][view["sources"][source]["volumes"][frame]]
    return DBZ.decode(unpacked(block, DBZ)).reshape(view["grid"]["shape"])


@given(arrays(np.float32, 50, elements=st.one_of(st.just(np.nan), st.floats(0, 80, width=32))))
def test_codes_keep_values_to_a_step_and_tell_missing_from_no_echo(values: np.ndarray) -> None:
    codes = DBZ.encode(values)
    back = DBZ.decode(unpacked(packed(codes), DBZ))
    np.testing.assert_array_equal(np.isnan(back), np.isnan(values))
    assert (codes[values == 0] == NOTHING).all()
    np.testing.assert_array_equal(codes == MISSING, np.isnan(values))
    known = ~np.isnan(values)
    assert ((back <= values + 1e-3) & (values < back + 0.5))[known].all()


def test_codes_of_two_bytes_do_not_wrap() -> None:
    coding = Coding(0.02, 2)
    codes = coding.encode([0.0, 0.02, 100.0, 1e6, np.nan])
    assert codes.tolist() == [1, 2, 5001, 65535, 0]
    assert unpacked(packed(codes), coding).tolist() == codes.tolist()


def test_a_page_holds_what_was_observed_and_forecast() -> None:
    volumes = observed()
    view = held(page_of(view_json(contents_of("t", forecast_from(volumes), volumes)), "t"))
    assert view["leads"] == [-30, -20, -10, 0, 10, 20, 30]
    assert [block >= 0 for block in view["sources"]["observed"]["volumes"]] == [True] * 4 + [False] * 3
    for frame in range(4):
        expected = DBZ.decode(DBZ.encode(volumes.reflectivity[frame]))
        np.testing.assert_array_equal(volume_of(view, "observed", frame), expected)
    np.testing.assert_allclose(volume_of(view, "forecast", 6), volumes.reflectivity[-1], atol=0.5)


def test_products_of_a_page_are_those_of_the_program() -> None:
    volumes = observed()
    view = held(page_of(view_json(contents_of("t", None, volumes)), "t"))
    layers = {layer["key"]: layer for layer in view["layers"]}
    assert "amount" not in layers
    seconds = np.arange(4) * 600.0
    made = make_products(volumes.reflectivity, GRID, seconds, 0.0, CONFIG, ("vil", "echo_top"))
    for key, expected in (("vil", made["vil"][2]), ("top30", made["echo_top"][2, 1])):
        scale = view["scales"][layers[key]["scale"]]
        coding = Coding(**scale["coding"])
        block = view["blocks"][view["sources"]["observed"]["planes"][key][2]]
        found = coding.decode(unpacked(block, coding)).reshape(GRID.shape[1:])
        np.testing.assert_allclose(found, expected, atol=coding.step)


def test_an_ensemble_shows_mean_and_probabilities() -> None:
    volumes = observed()
    view = held(page_of(view_json(contents_of("t", forecast_from(volumes, members=5), volumes)), "t"))
    newest = volumes.reflectivity[-1]
    expected_mean = np.where(newest > 5, newest + 2, newest)
    np.testing.assert_allclose(volume_of(view, "mean", 5), expected_mean, atol=0.501)
    coding = Coding(**view["scales"]["share"]["coding"])
    chance = coding.decode(unpacked(view["blocks"][view["sources"]["forecast"]["planes"]["chance35"][5]], coding))
    top = np.stack([column_maximum(member[0]) for member in forecast_from(volumes, members=5).values])
    expected = np.where(np.isnan(top).any(axis=0), np.nan, (top >= 35).mean(axis=0))
    np.testing.assert_allclose(chance.reshape(expected.shape), expected, atol=0.005)


def test_the_colours_are_those_of_the_pictures() -> None:
    scale = held(page_of(view_json(contents_of("t", None, observed())), "t"))["scales"]["dbz"]
    for palette in ("standard", "safe"):
        assert scale["colours"][palette] == class_colours(reflectivity_scale(palette))[1:-1]
    assert len(scale["bounds"]) == len(scale["colours"]["safe"])


def test_observations_near_a_lead_time_share_its_frame() -> None:
    volumes = observed(6)
    late = VolumeSequence(volumes.values, volumes.mask, volumes.times + np.timedelta64(40, "s"), GRID)
    contents = contents_of("t", forecast_from(volumes.select(slice(0, 3)), leads=3), late)
    assert len(contents.times) == 6
    assert set(contents.sources["observed"].frames) >= set(contents.sources["forecast"].frames)


def test_what_files_say_of_themselves_stays_text() -> None:
    trap = "</script><script>alert(1)</script><!-- & \u2028"
    volumes = observed(2)
    text = page_of(view_json(contents_of(trap, forecast_from(volumes, method=trap), volumes, [trap])), trap)
    assert "alert(1)</script>" not in text and text.count("<script") == 2
    view = held(text)
    assert view["title"] == view["method"] == view["notes"][0] == trap


def test_a_page_asks_no_network() -> None:
    text = page_of(view_json(contents_of("t", None, observed(1))), "t")
    assert "://" not in text.split('id="view"')[0]
    assert "default-src 'none'" in text and "connect-src 'none'" in unescape(text)


def test_eighteen_frames_of_the_usual_grid_take_less_than_ten_megabytes(tmp_path: Path) -> None:
    grid = GridSpec(-27.6, 152.5, (29, 117, 117), (1000.0, -145e3, -145e3), (500.0, 2500.0, 2500.0))
    volumes = moving_cells(grid, steps=6, cells=14, peak_dbz=62.0)
    noise = np.random.default_rng(0).normal(0, 2, volumes.values.shape).astype(np.float32)
    rough = np.clip(np.where(volumes.values > 1, volumes.values + noise, 0), 0, 80)
    volumes = VolumeSequence(rough, volumes.mask, volumes.times, grid)
    size = write_page(contents_of("t", forecast_from(volumes, leads=12), volumes), tmp_path / "page.html")
    assert size == (tmp_path / "page.html").stat().st_size < 10e6
    view = held((tmp_path / "page.html").read_text())
    assert len(view["times"]) == 18
    assert len(zlib.decompress(base64.b64decode(view["blocks"][0]))) == 29 * 117 * 117


def test_files_become_a_page(tmp_path: Path) -> None:
    volumes = observed(6)
    write_volumes(volumes, tmp_path / "obs.nc")
    write_forecast(forecast_from(volumes.select(slice(0, 4)), leads=3), tmp_path / "fc.nc")
    contents = view_contents(tmp_path / "fc.nc", obs=tmp_path / "obs.nc")
    assert contents.leads == [-30, -20, -10, 0, 10, 20, 30]
    assert contents.sources["observed"].frames == (0, 1, 2, 3, 4, 5)
    assert view_contents(tmp_path / "obs.nc", frames=2).times.tolist() == volumes.times[-2:].tolist()


def test_what_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    volumes = observed(2)
    write_volumes(volumes, tmp_path / "obs.nc")
    write_forecast(forecast_from(volumes), tmp_path / "fc.nc")
    (tmp_path / "text.nc").write_text("no data")
    with pytest.raises(InputError, match=r"text\.nc"):
        view_contents(tmp_path / "text.nc")
    with pytest.raises(InputError, match=r"none\.nc does not exist"):
        view_contents(tmp_path / "none.nc")
    with pytest.raises(UsageError, match="--obs"):
        view_contents(tmp_path / "obs.nc", obs=tmp_path / "obs.nc")
    with pytest.raises(UsageError, match="--at"):
        view_contents(tmp_path / "fc.nc", at=volumes.times[0])
    other = observed(2, small_grid((5, 20, 26)))
    with pytest.raises(UsageError, match="another grid"):
        contents_of("t", forecast_from(volumes), other)
