"""The fit on sequences with known answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers import moving_cells, real_data, small_grid
from motion_cases import displacement_error, steady

from nowcast.errors import ConfigError, InputError
from nowcast.gaussians import FitConfig, extend_fit, fit_sequence, reconstruction_scores, render
from nowcast.types import GaussianSequence, VolumeSequence

GRID = small_grid((6, 30, 36))
FEW = FitConfig(gaussians=96)
PARTS = ("means", "log_scales", "quats", "intensities", "velocities")


def same(a: GaussianSequence, b: GaussianSequence) -> bool:
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in (*PARTS, "ids"))


@pytest.mark.parametrize(("velocity", "shear"), [((10.0, 5.0), 0.0), ((-14.0, 9.0), 0.0), ((5.0, -5.0), 2e-3)])
def test_gaussians_follow_the_motion(velocity: tuple[float, float], shear: float) -> None:
    volumes = moving_cells(GRID, velocity, shear_per_s=shear)
    fitted = fit_sequence(volumes, FEW)
    assert displacement_error(fitted, steady(volumes, velocity, shear)) < 0.25
    assert min(reconstruction_scores(fitted, volumes)["psnr_db"]) > 45
    drawing = fitted.intensities[-1, :, 0].abs()
    mean = (drawing[:, None] * fitted.velocities[-1]).sum(0) / drawing.sum()
    height = (drawing * fitted.means[-1, :, 2]).sum() / drawing.sum() - 1000.0
    assert mean.tolist() == pytest.approx([velocity[0] + shear * float(height), velocity[1], 0.0], abs=0.6)
    assert not fitted.velocities[0].any()


def test_same_input_same_bits_for_any_number_of_threads() -> None:
    volumes = moving_cells(GRID)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        first = fit_sequence(volumes, FEW)
        torch.set_num_threads(3)
        assert same(first, fit_sequence(volumes, FEW))
    finally:
        torch.set_num_threads(threads)


def test_what_was_not_observed_counts_for_nothing() -> None:
    volumes = moving_cells(GRID)
    mask = volumes.mask.copy()
    mask[:, :, :, :14] = False
    values = np.where(mask[:, None], volumes.values, np.float32(np.nan))
    seen = replace(volumes, values=values, mask=mask)
    fitted = fit_sequence(seen, FEW)
    assert not fitted.means.isnan().any()
    assert reconstruction_scores(fitted, seen)["psnr_db"][-1] > 42


def test_dry_volumes_leave_every_gaussian_idle() -> None:
    volumes = moving_cells(GRID)
    dry = replace(volumes, values=np.zeros_like(volumes.values))
    fitted = fit_sequence(dry, FEW)
    assert not fitted.intensities.any() and not fitted.velocities.any()
    assert fitted.means.shape == (4, 96, 3) and torch.isfinite(fitted.means).all()
    assert not render(fitted.at(-1), GRID).any()


def test_one_volume_only() -> None:
    volumes = moving_cells(GRID).select([2])
    fitted = fit_sequence(volumes, FEW)
    assert reconstruction_scores(fitted, volumes)["psnr_db"][0] > 45
    assert not fitted.velocities.any()


@pytest.mark.parametrize("gone", [0, 1, 3])
def test_a_volume_that_observed_nothing_is_bridged(gone: int) -> None:
    volumes = moving_cells(GRID)
    values, mask = volumes.values.copy(), volumes.mask.copy()
    values[gone], mask[gone] = np.nan, False
    fitted = fit_sequence(VolumeSequence(values, mask, volumes.times, GRID), FEW)
    scores = reconstruction_scores(fitted, volumes)["psnr_db"]
    assert min(scores[t] for t in range(4) if t != gone) > 41
    assert scores[gone] > 30  # carried there by the flow


def test_all_volumes_unobserved() -> None:
    volumes = moving_cells(GRID)
    blind = VolumeSequence(np.full_like(volumes.values, np.nan), np.zeros_like(volumes.mask), volumes.times, GRID)
    assert not fit_sequence(blind, FEW).intensities.any()


def test_uneven_steps() -> None:
    volumes = moving_cells(GRID, (8.0, 4.0), steps=6).select([0, 1, 3, 5])
    fitted = fit_sequence(volumes, FEW)
    step = np.diff(volumes.times) / np.timedelta64(1, "s")
    weight = fitted.intensities[:, :, 0].abs().numpy()
    for t, seconds in enumerate(step):
        away = (fitted.means[t + 1] - fitted.means[t]).numpy()[:, :2] - np.array([8.0, 4.0]) * seconds
        error = np.sqrt((weight[t + 1] * (away**2).sum(1)).sum() / weight[t + 1].sum()) / GRID.spacing_m[2]
        assert error < 0.25


def test_new_and_dying_cells() -> None:
    volumes = moving_cells(GRID, cells=3, seed=2)
    born, dies = moving_cells(GRID, cells=1, seed=7).values, moving_cells(GRID, cells=1, seed=8).values
    for t, (young, old) in enumerate([(0.0, 1.0), (0.0, 0.6), (0.5, 0.2), (1.0, 0.0)]):
        volumes.values[t] = np.maximum(volumes.values[t], np.maximum(young * born[t], old * dies[t]))
    fitted = fit_sequence(volumes, FitConfig(gaussians=128))
    assert min(reconstruction_scores(fitted, volumes)["psnr_db"]) > 38


@pytest.mark.parametrize("count", [1, 3, 1500])
def test_any_number_of_gaussians(count: int) -> None:
    volumes = moving_cells(GRID)
    fitted = fit_sequence(volumes, FitConfig(gaussians=count))
    assert fitted.means.shape == (4, count, 3)
    assert all(torch.isfinite(getattr(fitted, name)).all() for name in PARTS)
    assert reconstruction_scores(fitted, volumes)["psnr_db"][-1] > (17 if count < 4 else 50)
    if count == 1500:
        assert (fitted.intensities[-1] == 0).any()


def test_extension_goes_on_with_the_same_gaussians() -> None:
    volumes = moving_cells(GRID, steps=6)
    fitted = fit_sequence(volumes.select(slice(0, 4)), FEW)
    longer = extend_fit(fitted, volumes, FEW)
    assert len(longer) == 6 and torch.equal(longer.ids, fitted.ids)
    assert same(longer.select(slice(0, 4)), fitted)
    assert min(reconstruction_scores(longer, volumes)["psnr_db"][4:]) > 40
    assert displacement_error(longer, steady(volumes, (10.0, 5.0))) < 0.25
    once = extend_fit(fitted, volumes.select(slice(0, 5)), FEW)
    first, again = (s.means[4] for s in (once, longer))
    assert float((first - again).norm(dim=1).max()) < 3000.0  # the last volume gets a few more steps


def test_extension_refuses_what_does_not_follow() -> None:
    volumes = moving_cells(GRID, steps=5)
    fitted = fit_sequence(volumes.select(slice(0, 3)), FitConfig(gaussians=8))
    with pytest.raises(InputError, match="do not begin with those"):
        extend_fit(fitted, volumes.select(slice(2, 5)))
    with pytest.raises(InputError, match="another grid"):
        extend_fit(fitted, moving_cells(small_grid((6, 30, 30)), steps=5))
    assert extend_fit(fitted, volumes.select(slice(0, 3))) is fitted


def test_settings_that_make_no_sense_are_refused() -> None:
    negative: tuple[dict[str, Any], ...] = ({"carving_dbz": -1.0}, {"renewal_steps": -1})
    for bad in ({"gaussians": 0}, {"reserve": 1.5}, {"strong_dbz": (40.0, 40.0)}, *negative):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            FitConfig(**bad)


def test_progress_counts_to_its_end() -> None:
    seen: list[tuple[int, int]] = []
    fit_sequence(moving_cells(GRID), FitConfig(gaussians=8), progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == list(range(1, seen[-1][1] + 1))


def test_real_volumes_reach_38_db() -> None:
    from nowcast.pipeline.inputs import load_sequence

    volumes = load_sequence(real_data("cpol_20051113_morning_grid")).select(slice(19, 23))
    scores = reconstruction_scores(fit_sequence(volumes, FitConfig(gaussians=2048)), volumes)
    assert scores["psnr_db"][-1] > 38
    assert min(scores["psnr_db"]) > 34
