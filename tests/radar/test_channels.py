"""Channels on the grid: made volumes with known answers, and a real one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import real_data
from radar_files import polar_volume, storm

from nowcast.channels import CHANNELS, PAPER, channel_names, moments_of
from nowcast.errors import UsageError
from nowcast.radar import NO_ECHO_DBZ, PolarVolume, read_volume
from nowcast.radar.channels import grid_channels
from nowcast.radar.gridding import GridConfig, grid_volume
from nowcast.radar.quality import clean

GRID = GridConfig(spacing_m=2500.0, extent_m=80_000.0, bottom_m=1000.0, top_m=6000.0, level_spacing_m=1000.0)
ALL = channel_names([PAPER])


def rotating(fold_ms: float = 12.0) -> PolarVolume:
    """A storm in solid rotation around (40, 20) km whose velocity folds over, with ZDR 2 dB and PHIDP of 1 deg/km."""
    volume = polar_volume(storm(top=30e3, radius=15e3))
    sweeps = []
    for sweep in volume.sweeps[:6]:
        turn = np.deg2rad(sweep.azimuth_deg)[:, None]
        along = 1.5e-3 * (20e3 * np.sin(turn) - 40e3 * np.cos(turn))
        velocity = np.broadcast_to(along + 8.0, sweep.reflectivity.shape)
        folded = (velocity + fold_ms) % (2 * fold_ms) - fold_ms
        silent = sweep.reflectivity <= NO_ECHO_DBZ
        fields = {
            "velocity": folded,
            "zdr": np.full(silent.shape, 2.0),
            "phidp": np.broadcast_to(2.0 * 1e-3 * sweep.range_m, silent.shape),
        }
        only_echo = {n: np.where(silent, np.nan, v).astype(np.float32) for n, v in fields.items()}
        sweeps.append(replace(sweep, fields={**sweep.fields, **only_echo}, nyquist_ms=fold_ms))
    return volume.with_sweeps(sweeps)


def test_channels_have_values_in_echo_only_and_known_ones() -> None:
    volume = rotating()
    grid = GRID.around(volume.site)
    values, mask = grid_channels(volume, volume, grid, ALL)
    alone, seen = grid_volume(volume, grid)
    np.testing.assert_array_equal(values[0], alone)
    np.testing.assert_array_equal(mask, seen)
    found = dict(zip(ALL, values, strict=True))
    echo = values[0] > 0
    for name in ("zdr", "kdp", "azimuthal_shear", "divergence"):
        assert np.isfinite(found[name]).any() and np.isnan(found[name][~echo]).all()
    for name in ("rhohv", "spectrum_width"):
        assert np.isnan(found[name]).all()
    core = values[0] > 40
    assert np.nanmax(np.abs(found["zdr"] - 2.0)) < 1e-5
    assert np.nanmedian(found["kdp"][core]) == pytest.approx(1.0, rel=0.1)
    y, x = np.meshgrid(grid.y, grid.x, indexing="ij")
    near = core & (np.hypot(x - 40e3, y - 20e3) < 8e3)
    # A turn anticlockwise of 1.5e-3 per second.
    assert np.nanmean(found["azimuthal_shear"][near]) == pytest.approx(1.5e-3, rel=0.1)
    assert np.nanmax(np.abs(found["divergence"][near])) < 2e-4


def test_what_quality_control_removes_has_no_channels() -> None:
    volume = rotating()
    gone = [np.where(s.azimuth_deg[:, None] < 63, NO_ECHO_DBZ, s.reflectivity) for s in volume.sweeps]
    values, _ = grid_channels(volume, volume.with_reflectivity(gone), GRID.around(volume.site), (ALL[0], "zdr"))
    assert np.isnan(values[1][~(values[0] > 0)]).all() and np.isfinite(values[1]).any()
    whole, _ = grid_channels(volume, volume, GRID.around(volume.site), (ALL[0], "zdr"))
    assert np.isfinite(values[1]).sum() < 0.75 * np.isfinite(whole[1]).sum()


def test_names_of_channels() -> None:
    assert channel_names(["divergence", "ZDR"]) == ("reflectivity", "zdr", "divergence")
    assert channel_names([]) == ("reflectivity",) and len(channel_names(["paper"])) == 7
    with pytest.raises(UsageError, match="no channel 'refl'"):
        channel_names(["refl"])


def test_all_channels_of_a_real_volume() -> None:
    path = real_data("single_volumes", "KLBB20160601_150025_V06")
    volume = read_volume(path, also=moments_of(ALL))
    assert [s.nyquist_ms for s in volume.sweeps[:2]] == pytest.approx([22.56, 22.56])
    assert "phidp" not in read_volume(path).sweeps[0].fields
    cleaned = clean(volume)
    values, _ = grid_channels(volume, cleaned, GRID.around(volume.site), ALL)
    rain = values[0] > 20
    for name, low, high in (
        ("zdr", 0.2, 1.0), ("kdp", 0.0, 0.6), ("rhohv", 0.96, 1.0), ("spectrum_width", 0.8, 3.0),
        ("azimuthal_shear", -3e-4, 3e-4), ("divergence", -3e-4, 3e-4),
    ):  # fmt: skip
        channel = values[ALL.index(name)]
        assert np.isnan(channel[~(values[0] > 0)]).all()
        assert np.isfinite(channel[rain]).mean() > 0.8, name
        assert low < np.nanmedian(channel[rain]) < high, name
        shown = channel[np.isfinite(channel)]
        assert CHANNELS[name].low <= shown.min() and shown.max() <= CHANNELS[name].high
