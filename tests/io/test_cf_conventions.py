"""The compliance checker of IOOS finds nothing against CF in any kind of NetCDF file that is written."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import helpers
import numpy as np
import pytest
import torch

from nowcast.io.forecasts import write_forecast
from nowcast.io.gaussians import write_windows
from nowcast.io.volumes import write_volumes
from nowcast.pipeline.convert import ConvertRequest, convert
from nowcast.products import ProductConfig
from nowcast.products.files import write_products
from nowcast.types import FittedWindow, Forecast, GaussianSequence, VolumeSequence

WITH_HAIL = ProductConfig(isotherms_m=(2500.0, 5500.0))
KNOWN = (
    'units for zdr, "dB" are not recognized',  # CfRadial's unit, which UDUNITS has no word for
    "echo_top's spatio-temporal dimensions are not in the recommended order",  # time first, as everywhere
)


@pytest.fixture(scope="module")
def complaints() -> Callable[[Path], list[str]]:
    """What the checker says against a file, its mildest remarks included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checker's own dependencies
        runner = pytest.importorskip("compliance_checker.runner")
        runner.CheckSuite.load_all_available_checkers()

    def check(path: Path) -> list[str]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            suite = runner.CheckSuite()
            dataset = suite.load_dataset(str(path))
            found, failed = suite.run_all(dataset, ["cf:1.11"])["cf:1.11"]
            dataset.close()
        assert not failed, failed
        told = [message for result in found for message in _messages(result)]
        return [message for message in told if not any(known in message for known in KNOWN)]

    return check


def _messages(result: Any) -> list[str]:
    passed, of = result.value if isinstance(result.value, tuple) else (bool(result.value), 1)
    return [f"{result.name}: {message}" for message in result.msgs if passed < of]


def volumes() -> VolumeSequence:
    """Cells with two channels, a part not observed, of two radars of which one was missing once."""
    seq = helpers.moving_cells(helpers.small_grid((8, 20, 24)))
    values = np.stack([seq.reflectivity, 0.04 * seq.reflectivity], axis=1)
    values[:, :, :, :5, :5] = np.nan
    mask = np.isfinite(values[:, 0])
    coverage, missing = mask.any(axis=0), ((), ("b",), (), ())
    return replace(
        seq,
        values=values,
        mask=mask,
        channels=("reflectivity", "zdr"),
        sources=tuple("abcd"),
        coverage=coverage,
        radars=("a", "b"),
        missing=missing,
    )


def forecast(members: int) -> Forecast:
    seq = volumes()
    values = np.repeat(seq.reflectivity[None], members, axis=0)
    leads = (np.arange(1, 5) * 600e9).astype("timedelta64[ns]")
    control = values[0] if members > 1 else None
    return Forecast(seq.times[-1], leads, values, seq.grid, "test", {"version": "1"}, control)


def windows() -> list[FittedWindow]:
    seq = volumes()
    shapes = {"means": 3, "log_scales": 3, "quats": 4, "intensities": 2, "velocities": 3}
    tensors = {name: torch.rand(len(seq), 6, width) for name, width in shapes.items()}
    gaussians = GaussianSequence(**tensors, ids=torch.arange(6), times=seq.times, grid=seq.grid, channels=seq.channels)
    return [FittedWindow(gaussians, 2, "storm", seq)]


WRITERS: dict[str, Callable[[Path], object]] = {
    "volumes": lambda path: write_volumes(volumes(), path, facts={"version": "1"}, history="test"),
    "forecast": lambda path: write_forecast(forecast(1), path),
    "ensemble": lambda path: write_forecast(forecast(3), path),
    "products": lambda path: write_products(volumes(), path, WITH_HAIL),
    "products of a forecast": lambda path: write_products(forecast(1), path, WITH_HAIL),
    "products of an ensemble": lambda path: write_products(forecast(2), path, ProductConfig(names=("cappi", "vil"))),
    "gaussians": lambda path: write_windows(windows(), path),
}


@pytest.mark.parametrize("code", ["EPSG:4326", "EPSG:3577", "EPSG:32755", "EPSG:3112"])
def test_files_on_other_maps_keep_to_them(tmp_path: Path, code: str, complaints: Callable[[Path], list[str]]) -> None:
    write_forecast(forecast(1), tmp_path / "f.nc")
    convert(ConvertRequest(tmp_path / "f.nc", tmp_path / "g.nc", crs=code))
    assert complaints(tmp_path / "g.nc") == []


@pytest.mark.parametrize("kind", WRITERS)
def test_files_keep_to_the_conventions(tmp_path: Path, kind: str, complaints: Callable[[Path], list[str]]) -> None:
    WRITERS[kind](tmp_path / "f.nc")
    assert complaints(tmp_path / "f.nc") == []
