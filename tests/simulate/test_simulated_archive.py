"""Simulated archives on disk: layout, determinism, readers, truth."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nowcast.errors import InputError, OutputError, UsageError
from nowcast.radar import read_volume
from nowcast.radar.polar import NO_ECHO_DBZ
from nowcast.simulate import ArchivePlan, Radar, read_truth, simulate_archive, simulate_volume
from nowcast.simulate.archive import plan_files
from nowcast.simulate.clutter import draw_clutter
from nowcast.simulate.truth import TRACK_VARIABLES

RADAR = Radar(elevations_deg=(0.5, 2.0, 6.0), rays=120, gates=60, gate_m=2000.0)
PLAN = ArchivePlan(events=2, volumes=2, kinds=("cells", "dry"), seed=5, radar=RADAR)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "archive"
    simulate_archive(PLAN, folder, jobs=2)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_each_event_is_a_folder_with_its_truth_a_floor_below(archive: Path) -> None:
    assert sorted(contents(archive)) == [
        "event00_cells/SIMR_20240115_040000.nc",
        "event00_cells/SIMR_20240115_041000.nc",
        "event00_cells/truth/truth.nc",
        "event01_dry/SIMR_20240116_040000.nc",
        "event01_dry/SIMR_20240116_041000.nc",
        "event01_dry/truth/truth.nc",
    ]


def test_a_single_event_lies_right_in_the_folder(tmp_path: Path) -> None:
    (event,) = plan_files(replace(PLAN, events=1), tmp_path)
    assert event.directory == tmp_path
    assert event.volumes[1] == tmp_path / "SIMR_20240115_041000.nc"
    assert event.truth == tmp_path / "truth" / "truth.nc"


def test_the_same_plan_gives_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    simulate_archive(PLAN, tmp_path / "elsewhere", jobs=1, progress=lambda *args: done.append(args))
    assert contents(tmp_path / "elsewhere") == contents(archive)
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_seeds_and_events_differ(archive: Path) -> None:
    first, second = PLAN.scene(0), PLAN.scene(1)
    assert first.kind == "cells"
    assert second.kind == "dry"
    again, other = replace(PLAN, kinds=("cells",)), replace(PLAN, kinds=("cells",), seed=6)
    assert not np.array_equal(again.scene(0).flow.wind_ms, again.scene(1).flow.wind_ms)
    assert not np.array_equal(again.scene(0).flow.wind_ms, other.scene(0).flow.wind_ms)
    assert np.array_equal(again.scene(0).flow.wind_ms, first.flow.wind_ms)


def test_files_hold_what_was_measured(archive: Path) -> None:
    rng = np.random.default_rng(np.random.SeedSequence([5, 0, 1, 1]))
    start = np.datetime64("2024-01-15T04:10", "ns")
    radar = PLAN.scanner
    expected = simulate_volume(PLAN.scene(0), radar, draw_clutter(radar, 5), start=start, t_s=600.0, rng=rng)
    volume = read_volume(archive / "event00_cells" / "SIMR_20240115_041000.nc")
    assert volume.time == start
    assert volume.site == RADAR.site
    assert volume.radar == "SIMR"
    assert volume.beam_width_deg == pytest.approx(1.0)
    for ours, theirs in zip(expected.sweeps, volume.sweeps, strict=True):
        assert theirs.elevation_deg == pytest.approx(ours.elevation_deg)
        assert theirs.time == ours.time
        np.testing.assert_allclose(theirs.azimuth_deg, ours.azimuth_deg)
        np.testing.assert_allclose(theirs.range_m, ours.range_m)
        np.testing.assert_array_equal(theirs.reflectivity == NO_ECHO_DBZ, ours.reflectivity == NO_ECHO_DBZ)
        for name, step in (("reflectivity", 0.01), ("velocity", 0.01), ("rhohv", 1e-4)):
            np.testing.assert_allclose(theirs.fields[name], ours.fields[name], atol=0.51 * step)


def test_plain_pyart_reads_the_files(archive: Path) -> None:
    os.environ.setdefault("PYART_QUIET", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyart

        radar = pyart.io.read(str(archive / "event00_cells" / "SIMR_20240115_040000.nc"))
        assert radar.scan_type == "ppi"
        assert set(radar.fields) == {"DBZH", "VRADH", "RHOHV"}
        assert radar.get_nyquist_vel(0) == RADAR.nyquist_ms
        np.testing.assert_allclose(radar.fixed_angle["data"], RADAR.elevations_deg)
        assert radar.fields["DBZH"]["data"].count() > 100


def test_the_truth_is_the_scene(archive: Path) -> None:
    truth, scene = read_truth(archive / "event00_cells" / "truth" / "truth.nc"), PLAN.scene(0)
    assert (truth.kind, truth.seed, truth.event) == ("cells", 5, 0)
    assert truth.parameters == scene.parameters
    np.testing.assert_array_equal(truth.times, np.array(["2024-01-15T04:00", "2024-01-15T04:10"], "datetime64[ns]"))
    state = scene.cell_state(600.0)
    exists = (scene.cells.end_s > 0) & (scene.cells.start_s < 600)
    for name in TRACK_VARIABLES:
        track = np.where(state.alive, getattr(state, name), np.nan)[exists]
        np.testing.assert_allclose(truth.tracks[name][1], track)
    np.testing.assert_allclose(truth.wind_ms[1], scene.flow.wind(truth.height_m, 600.0))
    moved = (truth.tracks["x_m"][1] - truth.tracks["x_m"][0]) / 600
    mean = truth.tracks["u_ms"].mean(0)
    np.testing.assert_allclose(moved, mean, atol=1e-6)


def test_a_truth_is_no_volume(archive: Path) -> None:
    with pytest.raises(InputError):
        read_volume(archive / "event00_cells" / "truth" / "truth.nc")
    with pytest.raises(InputError, match="not the truth"):
        read_truth(archive / "event00_cells" / "SIMR_20240115_040000.nc")


def test_a_short_step_speeds_the_antenna_up() -> None:
    assert PLAN.scanner.turn_s == RADAR.turn_s
    hasty = replace(PLAN, step_minutes=0.5)
    assert hasty.scanner.volume_s < 30
    np.testing.assert_array_equal(hasty.times_s, [0, 30])


def test_other_files_in_the_folder_are_not_mixed_in(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "old.nc").write_bytes(b"x")
    with pytest.raises(InputError, match=r"other NetCDF files, such as old\.nc"):
        simulate_archive(PLAN, tmp_path)
    simulate_archive(PLAN, archive)  # its own files it writes again
    with pytest.raises(OutputError, match="is a file"):
        simulate_archive(PLAN, tmp_path / "old.nc")


def test_impossible_plans_are_refused() -> None:
    with pytest.raises(UsageError, match="hail"):
        ArchivePlan(kinds=("hail",))
    with pytest.raises(UsageError, match="expected at least"):
        ArchivePlan(volumes=0)
