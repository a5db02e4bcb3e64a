"""The fit on a CUDA device, against that on the CPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import moving_cells, small_grid

from nowcast.gaussians import FitConfig, continue_fit, extend_fit, fit_sequence, reconstruction_scores
from nowcast.gaussians.device import FIELDS_HELD

pytestmark = pytest.mark.gpu
GRID = small_grid((20, 128, 128), 1500.0)
SOME = FitConfig(gaussians=1024, device="cuda")
PARTS = ("means", "log_scales", "quats", "intensities", "velocities")


@pytest.fixture(autouse=True)
def device() -> None:
    pytest.importorskip("triton", reason="triton cannot be imported", exc_type=ImportError)
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.mark.parametrize("several", [False, True])
def test_as_good_as_on_the_cpu_and_the_same_bits_again(several: bool) -> None:
    volumes = moving_cells(GRID)
    if several:
        zdr = np.where(volumes.reflectivity > 8, 0.05 * volumes.reflectivity, np.nan).astype(np.float32)
        values = np.stack([volumes.reflectivity, zdr], axis=1)
        volumes = replace(volumes, values=values, channels=("reflectivity", "zdr"))
    fitted = fit_sequence(volumes, SOME)
    again = fit_sequence(volumes, SOME)
    assert all(torch.equal(getattr(fitted, name), getattr(again, name)) for name in PARTS)
    on_cpu = fit_sequence(volumes, replace(SOME, device="cpu"))
    ours, theirs = (reconstruction_scores(f, volumes)["psnr_db"] for f in (fitted, on_cpu))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=0.5)  # rounding moves seeds


def test_the_memory_is_what_is_told() -> None:
    volumes = moving_cells(small_grid((36, 256, 256), 1000.0))
    torch.cuda.reset_peak_memory_stats()
    fit_sequence(volumes, replace(SOME, gaussians=4096))
    told = 4 * volumes.values[0].size * (2 * len(volumes) + FIELDS_HELD)
    assert torch.cuda.max_memory_allocated() < told + 2**29  # the lists of tiles
    assert torch.cuda.memory_reserved() < 2**28  # the rest is given back


def test_warm_starts_and_extensions() -> None:
    volumes = moving_cells(GRID, steps=5)
    first = fit_sequence(volumes.select(slice(0, 4)), SOME)
    for fitted, seen in (
        (extend_fit(first, volumes, SOME), volumes),
        (continue_fit(first, volumes.select(slice(1, 5)), SOME), volumes.select(slice(1, 5))),
    ):
        assert reconstruction_scores(fitted, seen)["psnr_db"][-1] > 38
