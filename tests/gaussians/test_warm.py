"""Warm start: as good as a fit from nothing, with the same Gaussians where the storm goes on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import moving_cells, small_grid

from nowcast.errors import InputError
from nowcast.gaussians import FitConfig, continue_fit, fit_sequence, reconstruction_scores, why_not_continue
from nowcast.gaussians.sequences import importance
from nowcast.types import GaussianSequence, VolumeSequence

GRID = small_grid((6, 30, 36))
FEW = FitConfig(gaussians=128)
VOLUMES = moving_cells(GRID, steps=9)


def window(newest: int) -> VolumeSequence:
    return VOLUMES.select(slice(newest - 3, newest + 1))


def psnr(fitted: GaussianSequence, newest: int) -> float:
    last = slice(-1, None)
    return float(reconstruction_scores(fitted.select(last), window(newest).select(last))["psnr_db"][0])


def test_a_chain_of_cycles_is_as_good_as_fits_from_nothing() -> None:
    fitted, warm, cold = fit_sequence(window(3), FEW), [], []
    for t in range(4, 9):
        fitted = continue_fit(fitted, window(t), FEW)
        assert np.array_equal(fitted.times, window(t).times)
        warm.append(psnr(fitted, t))
        cold.append(psnr(fit_sequence(window(t), FEW), t))
    assert np.mean(warm) > np.mean(cold) - 0.5


def row_of(fitted: GaussianSequence, ids: torch.Tensor) -> torch.Tensor:
    where = {int(i): row for row, i in enumerate(fitted.ids)}
    return torch.tensor([where[int(i)] for i in ids])


def test_gaussians_that_go_on_keep_their_id_and_follow_the_motion() -> None:
    before = fit_sequence(window(3), FEW)
    after = continue_fit(before, window(4), FEW)
    same = torch.isin(after.ids, before.ids)
    assert 0.12 < same.sum() / before.at(-1).active.sum() < 0.2
    drawn = importance(after)[-1]
    assert drawn[same.numpy()].sum() > 0.4 * drawn.sum()  # what goes on is most of the storm
    assert after.ids.unique().numel() == len(after.ids) and int(after.ids[~same].min()) > int(before.ids.max())
    assert torch.equal(after.means[2, same], before.means[3, row_of(before, after.ids[same])])
    assert (after.intensities[:-1, ~same] == 0).all()
    moved = (after.means[3, same] - after.means[2, same])[:, :2].numpy()
    away = (moved - np.array([10.0, 5.0]) * 600.0) / GRID.spacing_m[2]
    weight = after.intensities[3, same, 0].abs().numpy()
    assert np.sqrt((weight * (away**2).sum(axis=1)).sum() / weight.sum()) < 0.25
    speed = after.velocities[-1, :, :2].numpy() - (10.0, 5.0)
    strength = after.intensities[-1, :, 0].abs().numpy()
    assert np.sqrt((strength * (speed**2).sum(axis=1)).sum() / strength.sum()) < 1.0


def test_two_new_volumes_and_an_unobserved_one() -> None:
    before = fit_sequence(window(3), FEW)
    both = continue_fit(before, VOLUMES.select(slice(2, 6)), FEW)
    assert reconstruction_scores(both, VOLUMES.select(slice(2, 6)))["psnr_db"][-1] > 35
    blind = window(4)
    mask = blind.mask.copy()
    mask[-1] = False
    blind = replace(blind, mask=mask, values=np.where(mask[:, None], blind.values, np.float32(np.nan)))
    carried = continue_fit(before, blind, FEW)
    rows = row_of(before, carried.ids)
    assert torch.equal(carried.intensities[-1], before.intensities[-1, rows])
    moved = (carried.means[-1] - carried.means[-2])[:, :2].mean(dim=0).numpy() / 600.0
    assert np.abs(moved - (10.0, 5.0)).max() < 0.5
    assert np.abs(carried.velocities[-1, :, :2].mean(dim=0).numpy() - (10.0, 5.0)).max() < 0.5


def test_where_the_content_sets_the_number_it_follows_the_storm_from_cycle_to_cycle() -> None:
    growing = replace(FEW, gaussians=2000, psnr_db=38.0)
    fitted = fit_sequence(window(3), growing)
    assert 8 < len(fitted.ids) < 2000
    for t in (4, 5):
        fitted = continue_fit(fitted, window(t), growing)
        assert psnr(fitted, t) > 37.5 and len(fitted.ids) < 2 * len(fit_sequence(window(t), growing).ids)
        assert fitted.ids.unique().numel() == len(fitted.ids)
    assert why_not_continue(fitted, window(6), replace(growing, gaussians=len(fitted.ids) - 1)) is not None


def test_after_a_dry_spell_new_echo_gets_gaussians_of_new_ids() -> None:
    growing = replace(FEW, psnr_db=38.0)
    values = VOLUMES.values.copy()
    values[4:8] = 0.0
    spell = replace(VOLUMES, values=values)
    fitted = fit_sequence(spell.select(slice(0, 4)), growing)
    seen = set(fitted.ids.tolist())
    for t in range(4, 9):
        fitted = continue_fit(fitted, spell.select(slice(t - 3, t + 1)), growing)
        assert len(fitted.ids) == 0 or t != 7
    assert psnr(fitted, 8) > 37.5
    assert seen.isdisjoint(fitted.ids.tolist())


def test_it_says_why_it_cannot_go_on() -> None:
    before = fit_sequence(window(3), FEW)
    other = moving_cells(small_grid((6, 30, 30)), steps=5).select(slice(1, 5))
    reasons = {
        "another grid": why_not_continue(before, other, FEW),
        "another number": why_not_continue(before, window(4), FitConfig(gaussians=64)),
        "later time": why_not_continue(before, VOLUMES.select(slice(0, 3)), FEW),
        "3 volumes": why_not_continue(before, window(6), FEW),
        "other volumes": why_not_continue(before, VOLUMES.select(np.array([4])), FEW),
    }
    for expected, reason in reasons.items():
        assert reason is not None and expected in reason
    assert why_not_continue(before, window(4), FEW) is None
    assert torch.equal(continue_fit(before, window(3), FEW).means, before.means)
    with pytest.raises(InputError, match="another grid"):
        continue_fit(before, other, FEW)
