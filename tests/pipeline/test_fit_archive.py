"""Fitting an archive: windows, resuming, failures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fit_cases import FEW, GRID, Counted, archive
from helpers import moving_cells

from nowcast.errors import ConfigError, InputError, OutputError, PartialFailure, UsageError
from nowcast.gaussians import FitConfig
from nowcast.io.gaussians import read_windows
from nowcast.io.volumes import write_volumes
from nowcast.pipeline.fit import fit_archive
from nowcast.pipeline.fit_plan import plan_windows
from nowcast.radar import Site


def times(*minutes: float) -> np.ndarray:
    return np.datetime64("2020-01-01T00:00", "ns") + (np.array(minutes) * 60e9).astype("timedelta64[ns]")


def test_windows_count_back_from_the_newest() -> None:
    plans = plan_windows(times(*range(0, 100, 10)), 4, 0, None, "a")
    assert [list(p.times) for p in plans] == [list(times(*range(s, s + 40, 10))) for s in (20, 60)]
    assert {p.event for p in plans} == {"a_20200101T0000"}
    starts = [p.times[0] for p in plan_windows(times(*range(0, 70, 10)), 3, 1, 2, "a")]
    assert starts == list(times(10, 30))


def test_windows_respect_gaps_and_silence_starts_an_event() -> None:
    clock = times(0, 10, 20, 41, 51, 61, 100, 110, 120, 130, 1000, 1010, 1020, 1030)
    plans = plan_windows(clock, 4, 0, None, "a")
    assert [list(p.times) for p in plans] == [
        list(times(20, 41, 51, 61)),
        list(times(100, 110, 120, 130)),
        list(clock[-4:]),
    ]
    assert [p.event for p in plans] == ["a_20200101T0000", "a_20200101T0000", "a_20200101T1640"]


def test_short_archives() -> None:
    plans = plan_windows(times(0, 10, 60, 70, 80), 4, 0, None, "a")
    assert [list(p.times) for p in plans] == [list(times(60, 70, 80))]
    assert len(plan_windows(times(5), 4, 0, None, "a")) == 1
    with pytest.raises(InputError, match="no 6 volumes in a row"):
        plan_windows(times(0, 10, 20, 30), 4, 2, None, "a")
    with pytest.raises(InputError, match="no volumes"):
        plan_windows(times(), 4, 0, None, "a")
    with pytest.raises(UsageError):
        plan_windows(times(0), 0, 0, None, "a")


def test_archive_to_file_and_report(tmp_path: Path) -> None:
    out, seen = tmp_path / "fit.nc", []
    report = fit_archive(
        archive(tmp_path), out, config=FEW, frames=3, future=1, progress=lambda *done: seen.append(done)
    )
    windows = read_windows(out)
    assert len(windows) == 2 and all(w.inputs == 3 and len(w.gaussians) == 4 for w in windows)
    assert all(w.volumes is not None for w in windows)
    answer = report.answer()
    assert {"output", "sequences", "failures", "seconds"} <= set(answer)
    record = answer["sequences"][0]
    assert {"times", "gaussians", "psnr_db", "mae_dbz", "csi", "seconds", "bytes", "dense_bytes"} <= set(record)
    assert record["gaussians"] == 24 and len(record["psnr_db"]) == 4 and min(record["psnr_db"]) > 25
    assert 0 <= record["coherence_voxels"] < 1
    assert len(record["volume_bytes"]) == len(record["equal_error_bytes"]) == 4 and "picture" not in record
    assert record["times"][0].endswith("Z") and "35" in record["csi"]
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert "PSNR" in report.table() and len(report.table().splitlines()) == 3
    report.raise_failures()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fit.nc", "storm.nc"]
    once = fit_archive(archive(tmp_path), tmp_path / "plain.nc", config=FEW, frames=4)
    assert read_windows(tmp_path / "plain.nc")[0].volumes is None and not once.failures


def test_the_table_tells_of_the_newest_input_and_of_what_was_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    report = fit_archive(archive(tmp_path, 7), tmp_path / "fit.nc", config=FEW, frames=4, future=2)
    (record,) = report.sequences
    _, row, unused = report.table().splitlines()
    psnr, csi = record["psnr_db"][3], record["csi"]["35"][3]
    assert row.split()[:6] == [
        record["times"][3],
        "4+2",
        "24",
        f"{psnr:.1f}",
        f"{record['mae_dbz'][3]:.2f}",
        f"{csi:.2f}",
    ]
    assert unused == "volumes in no window: 1" and report.answer()["unused"] == 1 and not caplog.text
    fit_archive(tmp_path / "storm.nc", tmp_path / "fit.nc", config=FEW, frames=9)
    assert "the one window holds 7 volumes, not 9" in caplog.text


def test_options_that_do_not_go_with_the_volumes_are_told_before_the_work(tmp_path: Path) -> None:
    source, out, file = archive(tmp_path, 4), tmp_path / "fit.nc", tmp_path / "file"
    file.touch()
    with pytest.raises(UsageError, match="--site is for polar volumes"):
        fit_archive(source, out, config=FEW, site=Site(1.0, 2.0, 3.0))
    with pytest.raises(OutputError, match="is a file, not a folder"):
        fit_archive(source, out, config=FEW, pictures=file)
    assert not list(tmp_path.glob(".*"))


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = archive(tmp_path), tmp_path / "fit.nc"
    whole = fit_archive(source, tmp_path / "whole.nc", config=FEW, frames=2)
    counted = Counted(monkeypatch, 3, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        fit_archive(source, out, config=FEW, frames=2)
    assert not out.exists() and counted.calls == 3
    report = fit_archive(source, out, config=FEW, frames=2)
    assert counted.calls == 5 and report.resumed == 2
    assert "windows taken over from an interrupted run: 2" in report.table()
    assert [s["psnr_db"] for s in report.sequences] == [s["psnr_db"] for s in whole.sequences]
    for a, b in zip(read_windows(out), read_windows(tmp_path / "whole.nc"), strict=True):
        assert (a.gaussians.means == b.gaussians.means).all()


def test_a_picture_of_each_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that a killed run finished without pictures are fitted again only where one is wanted now."""
    source, pictures = archive(tmp_path, 4), tmp_path / "pictures"
    counted = Counted(monkeypatch, 2, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        fit_archive(source, tmp_path / "fit.nc", config=FEW, frames=2, pictures=pictures)
    newest = "20200101T002000_20200101T003000.png"
    assert [p.name for p in pictures.iterdir()] == [newest]
    report = fit_archive(source, tmp_path / "fit.nc", config=FEW, frames=2, pictures=pictures)
    assert counted.calls == 3 and report.resumed == 1
    assert report.pictures == [str(pictures / "20200101T000000_20200101T001000.png"), str(pictures / newest)]
    assert all(Path(path).read_bytes().startswith(b"\x89PNG") for path in report.pictures)


@pytest.mark.parametrize("change", ["settings", "no resume"])
def test_what_was_done_otherwise_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    source, out = archive(tmp_path), tmp_path / "fit.nc"
    counted = Counted(monkeypatch, 3, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        fit_archive(source, out, config=FEW, frames=2)
    config = FitConfig(gaussians=20) if change == "settings" else FEW
    report = fit_archive(source, out, config=config, frames=2, resume=change != "no resume")
    assert counted.calls == 7 and report.resumed == 0


def test_a_run_goes_on_on_another_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = archive(tmp_path), tmp_path / "fit.nc"
    Counted(monkeypatch, 3, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        fit_archive(source, out, config=FEW, frames=2)
    assert fit_archive(source, out, config=replace(FEW, device="cpu"), frames=2).resumed == 2


def test_a_device_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton", exc_type=ImportError)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"^fit device is cuda, but torch sees 0 CUDA devices here: take auto or cpu"):
        fit_archive(archive(tmp_path), tmp_path / "fit.nc", config=replace(FEW, device="cuda"), frames=2)


def test_a_failing_window_is_recorded_and_the_others_are_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = archive(tmp_path), tmp_path / "fit.nc"
    Counted(monkeypatch, 2, ValueError("bad luck"))
    report = fit_archive(source, out, config=FEW, frames=2)
    assert len(read_windows(out)) == len(report.sequences) == 3
    assert report.failures[0]["window"].startswith("20200101T004000") and "bad luck" in report.failures[0]["reason"]
    with pytest.raises(PartialFailure, match="1 of 4 windows"):
        report.raise_failures()
    assert "failed" in report.table()


def test_no_good_window_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = archive(tmp_path, 2)
    Counted(monkeypatch, 1, InputError("nothing usable"))
    with pytest.raises(InputError, match=r"none of 1 windows.*nothing usable"):
        fit_archive(source, tmp_path / "fit.nc", config=FEW, frames=2)
    assert [path.name for path in tmp_path.iterdir()] == ["storm.nc"]  # there is nothing to go on from


def test_an_output_that_cannot_be_written_is_told_by_its_own_name_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, counted = archive(tmp_path, 2), Counted(monkeypatch, 9, ValueError())
    for out in (tmp_path, source / "f.nc"):
        with pytest.raises(OutputError, match=rf"{out}\b") as refused:
            fit_archive(source, out, config=FEW, frames=2)
        assert ".parts" not in str(refused.value)
    assert counted.calls == 0 and not list(tmp_path.parent.glob(".*.parts"))


def test_it_is_said_where_the_gaussians_do_not_suffice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    few = FitConfig(gaussians=8, psnr_db=60.0)
    fit_archive(archive(tmp_path, 4), tmp_path / "f.nc", config=few, frames=2)
    assert "2 of 2 newest volumes are drawn with less than the 60 dB asked for" in caplog.text


def test_dry_archive_gives_json_without_infinity(tmp_path: Path) -> None:
    volumes = moving_cells(GRID, steps=2)
    volumes.values[:] = 0.0
    write_volumes(volumes, tmp_path / "dry.nc")
    report = fit_archive(tmp_path / "dry.nc", tmp_path / "fit.nc", config=FEW, frames=2)
    assert report.sequences[0]["psnr_db"] == [None, None]
    assert report.sequences[0]["csi"]["35"] == [None, None]
    assert "no echo" in report.table() and "nan" not in report.table()


def test_channels_are_fitted_together_and_absent_ones_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cells = moving_cells(GRID, steps=4)
    zdr = np.where(cells.reflectivity > 10, 0.05 * cells.reflectivity, np.nan).astype(np.float32)
    both = replace(cells, values=np.stack([cells.reflectivity, zdr], axis=1), channels=("reflectivity", "zdr"))
    write_volumes(both, tmp_path / "storm.nc")
    asked = ("reflectivity", "zdr", "rhohv")
    out = tmp_path / "f.nc"
    with caplog.at_level("WARNING", logger="nowcast"):
        report = fit_archive(tmp_path / "storm.nc", out, config=FEW, frames=2, channels=asked, keep_volumes=True)
    assert "left out, because no volume has a value: rhohv" in caplog.text
    newest = report.sequences[0]["rmse"]["zdr"][-1]
    assert report.table().splitlines()[2] == f"  RMSE: zdr {newest:.2g} dB"
    assert set(report.sequences[0]["rmse"]) == {"zdr"} and report.sequences[0]["rmse"]["zdr"][0] < 0.3
    for window in read_windows(out):
        assert window.gaussians.channels == ("reflectivity", "zdr")
        assert window.volumes is not None and window.volumes.channels == ("reflectivity", "zdr")
    fit_archive(tmp_path / "storm.nc", tmp_path / "alone.nc", config=FEW, frames=2)
    assert read_windows(tmp_path / "alone.nc")[0].gaussians.channels == ("reflectivity",)


def test_a_folder_without_a_readable_volume_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.nc").write_text("hi")
    with pytest.raises(InputError, match="holds no volumes"):
        fit_archive(tmp_path, tmp_path / "out" / "fit.nc")
