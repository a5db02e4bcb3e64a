"""Gridding and scoring on a Dask cluster: the same as without, a killed worker included."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from radar_files import START, polar_volume, storm, write_odim

from nowcast.pipeline.grid_cluster import ClusterCache, gridding
from nowcast.pipeline.inputs import GridConfig, load_sequence

pytestmark = pytest.mark.skipif(find_spec("distributed") is None, reason="distributed is not installed")
GRID = GridConfig(spacing_m=10_000.0, extent_m=60_000.0, top_m=9000.0, level_spacing_m=1000.0)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as running:
        yield running.scheduler_address


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
def test_only_the_newest_are_gridded(folder: Path, scheduler: str) -> None:
    with gridding(scheduler) as cache:
        newest = load_sequence(folder, grid=GRID, frames=3, cache=cache)
    assert newest.sources == ("21.h5", "22.h5", "23.h5")
