"""Bad input and bad luck: one clear sentence, the documented exit code, no traceback, no half-written file."""

from __future__ import annotations

import gzip
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import helpers
import numpy as np
import pytest

from nowcast.io.volumes import write_volumes
from nowcast.types import VolumeSequence

FORECAST = ("--gaussians", "64", "--leads", "2", "--no-pictures")


def nowcast(*arguments: str | Path, limit_bytes: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, with at most ``limit_bytes`` in any file it writes."""

    def limit() -> None:
        if limit_bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    command = [sys.executable, "-m", "nowcast", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limit, timeout=120)


def assert_refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """The process ended with the code and one error line that holds the words."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, done.stderr
    for word in words:
        assert word in errors[0]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder of five good gridded volumes, ten minutes apart."""
    sequence = helpers.moving_cells(helpers.small_grid((5, 20, 24)), steps=5)
    folder = tmp_path / "archive"
    folder.mkdir()
    for i in range(5):
        write_volumes(sequence.select([i]), folder / f"v{i}.nc")
    return folder


def test_no_such_folder(tmp_path: Path) -> None:
    assert_refused(nowcast("forecast", tmp_path / "none", "-o", tmp_path / "f.nc"), 3, "none")


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert_refused(nowcast("forecast", tmp_path / "empty", "-o", tmp_path / "f.nc"), 3, "empty")
    assert not (tmp_path / "f.nc").exists()


def bad_files(folder: Path) -> None:
    """Put a text file, a zero-byte file and truncated files of several kinds into a folder."""
    (folder / "text.h5").write_text("this is no radar volume\n")
    (folder / "zero.h5").touch()
    (folder / "cut.gz").write_bytes(gzip.compress(os.urandom(20000))[:5000])
    (folder / "cut.nc").write_bytes((folder / "v0.nc").read_bytes()[:3000] if (folder / "v0.nc").exists() else b"CDF")


def test_only_bad_files(tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    bad_files(folder)
    assert_refused(nowcast("forecast", folder, "-o", tmp_path / "f.nc"), 3, "bad")


def test_bad_files_among_good_ones_are_named_and_left_out(archive: Path, tmp_path: Path) -> None:
    bad_files(archive)
    done = nowcast("forecast", archive, "-o", tmp_path / "f.nc", *FORECAST)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "f.nc").is_file() and "Traceback" not in done.stderr
    for name in ("text.h5", "zero.h5", "cut.gz", "cut.nc"):
        assert name in done.stderr


def test_nan_volume_among_good_ones(archive: Path, tmp_path: Path) -> None:
    sequence = helpers.moving_cells(helpers.small_grid((5, 20, 24)), steps=5)
    values = np.full_like(sequence.values[2:3], np.nan)
    empty = VolumeSequence(values, np.zeros_like(sequence.mask[2:3]), sequence.times[2:3], sequence.grid)
    write_volumes(empty, archive / "v2.nc")
    done = nowcast("forecast", archive, "-o", tmp_path / "f.nc", *FORECAST)
    assert done.returncode == 0, done.stderr


def test_duplicates_and_disorder_change_nothing(archive: Path, tmp_path: Path) -> None:
    assert nowcast("forecast", archive, "-o", tmp_path / "a.nc", *FORECAST).returncode == 0
    (archive / "v0.nc").rename(archive / "zz.nc")
    (archive / "copy.nc").write_bytes((archive / "v3.nc").read_bytes())
    assert nowcast("forecast", archive, "-o", tmp_path / "b.nc", *FORECAST).returncode == 0
    from nowcast.io.forecasts import read_forecast

    first, second = (read_forecast(tmp_path / name).values for name in ("a.nc", "b.nc"))
    np.testing.assert_array_equal(first, second)


def test_unwritable_output(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = nowcast("forecast", archive, "-o", tmp_path / "file" / "f.nc", *FORECAST)
    assert_refused(done, 3, "cannot write")


@pytest.mark.parametrize("command", ["fit", "grid", "forecast", "products", "clutter"])
@pytest.mark.parametrize("folder", [True, False])
def test_what_is_read_is_not_written_over(archive: Path, command: str, folder: bool) -> None:
    newest = archive / "v4.nc"
    before = newest.read_bytes()
    done = nowcast(command, archive if folder else newest, "-o", newest)
    assert_refused(done, 2, "would replace volumes", "another name")
    assert newest.read_bytes() == before


def test_full_disk_leaves_nothing(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = nowcast("forecast", archive, "-o", out / "f.nc", *FORECAST, limit_bytes=4096)
    assert_refused(done, 3, "cannot write")
    assert list(out.iterdir()) == []


def test_interrupt_exits_130_and_leaves_nothing(archive: Path, tmp_path: Path) -> None:
    (archive / "text.h5").write_text("not a volume")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "nowcast", "forecast", str(archive), "-o", str(out / "f.nc")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=helpers.heed_interrupts)
    assert process.stderr is not None
    assert "text.h5" in process.stderr.readline()  # the volumes are read, the fit is about to start
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in errors and errors.endswith("Interrupted.\n")
    assert not out.exists() or list(out.iterdir()) == []


@pytest.mark.parametrize(
    "option", [("--at", "yesterday"), ("--site", "here"), ("--levels", "1"), ("--leads", "0"), ("--spacing", "0")]
)
def test_nonsense_options_are_usage_errors(archive: Path, tmp_path: Path, option: tuple[str, str]) -> None:
    done = nowcast("forecast", archive, "-o", tmp_path / "f.nc", *option)
    assert done.returncode == 2 and option[0].strip("-") in done.stderr and "Traceback" not in done.stderr


def test_a_bad_model_publishes_the_simpler_forecast_and_exits_5(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(b"no model")
    done = nowcast("forecast", archive, "--model", tmp_path / "m.safetensors", "-o", tmp_path / "f.nc", *FORECAST)
    assert done.returncode == 5 and "Traceback" not in done.stderr
    assert done.stdout.strip() == str(tmp_path / "f.nc") and (tmp_path / "f.nc").is_file()
    assert "published the advection forecast in its place" in done.stderr


def test_a_failing_window_exits_4_and_the_others_are_written(archive: Path, tmp_path: Path) -> None:
    """The newest volume is on another grid than those before it, so that the newest window cannot be fitted."""
    other = helpers.moving_cells(helpers.small_grid((5, 22, 24)), steps=5)
    write_volumes(other.select([4]), archive / "v4.nc")
    out = tmp_path / "g.nc"
    done = nowcast("fit", archive, "--gaussians", "24", "--frames", "2", "--every", "1", "-o", out)
    assert done.returncode == 4 and "Traceback" not in done.stderr
    assert done.stdout.strip() == str(out) and out.is_file()
    assert "1 of 4 windows could not be fitted" in done.stderr


def test_a_fit_into_the_file_of_a_splat_viewer_is_a_usage_error(archive: Path, tmp_path: Path) -> None:
    done = nowcast("fit", archive, "-o", tmp_path / "storm.ply")
    assert done.returncode == 2 and "--export" in done.stderr and "Traceback" not in done.stderr


def test_pictures_of_a_fit_go_into_a_folder_of_their_own(archive: Path, tmp_path: Path) -> None:
    done = nowcast("fit", archive, "-o", tmp_path / "g.nc", "--pictures", tmp_path / "g.nc")
    assert_refused(done, 2, "--pictures and -o both name")


def test_a_bad_file_among_good_ones_exits_4(archive: Path) -> None:
    (archive / "text.h5").write_text("not a volume")
    done = nowcast("info", archive / "v0.nc", archive / "text.h5")
    assert done.returncode == 4 and "v0.nc" in done.stdout and "1 of 2 files" in done.stderr


def test_folders_among_files_are_no_bad_files(archive: Path) -> None:
    (archive / "truth").mkdir()
    assert nowcast("info", *archive.iterdir()).returncode == 0
    assert_refused(nowcast("info", archive / "truth"), 3, "is a directory")
