"""Gridding and scoring on a Dask cluster: the same as without, a killed worker included."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from helpers import moving_cells, small_grid
from radar_files import START, polar_volume, storm, write_odim

from nowcast.errors import UsageError
from nowcast.gaussians import FitConfig
from nowcast.pipeline.dask_client import AHEAD
from nowcast.pipeline.evaluate import hindcast
from nowcast.pipeline.grid_cluster import ClusterCache, gridding
from nowcast.pipeline.hindcast_job import EvaluateRequest
from nowcast.pipeline.inputs import GridConfig, load_sequence
from nowcast.radar import Site

pytestmark = pytest.mark.skipif(find_spec("distributed") is None, reason="distributed is not installed")
GRID = GridConfig(spacing_m=10_000.0, extent_m=60_000.0, top_m=9000.0, level_spacing_m=1000.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("polar")
    for k in range(24):
        echo = storm(x0=-30e3 + 2e3 * k, y0=10e3)
        write_odim(polar_volume(echo, rays=90, gates=60, time=START + k * np.timedelta64(300, "s")), folder / f"{k}.h5")
    (folder / "7.h5").write_bytes((folder / "7.h5").read_bytes()[:9000])
    return folder


@pytest.mark.slow
def test_a_killed_worker_costs_no_volume_and_doubles_none(folder: Path, scheduler: str) -> None:
    alone = load_sequence(folder, grid=GRID)
    killed: list[int] = []
    with gridding(scheduler) as cache:
        assert isinstance(cache, ClusterCache)

        def kill(done: int, total: int) -> None:
            if done == 5:
                (pid, *_) = cache.client.run(os.getpid).values()
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

        together = load_sequence(folder, grid=GRID, cache=cache, progress=kill)
    assert killed and len(together) == 23 and len(set(together.sources)) == 23
    assert together.sources == alone.sources and together.grid == alone.grid
    np.testing.assert_array_equal(together.times, alone.times)
    np.testing.assert_array_equal(together.mask, alone.mask)
    np.testing.assert_array_equal(together.values, alone.values)


@pytest.mark.slow
def test_the_volumes_of_several_radars(tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, site in (("west", Site(0.0, 149.7, 50.0)), ("east", Site(0.0, 150.3, 300.0))):
        (tmp_path / name).mkdir()
        for k in range(5):
            echo, time = storm(x0=-5e3 + 2e3 * k, y0=10e3), START + k * np.timedelta64(300, "s")
            volume = polar_volume(echo, rays=90, gates=60, site=site, time=time, radar=name)
            write_odim(volume, tmp_path / name / f"{name}{k}.h5")
    (tmp_path / "east" / "east2.h5").write_bytes((tmp_path / "east" / "east2.h5").read_bytes()[:9000])
    alone = load_sequence(tmp_path, grid=GRID)
    taken: list[str] = []
    with gridding(scheduler) as cache:
        assert isinstance(cache, ClusterCache)
        result = cache._result
        monkeypatch.setattr(cache, "_result", lambda path, task: (taken.append(path.name), result(path, task))[1])
        together = load_sequence(tmp_path, grid=GRID, cache=cache)
    assert sorted(taken) == [f"{name}{k}.h5" for name in ("east", "west") for k in range(5) if (name, k) != ("east", 2)]
    assert together.sources == alone.sources and "east: east1.h5; west: west2.h5" in together.sources
    np.testing.assert_array_equal(together.mask, alone.mask)
    np.testing.assert_array_equal(together.values, alone.values)


@pytest.mark.slow
def test_only_the_newest_are_gridded(folder: Path, scheduler: str) -> None:
    with gridding(scheduler) as cache:
        newest = load_sequence(folder, grid=GRID, frames=3, cache=cache)
    assert newest.sources == ("21.h5", "22.h5", "23.h5")


@pytest.mark.slow
def test_scores_are_the_same_and_each_forecast_counts_once(scheduler: str, tmp_path: Path) -> None:
    from distributed import Client

    volumes = moving_cells(small_grid((5, 40, 48)), (9.0, 4.0), steps=16)
    methods = ("persistence", "extrapolation", "advection")
    request = EvaluateRequest(tmp_path, FitConfig(gaussians=24), methods=methods, frames=2, leads=2)
    alone = hindcast(volumes, request)
    killed: list[int] = []
    held: list[int] = []

    def kill(done: int, total: int) -> None:
        if done in (3, total):
            with Client(scheduler) as client:
                held.append(client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)))
                (pid, *_) = client.run(os.getpid).values()
        if done == 3:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    kept = replace(request, keep_forecasts=tmp_path / "forecasts")
    together = hindcast(volumes, kept, dask=scheduler, shared=tmp_path, progress=kill)
    assert killed and not together.failures
    assert max(held) <= 2 * AHEAD, "of two workers"
    np.testing.assert_equal(together.answer(), alone.answer())
    assert len(list((tmp_path / "forecasts" / "advection").glob("2*.nc"))) == len(alone.initial_times) > 10
    assert [path.name for path in tmp_path.iterdir()] == ["forecasts"], "the copy of the volumes is gone"


def test_workers_elsewhere_need_a_folder_they_see(tmp_path: Path) -> None:
    request = EvaluateRequest(tmp_path, FitConfig(gaussians=24), methods=("persistence",), frames=2, leads=2)
    with pytest.raises(UsageError, match="give -o DIR"):
        hindcast(moving_cells(small_grid((5, 40, 48)), (9.0, 4.0), steps=6), request, dask="tcp://127.0.0.1:9")
