from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from gaussian_cases import drifting
from helpers import small_grid

from nowcast.errors import InputError
from nowcast.gaussians import reconstruction_scores, render
from nowcast.gaussians.quality import peak_signal_to_noise
from nowcast.types import GaussianSet, VolumeSequence

GRID = small_grid((5, 20, 24))


def one(amplitude: float) -> GaussianSet:
    return GaussianSet(
        torch.tensor([[GRID.x[10], GRID.y[8], GRID.z[2]]], dtype=torch.float32),
        torch.log(torch.tensor([[3000.0, 3000.0, 900.0]])),
        torch.tensor([[1.0, 0, 0, 0]]),
        torch.tensor([[amplitude]]),
    )


def test_render_clips_to_what_reflectivity_can_be() -> None:
    assert render(one(40.0), GRID)[0, 2, 8, 10] == pytest.approx(40.0, rel=1e-5)
    assert render(one(200.0), GRID).max() == 80.0
    assert not render(one(-20.0), GRID).any()
    assert not render(one(0.0), GRID).any()


def test_scores_of_a_known_error() -> None:
    sequence = drifting(30, 2, grid=GRID)
    values = np.stack([render(sequence.at(t), GRID) for t in range(2)])
    mask = np.ones((2, *GRID.shape), bool)
    mask[1, :, :5] = False
    values[1] += np.float32(7.0)
    values[1, :, ~mask[1]] = np.nan
    volumes = VolumeSequence(values, mask, sequence.times, GRID)
    scores = reconstruction_scores(sequence, volumes)
    assert scores["psnr_db"][0] == math.inf
    assert scores["psnr_db"][1] == pytest.approx(20.0, abs=1e-4)  # 7 dBZ of 70
    assert scores["mae_dbz"] == pytest.approx([0.0, 7.0], abs=1e-5)
    drawn = np.stack([render(sequence.at(t), GRID)[0] for t in range(2)])
    f, o = drawn[1][mask[1]] >= 20, values[1, 0][mask[1]] >= 20
    assert scores["csi"]["20"] == pytest.approx([1.0, (f & o).sum() / (f | o).sum()])
    assert scores["bytes"] == 2 * 30 * 11 * 4
    assert scores["dense_bytes"] == 2 * np.prod(GRID.shape) * 4


def test_scores_where_nothing_was_observed_or_nothing_rains() -> None:
    sequence = drifting(5, 1, grid=GRID, idle=5)
    blind = VolumeSequence(
        np.full((1, 1, *GRID.shape), np.nan, np.float32), np.zeros((1, *GRID.shape), bool), sequence.times, GRID
    )
    assert math.isnan(reconstruction_scores(sequence, blind)["psnr_db"][0])
    dry = replace(blind, values=np.zeros_like(blind.values), mask=~blind.mask)
    scores = reconstruction_scores(sequence, dry)
    assert scores["psnr_db"] == [math.inf] and math.isnan(scores["csi"]["35"][0])


def test_other_times_are_refused() -> None:
    sequence = drifting(5, 2, grid=GRID)
    volumes = VolumeSequence(
        np.zeros((1, 1, *GRID.shape), np.float32), np.ones((1, *GRID.shape), bool), sequence.times[:1], GRID
    )
    with pytest.raises(InputError, match="other times"):
        reconstruction_scores(sequence, volumes)


def test_peak_signal_to_noise() -> None:
    assert peak_signal_to_noise(np.full(4, 0.7, np.float32)) == pytest.approx(40.0, abs=1e-4)
