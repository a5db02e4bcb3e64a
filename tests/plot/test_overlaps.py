"""In no picture does a word lie on another, or leave the picture."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from helpers import moving_cells, small_grid
from matplotlib.figure import Figure
from plot_cases import forecast_of, words

from nowcast.cells import track_cells
from nowcast.gaussians import FitConfig, fit_sequence
from nowcast.plot import (
    plot_differences,
    plot_gaussians,
    plot_levels,
    plot_map,
    plot_panels,
    plot_probabilities,
    plot_section,
    plot_tracks,
)
from nowcast.plot.products import plot_product
from nowcast.plot.scene import plot_scene
from nowcast.products import ProductConfig
from nowcast.products.files import read_products, write_products
from nowcast.types import GaussianSequence

VOLUMES = replace(moving_cells(small_grid((8, 60, 72)), steps=10), radars=("a", "b", "c"))
FORECAST = forecast_of(VOLUMES, 3, leads=6, method="extrapolation")
ENSEMBLE = replace(FORECAST, values=np.repeat(FORECAST.values, 3, axis=0))


@pytest.fixture(scope="module")
def fitted() -> GaussianSequence:
    return fit_sequence(VOLUMES.select(slice(0, 3)), FitConfig(gaussians=256))


def check(figure: Figure) -> None:
    found = words(figure)
    assert len(found) > 5
    width, height = figure.bbox.size
    out = [text for text, box in found if min(box.x0, box.y0) < 0 or box.x1 > width or box.y1 > height]
    over = [(a, b) for (a, first), (b, second) in combinations(found, 2) if first.overlaps(second)]
    assert (out, over) == ([], [])


def test_pictures_of_volumes_and_forecasts() -> None:
    check(plot_map(VOLUMES))
    check(plot_map(FORECAST, level_m=3000.0))
    check(plot_levels(VOLUMES))
    check(plot_section(FORECAST, [0, 5], observed=VOLUMES))
    check(plot_panels([FORECAST, replace(FORECAST, method="gaumamba")], VOLUMES))
    check(plot_differences(FORECAST, VOLUMES))
    check(plot_probabilities(ENSEMBLE, 35.0))


def test_pictures_of_products(tmp_path: Path) -> None:
    write_products(FORECAST, tmp_path / "p.nc", ProductConfig(names=("rain_accumulation", "echo_top", "vil")))
    file = read_products(tmp_path / "p.nc")
    for field in file.fields:
        check(plot_product(file, field))


def test_pictures_of_gaussians(fitted: GaussianSequence) -> None:
    check(plot_gaussians(fitted))
    check(plot_gaussians(fitted, VOLUMES))
    check(plot_scene(fitted))
    check(plot_tracks(fitted, track_cells(fitted), []))
