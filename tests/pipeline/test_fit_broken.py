"""Fitting an archive with broken, replaced and missing volumes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from fit_cases import COARSE, FEW, GRID, Counted, archive, blank_out
from helpers import moving_cells
from radar_files import SITE, START, polar_volume, storm, write_odim

import nowcast.pipeline.fit_job as fit_module
from nowcast.errors import InputError
from nowcast.io.gaussians import as_stored, read_windows
from nowcast.io.volumes import write_volumes
from nowcast.pipeline import cache
from nowcast.pipeline.fit import fit_archive
from nowcast.pipeline.fit_cluster import Outcome, fit_here
from nowcast.pipeline.fit_job import FitJob
from nowcast.pipeline.fit_plan import Plan
from nowcast.pipeline.inputs import list_inputs, load_sequence
from nowcast.radar import PolarVolume, Site

MINUTE = np.timedelta64(60, "s")
needs_distributed = pytest.mark.skipif(find_spec("distributed") is None, reason="distributed is not installed")


@pytest.fixture
def polar(tmp_path: Path) -> Path:
    """Eight polar volumes, ten minutes apart."""
    folder = tmp_path / "polar"
    folder.mkdir()
    for k in range(8):
        field = storm(x0=-30e3 + 6e3 * k, y0=10e3)
        volume = polar_volume(field, rays=90, gates=60, time=START + k * 10 * MINUTE)
        write_odim(volume, folder / f"{k}.h5")
    return folder


def test_a_window_that_failed_and_is_no_longer_planned_is_no_failure(
    polar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def oldest_first(job: FitJob, plans: list[Plan]) -> Iterator[Outcome]:
        return fit_here(job, plans[::-1])  # as a cluster may

    monkeypatch.setattr("nowcast.pipeline.fit.cluster", lambda address: nullcontext(oldest_first))
    blank_out(polar / "7.h5")
    Counted(monkeypatch, 1, ValueError("bad luck"))
    report = fit_archive(polar, tmp_path / "fit.nc", config=FEW, frames=2, grid=COARSE)
    assert len(report.sequences) == 3 and not report.failures


def test_what_would_fail_every_window_is_told_once_and_plainly(polar: Path, tmp_path: Path) -> None:
    """A clutter map that is not there, volumes of two radars, and, at the first window, a radar without a place."""
    out = tmp_path / "f.nc"
    with pytest.raises(InputError, match=r"^\S*none.nc does not exist: expected a clutter map"):
        fit_archive(polar, out, config=FEW, frames=2, clutter=tmp_path / "none.nc")
    write_odim(polar_volume(storm(), radar="OTHER", time=START), polar / "other.h5")
    with pytest.raises(InputError, match=r"^\S+ mixes volumes of 2 radars"):
        fit_archive(polar, out, config=FEW, frames=2)
    (polar / "other.h5").unlink()
    for path in polar.iterdir():
        with h5py.File(path, "r+") as file:
            for name in ("lat", "lon"):
                del file["where"].attrs[name]
    with pytest.raises(InputError, match=r"^\S+.h5 does not tell where the radar stands: .* --site"):
        fit_archive(polar, out, config=FEW, frames=2)
    assert [path.name for path in tmp_path.iterdir()] == ["polar"]


@pytest.mark.parametrize("dask", [None, pytest.param("local", marks=[pytest.mark.slow, needs_distributed])])
def test_skipped_volumes_and_the_windows_lost_with_them_are_told_once(
    polar: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], dask: str | None
) -> None:
    """Of eight volumes one is no HDF5 file and one without data; names are in local time, ten hours ahead."""
    for k in range(8):
        (polar / f"{k}.h5").rename(polar / f"20200101_10{k}000.h5" if k < 6 else polar / f"20200101_11{k - 6}000.h5")
    paths = sorted(polar.iterdir())
    paths[2].write_bytes(paths[2].read_bytes()[:4000])
    blank_out(paths[5])
    options: dict[str, Any] = {"config": FEW, "frames": 2, "every": 1, "grid": COARSE, "dask": dask}
    with caplog.at_level("WARNING", logger="nowcast"):
        report = fit_archive(polar, tmp_path / "f.nc", **options)
    skipped = report.answer()["skipped"]
    assert {item["volume"] for item in skipped} == {str(paths[2]), str(paths[5])}
    assert "truncated" in report.skipped[str(paths[2])] and "no sweep holds" in report.skipped[str(paths[5])]
    for path in (paths[2], paths[5]):
        assert sum(path.name in line for line in caplog.messages) == 1
    assert "skipped" not in capfd.readouterr().err  # a worker has said nothing of its own
    assert len(report.sequences) == 5 and report.answer()["dropped"] == 2 and not report.failures
    assert report.table().splitlines()[-1] == "volumes skipped: 2; windows fewer for it: 2"
    whole = fit_archive(archive(tmp_path), tmp_path / "g.nc", config=FEW, frames=2)
    assert (whole.skipped, whole.dropped) == ({}, 0) and "skipped" not in whole.table()


def inputs_of(path: Path) -> list[tuple[str, ...]]:
    return [w.volumes.sources for w in read_windows(path) if w.volumes is not None]


@pytest.mark.parametrize("broken", [(7,), (5,), (0,), (3, 4), (7, 6, 5)])
def test_broken_volumes_are_normal(polar: Path, tmp_path: Path, broken: tuple[int, ...]) -> None:
    """The windows are those of an archive without them, and nothing has failed."""
    for k in broken:
        blank_out(polar / f"{k}.h5")
    assert len(list_inputs(polar)) == 8  # their headers are good
    options = {"config": FEW, "frames": 2, "every": 1, "grid": COARSE, "keep_volumes": True}
    report = fit_archive(polar, tmp_path / "with.nc", **options)  # type: ignore[arg-type]
    for k in broken:
        (polar / f"{k}.h5").unlink()
    fit_archive(polar, tmp_path / "without.nc", **options)  # type: ignore[arg-type]
    assert not report.failures
    assert inputs_of(tmp_path / "with.nc") == inputs_of(tmp_path / "without.nc")


@pytest.mark.parametrize("gridded", [True, False])
def test_failed_scans_are_planned_around(polar: Path, tmp_path: Path, gridded: bool) -> None:
    """A volume that lost all echo at once is no weather: the windows go over it, and nothing has failed."""
    source: Path = polar
    if gridded:
        volumes = moving_cells(GRID, steps=8)
        volumes.values[4] = 0.0
        source = tmp_path / "storm.nc"
        write_volumes(volumes, source)
        seen = volumes.times
    else:
        write_odim(polar_volume(storm(peak=0.0), rays=90, gates=60, time=START + 40 * MINUTE), polar / "4.h5")
        seen = list_inputs(polar)
    options = {"config": FEW, "frames": 2, "every": 1, "grid": COARSE}
    report = fit_archive(source, tmp_path / "f.nc", **options)  # type: ignore[arg-type]
    assert not report.failures
    windows = read_windows(tmp_path / "f.nc")
    expected = np.delete(seen, 4)
    assert [list(w.gaussians.times) for w in windows] == [list(expected[i : i + 2]) for i in range(6)]


def test_a_failed_scan_at_the_start_of_a_window_is_known_by_the_volumes_before_it(tmp_path: Path) -> None:
    volumes = moving_cells(GRID, steps=7)
    volumes.values[[2, 3]] = 0.0
    folder = tmp_path / "storm"
    folder.mkdir()
    for k in range(7):
        write_volumes(volumes.select([k]), folder / f"{k}.nc")
    report = fit_archive(folder, tmp_path / "f.nc", config=FEW, frames=4)
    assert not report.failures and len(report.skipped) == 2
    [window] = read_windows(tmp_path / "f.nc")
    assert list(window.gaussians.times) == list(volumes.times[4:])


def test_a_mosaic_that_its_newest_volume_adds_nothing_to_is_planned_around(tmp_path: Path) -> None:
    """Between two rounds of two radars one scans alone, and its volume is broken."""
    source = tmp_path / "radars"
    for name, site in (("A", SITE), ("B", Site(SITE.lat, SITE.lon + 0.4, SITE.alt))):
        (source / name).mkdir(parents=True)
        for minute in (0, 10, 15, 20) if name == "A" else (0, 10, 20):
            field = storm(x0=-30e3 + 600 * minute, y0=10e3)
            time = START + minute * MINUTE
            path = source / name / f"{minute}.h5"
            write_odim(polar_volume(field, rays=90, gates=60, time=time, site=site, radar=name), path)
    blank_out(source / "A" / "15.h5")
    report = fit_archive(source, tmp_path / "f.nc", config=FEW, frames=2, every=1, grid=COARSE)
    assert not report.failures and list(report.skipped) == [str(source / "A" / "15.h5")]
    assert [w.gaussians.times[-1] for w in read_windows(tmp_path / "f.nc")] == [START + m * MINUTE for m in (10, 20)]


def test_each_volume_is_gridded_once_and_a_window_is_as_if_it_were_alone(
    polar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    whole = cache.grid_channels

    def counted(volume: PolarVolume, *rest: Any) -> tuple[np.ndarray, np.ndarray]:
        seen.append(volume.source)
        return whole(volume, *rest)

    monkeypatch.setattr(cache, "grid_channels", counted)
    fit_archive(polar, tmp_path / "f.nc", config=FEW, frames=2, future=1, every=1, grid=COARSE)
    assert len(seen) == 8
    windows = read_windows(tmp_path / "f.nc")
    assert len(windows) == 6
    for window in windows:
        alone = load_sequence(polar, at=window.gaussians.times[-1], frames=3, grid=COARSE)
        assert window.volumes is not None
        np.testing.assert_array_equal(window.volumes.mask, alone.mask)
        fitted = as_stored(fit_module.fit_sequence(alone.select(slice(0, 2)), FEW))
        np.testing.assert_array_equal(window.gaussians.means[:2], fitted.means)


def test_a_file_that_was_replaced_is_fitted_again(polar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"config": FEW, "frames": 2, "grid": COARSE}
    counted = Counted(monkeypatch, 4, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        fit_archive(polar, tmp_path / "f.nc", **options)  # type: ignore[arg-type]
    field = storm(x0=0.0, y0=0.0)
    write_odim(polar_volume(field, rays=90, gates=60, time=START + 70 * MINUTE), polar / "7.h5")
    report = fit_archive(polar, tmp_path / "f.nc", **options)  # type: ignore[arg-type]
    assert report.resumed == 2 and counted.calls == 6
