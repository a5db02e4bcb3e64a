"""Bounds that real storms keep and simulated storms must keep too: intensities, profiles, tops, spectra, and how fast
storms change.

The bounds are somewhat wider than what was measured in a monsoon squall line (CPOL), subtropical storms that merge into
a line (Brisbane) and a midlatitude squall line (KHTX): see ``tests/benchmarks/realism.py``. Real archives that are at
hand are held against the same bounds.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import real_data

from nowcast.pipeline.inputs import GridConfig, load_sequence
from nowcast.plot.climate import plot_climate
from nowcast.radar import Site
from nowcast.simulate import CorpusPlan, draw_scene
from nowcast.verify.climate import LEADS_MINUTES, THRESHOLDS_DBZ, StormStatistics, storm_statistics

GRID = GridConfig(level_spacing_m=1000.0)
ARCHIVES = {
    "cpol_20051113_morning_grid": None,
    "brisbane_20051127_odim": Site(-27.608, 152.539, 372.0),
}


def simulated(kind: str, events: int) -> StormStatistics:
    plan = CorpusPlan(events=events, volumes=13, mix={kind: 1.0}, seed=11, grid=GRID)
    return storm_statistics((plan.event(n).volumes() for n in range(events)), every=4)


def check_like_real_storms(found: StormStatistics) -> None:
    q35 = THRESHOLDS_DBZ.index(35.0)

    def share(threshold: float) -> float:
        return float(found.area[THRESHOLDS_DBZ.index(threshold)] / found.area[q35])

    def lag(values: np.ndarray, minutes: int) -> float:
        return float(values[LEADS_MINUTES.index(minutes)])

    # Measured in CPOL, Brisbane and KHTX, in this order: 0.35, 0.28, 0.38; then 0.027, 0.006, 0.039.
    assert 0.2 < share(45.0) < 0.5
    assert 0.001 < share(55.0) < 0.08
    # 0.41, 0.45, 0.26 at 7 km; 0.07, 0.13, 0.03 at 11 km.
    profile = np.interp([7000.0, 11_000.0], found.height_m, found.profile[q35])
    assert 0.2 < profile[0] < 0.65
    assert 0.005 < profile[1] < 0.2
    assert 7500 < found.echo_top_m[2] < 12_500  # 11.0, 9.5, 8.5 km
    assert -3.5 < found.slope < -2.1  # -2.4, -2.9, -3.3
    assert 0.75 < lag(found.correlation, 10) < 0.94  # 0.84, 0.81, 0.88
    assert 0.15 < lag(found.correlation, 60) < 0.68  # 0.50, 0.25
    assert 0.35 < lag(found.csi[q35], 10) < 0.56  # 0.48, 0.41, 0.44
    assert 0.07 < lag(found.csi[q35], 30) < 0.28  # 0.22, 0.12
    assert 0.2 < lag(found.area_change, 30) < 1.2  # 0.48, 1.02


@pytest.mark.parametrize("kind", ["cells", "line"])
def test_simulated_storms_are_like_real_ones(kind: str) -> None:
    check_like_real_storms(simulated(kind, 6))


@pytest.mark.parametrize("archive", ARCHIVES)
def test_real_storms_keep_the_same_bounds(archive: str) -> None:
    volumes = load_sequence(real_data(archive), grid=GRID, site=ARCHIVES[archive])
    check_like_real_storms(storm_statistics([volumes], every=2))


@pytest.mark.parametrize("kind", ["single", "cells", "multicell"])
def test_cells_live_and_move_as_climatologies_of_tracks_tell(kind: str) -> None:
    """Belgium, ten years: above 40 dBZ, simple tracks last 25 minutes, complex ones 70; median speed 8.3 m/s.
    Prut basin: median 42 minutes and 7.7 m/s."""
    cell_minutes, storm_minutes, speeds = [], [], []
    for seed in range(6):
        scene = draw_scene(kind, seed, 7200.0)
        states = [scene.cell_state(t) for t in np.arange(-7000.0, 16_000.0, 120.0)]
        strong = np.array([s.alive & (s.peak_dbz >= 40) for s in states])
        seen = strong.any(0)
        cell_minutes += list(2.0 * strong.sum(0)[seen])
        storms = scene.cells.storm
        storm_minutes += [2.0 * strong[:, storms == n].any(1).sum() for n in np.unique(storms[seen])]
        speeds += list(np.hypot(states[60].u_ms, states[60].v_ms)[seen])
    assert 22 < np.mean(cell_minutes) < 42
    low, high = {"single": (22, 45), "cells": (40, 80), "multicell": (50, 90)}[kind]
    assert low < np.mean(storm_minutes) < high
    assert 2.5 < np.median(speeds) < 13


def test_statistics_are_drawn_beside_each_other() -> None:
    found = simulated("stratiform", 1)
    figure = plot_climate({"real rain": found, "stratiform": found})
    assert len(figure.axes) == 8
    assert all(len(axes.lines) == 2 for axes in figure.axes)
