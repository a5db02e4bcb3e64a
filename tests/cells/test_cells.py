"""Cells of storms whose tracks are known: how many are merged, swapped or lost, and what is told of each."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import all_observed, small_grid
from numpy.typing import NDArray
from typer.testing import CliRunner

from nowcast.cells import Cell, CellConfig, track_cells
from nowcast.cells.files import COLUMNS, write_cells
from nowcast.cli import app
from nowcast.gaussians import FitConfig, fit_sequence
from nowcast.io.atomic import file_digest
from nowcast.io.gaussians import write_windows
from nowcast.types import FittedWindow, GaussianSequence, VolumeSequence

GRID = small_grid((6, 40, 44))
STEP_S = 600.0
Tracks = NDArray[np.float64]


def storms(tracks: Tracks, peaks_dbz: NDArray[np.float64], radius_m: float = 4e3) -> VolumeSequence:
    """Round cells at ``tracks [T, K, 2]`` (east, north, m) of ``peaks_dbz [T, K]``."""
    y, x = np.meshgrid(GRID.y, GRID.x, indexing="ij")
    height = np.exp(-0.5 * ((GRID.z - 3000.0) / 3000.0) ** 2)[:, None, None]
    values = np.zeros((len(tracks), *GRID.shape), np.float32)
    for t, (places, peaks) in enumerate(zip(tracks, peaks_dbz, strict=True)):
        for (cx, cy), peak in zip(places, peaks, strict=True):
            cell = peak * np.exp(-0.5 * ((x - cx) ** 2 + (y - cy) ** 2) / radius_m**2)
            values[t] = np.maximum(values[t], height * cell)
    return all_observed(values, GRID, STEP_S)


def straight(start_km: list[tuple[float, float]], velocity_ms: list[tuple[float, float]], steps: int) -> Tracks:
    """``[T, K, 2]`` m."""
    t = STEP_S * np.arange(steps)[:, None, None]
    return 1e3 * np.array(start_km)[None] + t * np.array(velocity_ms)[None]


def scene(seed: int, steps: int = 5) -> tuple[Tracks, NDArray[np.float64]]:
    """Five cells that stay 17 km and more apart, each with a motion of its own."""
    rng = np.random.default_rng(seed)
    while True:
        start = rng.uniform((-48, -42), (15, 25), (5, 2))
        velocity = rng.uniform((6, -2), (14, 8), (5, 2))
        tracks = straight(start.tolist(), velocity.tolist(), steps)
        apart = np.linalg.norm(tracks[:, :, None] - tracks[:, None], axis=-1) + 1e6 * np.eye(5)
        if apart.min() > 17e3:
            return tracks, np.repeat(rng.uniform(46, 56, (1, 5)), steps, axis=0)


@cache
def fitted(seed: int) -> tuple[GaussianSequence, Tracks]:
    tracks, peaks = scene(seed)
    return fit_sequence(storms(tracks, peaks), FitConfig(gaussians=256)), tracks


def nearest(cells: list[Cell], places: Tracks) -> NDArray[np.int64]:
    """Which of the true cells at ``places [K, 2]`` each found cell is, -1 where none is within 6 km."""
    centres = np.array([(cell.shape.x_m, cell.shape.y_m) for cell in cells]).reshape(-1, 1, 2)
    away = np.linalg.norm(centres - places[None], axis=-1)
    return np.where(away.min(axis=1) < 6e3, away.argmin(axis=1), -1)


def faults(tracked: list[list[Cell]], tracks: Tracks) -> dict[str, int]:
    """False merges and false cells by time, and identities swapped or lost from one time to the next."""
    counted = {"merged": 0, "false": 0, "swapped": 0, "lost": 0}
    before: dict[int, int] = {}
    for cells, places in zip(tracked, tracks, strict=True):
        truth = nearest(cells, places)
        now = {int(k): cell.id for cell, k in zip(cells, truth, strict=True) if k >= 0}
        counted["merged"] += len(places) - len(now)
        counted["false"] += len(cells) - len(now)
        for k, number in before.items():
            if k in now and now[k] != number:
                counted["swapped" if now[k] in before.values() else "lost"] += 1
        before = now
    return counted


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_cells_apart_are_followed_without_a_fault(seed: int) -> None:
    gaussians, tracks = fitted(seed)
    assert faults(track_cells(gaussians), tracks) == {"merged": 0, "false": 0, "swapped": 0, "lost": 0}


def test_what_is_told_of_a_cell_is_true() -> None:
    gaussians, tracks = fitted(1)
    tracked = track_cells(gaussians)
    speeds = (tracks[1] - tracks[0]) / STEP_S
    for k, cell in zip(nearest(tracked[-1], tracks[-1]), tracked[-1], strict=True):
        assert np.hypot(*(np.array(cell.velocity_ms) - speeds[k])) < 1.5
        assert np.hypot(cell.shape.x_m - tracks[-1, k, 0], cell.shape.y_m - tracks[-1, k, 1]) < 1500
        assert cell.age_s == 4 * STEP_S and cell.parent is None and 44 < cell.shape.max_dbz < 58
        radius = 4.0 * np.sqrt(2 * np.log(cell.shape.max_dbz / 35.0))
        assert cell.shape.area_km2 == pytest.approx(np.pi * radius**2, rel=0.35)
    assert all(cell.velocity_ms is None and cell.growth_km2_h is None and cell.age_s == 0 for cell in tracked[0])


def test_fast_cells_that_move_by_more_than_their_size_keep_their_identity() -> None:
    tracks = straight([(-45, -12), (-45, 12)], [(22, 0), (22, 0)], 5)  # 13 km a step, 8 km wide at 35 dBZ
    volumes = storms(tracks, np.full((5, 2), 50.0))
    assert sum(faults(track_cells(fit_sequence(volumes, FitConfig(gaussians=128))), tracks).values()) == 0


def test_cells_that_touch_and_part_have_their_own_identities_again() -> None:
    away = np.array([18.0, 14.0, 9.0, 9.0, 14.0, 18.0])
    tracks = np.stack([1e3 * np.array([[4 * t - 20, a / 2], [4 * t - 20, -a / 2]]) for t, a in enumerate(away)])
    volumes = storms(tracks, np.full((6, 2), 50.0))
    tracked = track_cells(fit_sequence(volumes, FitConfig(gaussians=192)))
    assert [len(cells) for cells in tracked] == [2, 2, 1, 1, 2, 2]
    first, last = (sorted(tracked[t], key=lambda cell: cell.shape.y_m) for t in (0, -1))
    assert [cell.id for cell in first] == [cell.id for cell in last]


def test_growth_and_new_cells_are_told() -> None:
    tracks = straight([(-25, 0), (15, 0)], [(8, 0), (8, 0)], 4)
    peaks = np.array([[44.0, 0.0], [48.0, 0.0], [52.0, 50.0], [56.0, 50.0]])
    tracked = track_cells(fit_sequence(storms(tracks, peaks), FitConfig(gaussians=128)))
    assert [len(cells) for cells in tracked] == [1, 1, 2, 2]
    old, new = sorted(tracked[-1], key=lambda cell: cell.id)
    assert old.growth_km2_h is not None and old.growth_km2_h > 50 and old.age_s == 3 * STEP_S
    assert new.age_s == STEP_S and new.shape.x_m > 20e3


def csv_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(line for line in path.read_text().splitlines() if not line.startswith("#")))


def test_csv_says_where_it_came_from_and_pandas_reads_it(tmp_path: Path) -> None:
    gaussians, _ = fitted(1)
    write_windows([FittedWindow(gaussians, len(gaussians), "event")], tmp_path / "fits.nc")
    path = tmp_path / "cells.csv"
    done = CliRunner().invoke(app, ["cells", str(tmp_path / "fits.nc"), "-o", str(path), "--leads", "1"])
    assert done.exit_code == 0, done.stderr
    comments = [line[2:].split(": ", 1) for line in path.read_text().splitlines() if line.startswith("# ")]
    told = dict(comments)
    assert told["source"].startswith("nowcast ") and told["history"]
    assert json.loads(told["provenance"])["input_sha256"] == {"fits.nc": file_digest(tmp_path / "fits.nc")}
    table = pd.read_csv(path, comment="#")
    assert tuple(table.columns) == COLUMNS and len(table) == 30 and set(table["kind"]) == {"cell", "forecast"}
    write_cells([], [], GRID, path, facts={"note": "a\nb"}, history="nowcast cells 'two\nlines'")
    assert pd.read_csv(path, comment="#").empty


def test_command_writes_geojson_and_csv(tmp_path: Path) -> None:
    gaussians, tracks = fitted(1)
    write_windows([FittedWindow(gaussians, len(gaussians), "event")], tmp_path / "fits.nc")
    files = [tmp_path / "cells.geojson", tmp_path / "cells.csv"]
    call = ["cells", str(tmp_path / "fits.nc"), "-o", str(files[0]), "-o", str(files[1]), "--leads", "2", "--json"]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["cells"] == [5] * 5
    whole = json.loads(files[0].read_text())
    features = whole["features"]
    assert whole["provenance"]["input_sha256"] == {"fits.nc": file_digest(tmp_path / "fits.nc")}
    assert whole["source"].startswith("nowcast ") and whole["history"]
    kinds = [feature["properties"]["kind"] for feature in features]
    assert [kinds.count(kind) for kind in ("cell", "forecast", "track", "forecast_track")] == [25, 10, 5, 5]
    past, ahead = (next(f for f in features if f["properties"]["kind"] == k) for k in ("track", "forecast_track"))
    assert len(past["geometry"]["coordinates"]) == len(past["properties"]["times"]) == 5
    assert past["geometry"]["coordinates"][-1] == ahead["geometry"]["coordinates"][0]
    assert past["properties"]["times"][-1] == ahead["properties"]["times"][0]
    outline = np.array(features[0]["geometry"]["coordinates"][0])
    assert (outline[0] == outline[-1]).all() and np.abs(outline - [GRID.origin_lon, GRID.origin_lat]).max() < 1
    rows = csv_rows(files[1])
    assert len(rows) == 35 and {row["kind"] for row in rows} == {"cell", "forecast"}
    ahead = np.array([[float(row["lon"]), float(row["lat"])] for row in rows if row["lead_minutes"] == "20.0"])
    from pyproj import Proj

    project = Proj(proj="aeqd", lat_0=GRID.origin_lat, lon_0=GRID.origin_lon, ellps="WGS84")
    there = np.stack(project(ahead[:, 0], ahead[:, 1]), axis=-1)
    truth = tracks[-1] + 2 * (tracks[-1] - tracks[-2])
    assert np.linalg.norm(there[:, None] - truth[None], axis=-1).min(axis=1).max() < 4e3


def test_members_give_the_uncertainty_of_a_track(tmp_path: Path) -> None:
    gaussians, _ = fitted(1)
    write_windows([FittedWindow(gaussians, len(gaussians), "event")], tmp_path / "fits.nc")
    call = ["cells", str(tmp_path / "fits.nc"), "-o", str(tmp_path / "c.csv"), "--members", "4", "--leads", "3"]
    assert CliRunner().invoke(app, call).exit_code == 2, "members without a model"
    done = CliRunner().invoke(app, [*call, "--model", "default"])
    assert done.exit_code == 0, done.stderr
    rows = [row for row in csv_rows(tmp_path / "c.csv") if row["kind"] == "forecast"]
    spread = np.array([float(row["spread_m"]) for row in rows]).reshape(-1, 3)
    assert (spread[:, -1] > spread[:, 0]).mean() > 0.5 and (spread > 0).all()


def test_no_echo_has_no_cells(tmp_path: Path) -> None:
    dry = fit_sequence(storms(np.zeros((2, 1, 2)), np.zeros((2, 1))), FitConfig(gaussians=16))
    assert track_cells(dry, CellConfig(threshold_dbz=20.0)) == [[], []]
    write_windows([FittedWindow(dry, 2, "event")], tmp_path / "fits.nc")
    done = CliRunner().invoke(
        app,
        ["cells", str(tmp_path / "fits.nc"), *("-o", str(tmp_path / "c.geojson")), *("-o", str(tmp_path / "c.png"))],
    )
    assert done.exit_code == 0 and json.loads((tmp_path / "c.geojson").read_text())["features"] == []
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    gaussians, _ = fitted(1)
    write_windows([FittedWindow(gaussians, len(gaussians), "event")], tmp_path / "fits.nc")
    done = CliRunner().invoke(app, ["cells", str(tmp_path / "fits.nc"), "-o", str(tmp_path / "c.shp")])
    assert done.exit_code == 2 and ".geojson" in done.stderr
