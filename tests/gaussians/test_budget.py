"""The number of Gaussians follows the content, and the most important come first."""

from __future__ import annotations

import numpy as np
import torch
from helpers import moving_cells, small_grid

from nowcast.gaussians import FitConfig, extend_fit, fit_sequence, reconstruction_scores, with_idle
from nowcast.gaussians.sequences import importance
from nowcast.types import GaussianSequence, VolumeSequence

GRID = small_grid((6, 30, 36))
NEWEST = slice(-1, None)


def psnr(fitted: GaussianSequence, volumes: VolumeSequence) -> float:
    return float(reconstruction_scores(fitted.select(NEWEST), volumes.select(NEWEST))["psnr_db"][0])


def textured(roughness_db: float) -> VolumeSequence:
    """Cells with a texture on them that moves along."""
    volumes = moving_cells(GRID, steps=3)
    noise = np.random.default_rng(1).normal(0.0, roughness_db, GRID.shape).astype(np.float32)
    for t, values in enumerate(volumes.values[:, 0]):
        values[...] = np.where(values > 5, np.clip(values + np.roll(noise, t, axis=2), 0, 80), values)
    return volumes


def test_more_content_and_a_higher_target_take_more_gaussians() -> None:
    plain, rough = moving_cells(GRID, steps=3), textured(3.0)
    numbers = []
    for volumes, target in ((plain, 30.0), (plain, 42.0), (rough, 35.0)):
        fitted = fit_sequence(volumes, FitConfig(gaussians=3000, psnr_db=target))
        assert psnr(fitted, volumes) > target - 0.3
        assert bool((fitted.intensities != 0).any(dim=2).any(dim=0).all()), "one that never draws"
        numbers.append(len(fitted.ids))
    low, high, textured_cells = numbers
    assert low <= high < textured_cells < 3000


def test_the_cap_holds_and_dry_volumes_take_nothing() -> None:
    rough = textured(3.0)
    assert len(fit_sequence(rough, FitConfig(gaussians=100, psnr_db=60.0)).ids) <= 100
    rough.values[:] = 0.0
    config = FitConfig(gaussians=100, psnr_db=40.0)
    nothing = fit_sequence(rough.select(slice(0, 2)), config)
    assert len(nothing.ids) == 0
    assert extend_fit(nothing, rough, config).means.shape == (3, 0, 3)


def test_a_storm_that_is_over_is_drawn_where_it_was() -> None:
    rough = textured(3.0)
    rough.values[-1] = 0.0
    fitted = fit_sequence(rough, FitConfig(gaussians=2000, psnr_db=30.0))
    *wet, dry = reconstruction_scores(fitted, rough)["psnr_db"]
    assert min(wet) > 25.0 and dry > 40.0


def test_a_prefix_is_a_coarser_volume() -> None:
    volumes = textured(2.0)
    fitted = fit_sequence(volumes, FitConfig(gaussians=300))
    assert torch.equal(fitted.ids, torch.arange(300))
    newest = importance(fitted)[-1]
    assert (np.diff(newest) <= 0).all()
    scores = [psnr(fitted.take(torch.arange(count)), volumes) for count in (30, 75, 150, 300)]
    assert np.all(np.diff(scores) > 1.0)
    backwards = psnr(fitted.take(torch.arange(150, 300)), volumes)
    assert scores[2] > backwards + 3.0


def test_idle_ones_change_nothing_but_the_number() -> None:
    volumes = textured(2.0)
    fitted = fit_sequence(volumes, FitConfig(gaussians=60))
    more = with_idle(fitted, 80)
    assert len(more.ids) == 80 and more.ids.unique().numel() == 80
    assert psnr(more, volumes) == psnr(fitted, volumes)
    assert with_idle(more, 70) is more
