"""Bounds that real storms keep and simulated storms must keep too: levels, profiles, spectra, persistence.

The bounds are wide enough for an archive of tropical cells, a subtropical supercell line and a midlatitude squall line,
from three radars; the real archive that is at hand is held against the same bounds.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers import real_data
from numpy.typing import NDArray

from nowcast.pipeline.inputs import GridConfig, load_sequence
from nowcast.simulate import Radar, draw_scene, simulate_volumes
from nowcast.types import GridSpec, VolumeSequence

Float = NDArray[np.floating]
STEP = np.timedelta64(10, "m")


def level(volumes: VolumeSequence, z_m: float) -> Float:
    index = int(np.abs(volumes.grid.z - z_m).argmin())
    return volumes.filled()[:, index]


def spectral_slope(field: Float, spacing_m: float) -> float:
    """Exponent with which the mean power in rings of wavenumber falls, between 60 and 7 km."""
    window = np.outer(np.hanning(field.shape[0]), np.hanning(field.shape[1]))
    power = np.abs(np.fft.fft2((field - field.mean()) * window)) ** 2
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(field.shape[1], spacing_m), np.fft.fftfreq(field.shape[0], spacing_m)))
    edges = np.geomspace(1 / 60e3, 1 / 7e3, 9)
    rings = [power[(k >= a) & (k < b)].mean() for a, b in itertools.pairwise(edges)]
    return float(np.polyfit(np.log(edges[1:] + edges[:-1]), np.log(rings), 1)[0])


def best_correlation(first: Float, second: Float) -> float:
    """Correlation of two fields after the shift that suits them best."""
    a, b = first - first.mean(), second - second.mean()
    product = np.fft.ifft2(np.conj(np.fft.fft2(a)) * np.fft.fft2(b)).real
    return float(product.max() / np.sqrt((a**2).sum() * (b**2).sum()))


def check_like_real_storms(volumes: VolumeSequence) -> None:
    low, high, composite = level(volumes, 3000), level(volumes, 8000), volumes.filled().max(1)
    echo = low[low > 5]
    assert 9 < np.median(echo) < 30
    assert 44 < np.percentile(echo, 99) < 60
    assert 0.02 < (high > 35).mean() / (low > 35).mean() < 0.7
    core = low > 40
    assert 5 < (low[core] - high[core]).mean() < 22
    slopes = [spectral_slope(c, volumes.grid.spacing_m[2]) for c in composite if (c > 20).sum() > 100]
    assert -3.7 < np.mean(slopes) < -2.0
    pairs = list(itertools.pairwise(composite))
    assert 0.6 < np.mean([best_correlation(a, b) for a, b in pairs]) < 0.97


@pytest.mark.parametrize("kind", ["cells", "line"])
def test_simulated_storms_look_like_real_ones(kind: str) -> None:
    radar = Radar(clutter=False)
    grid = GridSpec(radar.site.lat, radar.site.lon, (8, 117, 117), (1000.0, -145e3, -145e3), (1000.0, 2500.0, 2500.0))
    start = np.datetime64("2024-01-01T00:00", "ns")
    for seed in (1, 2, 3):
        scene = draw_scene(kind, seed, 7200.0)
        times = start + np.timedelta64(60, "m") + STEP * np.arange(4)
        check_like_real_storms(simulate_volumes(scene, grid, times, start=start, radar=radar))


def test_real_storms_keep_the_same_bounds() -> None:
    folder = real_data("cpol_20051113_morning_grid")
    volumes = load_sequence(folder, grid=GridConfig(bottom_m=0.0, top_m=20_000.0))
    check_like_real_storms(volumes.select(slice(12, 30)))
