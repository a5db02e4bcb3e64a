"""Fitting an archive on a Dask cluster: the same files as without, failures and kills included."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers import moving_cells, small_grid
from radar_files import START, polar_volume, storm, write_odim

from nowcast.errors import InputError, PartialFailure, UsageError
from nowcast.gaussians import FitConfig
from nowcast.io.gaussians import read_windows
from nowcast.io.volumes import write_volumes
from nowcast.pipeline import dask_client
from nowcast.pipeline.fit import fit_archive
from nowcast.pipeline.inputs import GridConfig

FEW = FitConfig(gaussians=24)
needs_distributed = pytest.mark.skipif(find_spec("distributed") is None, reason="distributed is not installed")


def archive(tmp_path: Path) -> Path:
    path = tmp_path / "storm.nc"
    write_volumes(moving_cells(small_grid((4, 20, 24)), steps=8), path)
    return path


def same_windows(one: Path, other: Path) -> bool:
    pairs = list(zip(read_windows(one), read_windows(other), strict=True))
    return all((a.gaussians.means == b.gaussians.means).all() and a.event == b.event for a, b in pairs)


@needs_distributed
@pytest.mark.slow
def test_a_cluster_fits_the_same(tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths too; finished windows of a killed run are not fitted again."""
    fit_archive(archive(tmp_path), tmp_path / "here.nc", config=FEW, frames=2)
    seen: list[tuple[int, int]] = []

    def killed(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    out, pictures = Path("there.nc"), Path("pictures")
    options = {"config": FEW, "frames": 2, "pictures": pictures, "dask": scheduler}
    with pytest.raises(KeyboardInterrupt):
        fit_archive("storm.nc", out, progress=killed, **options)  # type: ignore[arg-type]
    assert seen == [(0, 4), (1, 4), (2, 4)] and not out.exists()
    report = fit_archive("storm.nc", out, **options)  # type: ignore[arg-type]
    assert report.resumed == 2 and not report.failures and same_windows(out, tmp_path / "here.nc")
    assert len(list(pictures.iterdir())) == 4


@needs_distributed
@pytest.mark.slow
def test_broken_volumes_and_failing_windows(tmp_path: Path, scheduler: str) -> None:
    from distributed import Client

    folder = tmp_path / "polar"
    folder.mkdir()
    for k in range(8):
        volume = polar_volume(
            storm(x0=-30e3 + 6e3 * k, y0=10e3), rays=90, gates=60, time=START + k * np.timedelta64(600, "s")
        )
        write_odim(volume, folder / f"{k}.h5")
    with h5py.File(folder / "5.h5", "r+") as file:  # its header stays good
        for sweep in [name for name in file if name.startswith("dataset")]:
            del file[sweep]["data1"]
    grid = GridConfig(spacing_m=10_000.0, extent_m=60_000.0, top_m=9000.0, level_spacing_m=1000.0)
    fit_archive(folder, tmp_path / "here.nc", config=FEW, frames=2, grid=grid)
    report = fit_archive(folder, tmp_path / "there.nc", config=FEW, frames=2, grid=grid, dask=scheduler)
    assert not report.failures and same_windows(tmp_path / "there.nc", tmp_path / "here.nc")
    with Client(scheduler) as client:
        client.run(exec, BAD_LUCK, {})
    report = fit_archive(archive(tmp_path), tmp_path / "f.nc", config=FEW, frames=2, dask=scheduler)
    assert [failure["window"][:15] for failure in report.failures] == ["20200101T002000"]
    assert "bad luck" in report.failures[0]["reason"] and len(read_windows(tmp_path / "f.nc")) == 3
    with pytest.raises(PartialFailure, match="1 of 4 windows"):
        report.raise_failures()


BAD_LUCK = """
import nowcast.pipeline.fit_job as module
whole = module.fit_sequence
def unlucky(volumes, config):
    if str(volumes.times[0]).startswith("2020-01-01T00:20"):
        raise ValueError("bad luck")
    return whole(volumes, config)
module.fit_sequence = unlucky
"""


def test_what_is_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="local or a scheduler's address"):
        fit_archive(archive(tmp_path), tmp_path / "f.nc", dask="8786")
    if find_spec("distributed") is not None:
        monkeypatch.setattr(dask_client, "PATIENCE", "1s")
        with pytest.raises(InputError, match="no Dask scheduler answers"):
            fit_archive(tmp_path / "storm.nc", tmp_path / "f.nc", dask="tcp://127.0.0.1:9")
    monkeypatch.setattr(dask_client, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'gaussian-nowcast\[archive\]'"):
        fit_archive(tmp_path / "storm.nc", tmp_path / "f.nc", dask="local")
