"""Spectra and areas: waves whose place in the spectrum is known, and pysteps."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import small_grid

from nowcast.types import GridSpec
from nowcast.verify import Tally
from nowcast.verify.structure import power_spectrum, wavelengths_m

GRID = small_grid((3, 64, 64))


@pytest.mark.parametrize("waves", [2, 5, 16])
def test_a_wave_stands_at_its_length(waves: int) -> None:
    phase = 2 * np.pi * waves * np.arange(64) / 64
    field = np.broadcast_to(30 + 10 * np.cos(phase), GRID.shape).astype(np.float32)
    spectrum = power_spectrum(field, GRID)
    assert wavelengths_m(GRID)[spectrum.argmax()] == pytest.approx(64 * 2500 / waves)
    assert np.delete(spectrum, spectrum.argmax()).max() < 1e-6 * spectrum.max()


def test_both_axes_count_alike_on_a_grid_that_is_not_square() -> None:
    grid = GridSpec(0.0, 0.0, (1, 40, 81), (0.0, 0.0, 0.0), (500.0, 1000.0, 500.0))
    rng = np.random.default_rng(0)
    lengths = wavelengths_m(grid)
    assert lengths[0] == pytest.approx(40.5e3) and lengths[-1] >= 2000.0
    along_x = 10 * np.cos(2 * np.pi * grid.x / 8100.0) + 0 * grid.y[:, None]
    along_y = 10 * np.cos(2 * np.pi * grid.y[:, None] / 8000.0) + 0 * grid.x
    for wave in (along_x, along_y):
        noisy = (wave + 0.01 * rng.normal(size=wave.shape)).astype(np.float32)[None]
        assert lengths[power_spectrum(noisy, grid).argmax()] == pytest.approx(8100.0)


def test_spectrum_agrees_with_pysteps() -> None:
    spectral = pytest.importorskip("pysteps.utils.spectral")
    field = np.random.default_rng(1).uniform(0, 50, GRID.shape).astype(np.float32)
    theirs = np.mean([spectral.rapsd(level, fft_method=np.fft) for level in field], axis=0)
    ours = power_spectrum(field, GRID)
    assert ours[: len(theirs) - 1] == pytest.approx(theirs[1:], rel=1e-4)


def test_areas_and_spectra_are_of_the_members_not_of_their_mean() -> None:
    observed = np.zeros(GRID.shape, np.float32)
    observed[0, 10:14, 10:20] = 50.0
    members = np.stack([np.roll(observed, shift, axis=(1, 2)) for shift in (0, 20)])
    tally = Tally(1, GRID)
    tally.add(0, members, observed, np.ones(GRID.shape, bool))
    at_45 = tally.config.thresholds_dbz.index(45.0)
    assert tally.area_km2()[0, at_45].tolist() == pytest.approx([40 * 2.5**2] * 2)
    assert tally.counts[0, :, at_45].sum(axis=0).tolist() == [0, 40, 0]  # the mean has lost it
    assert tally.spectrum()[0, 0] == pytest.approx(tally.spectrum()[0, 1], rel=1e-4)


def test_what_is_not_scored_is_in_neither_field() -> None:
    forecast = np.full(GRID.shape, 50.0, np.float32)
    scored = np.zeros(GRID.shape, bool)
    scored[:, :32] = True
    observed = np.where(scored, forecast, np.float32(np.nan))
    tally = Tally(1, GRID)
    tally.add(0, forecast, observed, scored)
    assert tally.area_km2()[0, 0].tolist() == pytest.approx([32 * 64 * 6.25] * 2)
    assert np.array_equal(*tally.spectrum()[0])
