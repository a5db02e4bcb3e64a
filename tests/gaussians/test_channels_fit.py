"""Several channels fitted together: each is recovered where it was measured, none disturbs reflectivity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import moving_cells, real_data, small_grid

from nowcast.channels import CHANNELS, PAPER, channel_names
from nowcast.gaussians import FitConfig, continue_fit, extend_fit, fit_sequence, reconstruction_scores, render
from nowcast.pipeline.inputs import GridConfig, load_sequence
from nowcast.types import REFLECTIVITY, Float32, VolumeSequence

GRID = small_grid((6, 30, 36))
FEW = FitConfig(gaussians=128)
ALL = channel_names([PAPER])
FROM_REST = {
    "zdr": 3.0, "kdp": 2.0, "rhohv": -0.1, "spectrum_width": 5.0, "azimuthal_shear": 4e-3, "divergence": -4e-3
}  # fmt: skip


def made(steps: int = 3) -> VolumeSequence:
    """Moving cells; the other channels wave over the storm and have values in its echo only."""
    cells = moving_cells(GRID, steps=steps)
    z, y, x = np.meshgrid(GRID.z, GRID.y, GRID.x, indexing="ij")
    echo = cells.reflectivity > 5
    values = [cells.reflectivity]
    for k, name in enumerate(ALL[1:]):
        wave = 0.5 + 0.5 * np.sin(x / 15e3 + k) * np.cos(y / 18e3 + z / 9e3)
        channel = CHANNELS[name].rest + FROM_REST[name] * wave
        values.append(np.where(echo, channel, np.nan).astype(np.float32))
    return replace(cells, values=np.stack(values, axis=1), channels=ALL)


def spread(values: Float32) -> float:
    return float(np.nanstd(values))


@pytest.fixture(scope="module")
def volumes() -> VolumeSequence:
    return made()


def test_each_channel_is_recovered(volumes: VolumeSequence) -> None:
    fitted = fit_sequence(volumes, FEW)
    scores = reconstruction_scores(fitted, volumes)
    assert min(scores["psnr_db"]) > 48
    for c, name in enumerate(ALL[1:], 1):
        error = max(scores["rmse"][name])
        assert error < 0.35 * spread(volumes.values[:, c]), name
    # Far from all echo a channel is at rest.
    drawn = render(fitted.at(-1), GRID, ALL)
    assert drawn[ALL.index("rhohv")].max() == pytest.approx(1.0, abs=0.05)


def test_a_channel_counts_where_it_has_a_value_and_nowhere_else(volumes: VolumeSequence) -> None:
    values = volumes.values[:, :2].copy()
    values[:, 1, :, :, 18:] = np.nan
    half = replace(volumes, values=values, channels=ALL[:2])
    scores = reconstruction_scores(fit_sequence(half, FEW), half)
    assert max(scores["rmse"]["zdr"]) < 0.3 * spread(values[:, 1])


def test_channels_without_a_value_change_nothing(volumes: VolumeSequence) -> None:
    two = volumes.with_channels(("reflectivity", "kdp"))
    three = volumes.with_channels(("reflectivity", "kdp", "zdr"))
    three.values[:, 2] = np.nan
    one, other = fit_sequence(two, FEW), fit_sequence(three, FEW)
    assert other.channels == ("reflectivity", "kdp", "zdr")
    assert torch.equal(one.intensities, other.intensities[..., :2]) and torch.equal(one.means, other.means)
    assert not other.intensities[..., 2].any()
    assert np.isnan(reconstruction_scores(other, three)["rmse"]["zdr"]).all()


def test_later_volumes_keep_their_channels(volumes: VolumeSequence) -> None:
    chosen = volumes.with_channels(("reflectivity", "zdr"))
    fitted = fit_sequence(chosen.select([0, 1]), FEW)
    limit = 0.6 * spread(chosen.values[:, 1])
    for longer in (extend_fit(fitted, chosen, FEW), continue_fit(fitted, chosen, FEW)):
        assert longer.channels == chosen.channels
        assert reconstruction_scores(longer, chosen)["rmse"]["zdr"][-1] < limit


def test_dry_volumes_leave_every_channel_idle() -> None:
    dry = made()
    values = np.full_like(dry.values, np.nan)
    values[:, 0] = 0.0
    assert not fit_sequence(replace(dry, values=values), FEW).intensities.any()


def test_seven_channels_of_a_real_volume() -> None:
    source = real_data("single_volumes", "KLBB20160601_150025_V06")
    volumes = load_sequence(source, grid=GridConfig(spacing_m=5000.0, level_spacing_m=1000.0), channels=ALL)
    config = FitConfig(gaussians=1024)
    scores = reconstruction_scores(fit_sequence(volumes, config), volumes)
    alone = fit_sequence(volumes.with_channels((REFLECTIVITY,)), config)
    assert scores["psnr_db"][0] > reconstruction_scores(alone, volumes)["psnr_db"][0] - 0.5
    for c, name in enumerate(ALL[1:], 1):
        assert scores["rmse"][name][0] < 0.75 * spread(volumes.values[0, c]), name
