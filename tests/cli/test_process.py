"""How the program ends, seen from outside: exit codes, a reader that goes away, an interrupt at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import helpers
import pytest

from nowcast.io.volumes import write_volumes

NOWCAST = [sys.executable, "-m", "nowcast"]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*NOWCAST, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--help",), 0, "Usage: "),
        (("fit", "--help"), 0, "Usage: "),
        (("--version",), 0, "nowcast "),
        ((), 2, "Usage: "),
        (("--nonsense",), 2, "No such option: --nonsense"),
        (("fit",), 2, "Missing argument"),
        (("nonsense",), 2, "No such command"),
    ],
)
def test_help_and_usage_errors(arguments: tuple[str, ...], code: int, words: str) -> None:
    done = run(*arguments)
    assert done.returncode == code and words in (done.stdout if code == 0 else done.stderr)
    assert "Traceback" not in done.stderr


def test_verbose_adds_a_traceback_and_keeps_the_exit_code() -> None:
    quiet, loud = run("info", "nothing.nc"), run("-v", "info", "nothing.nc")
    assert quiet.returncode == loud.returncode == 3
    assert "Traceback" not in quiet.stderr and "Traceback" in loud.stderr
    assert quiet.stderr.splitlines()[-1] == loud.stderr.splitlines()[-1]


@pytest.mark.parametrize("arguments", [("config", "show"), ("--help",), ("fit", "--help")])
def test_a_reader_that_goes_away_is_no_error(arguments: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*NOWCAST, *arguments], stdout=write, stderr=subprocess.PIPE, check=False, timeout=120)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("imported", ["typer", "numpy"])
def test_an_interrupt_during_the_imports_is_one_line(tmp_path: Path, imported: str) -> None:
    write_volumes(helpers.moving_cells(helpers.small_grid(), steps=2), tmp_path / "v.nc")
    stop = f"""
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == {imported!r}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Stop())
sys.argv = ["nowcast", "forecast", {str(tmp_path / "v.nc")!r}, "-o", {str(tmp_path / "f.nc")!r}]
runpy.run_module("nowcast", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", stop], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")


def _interrupted(process: subprocess.Popen[str]) -> str:
    """What a process says on stderr when interrupted; asked again, as people do, where a library swallowed it."""
    for _ in range(20):
        process.send_signal(signal.SIGINT)
        try:
            return process.communicate(timeout=6)[1]
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    return "it went on"


def test_an_interrupt_during_the_work_is_one_line(tmp_path: Path) -> None:
    arguments = ["simulate", "-o", str(tmp_path / "a"), "--volumes", "200", "--jobs", "1"]
    process = subprocess.Popen(
        [*NOWCAST, *arguments], stderr=subprocess.PIPE, text=True, preexec_fn=helpers.heed_interrupts
    )
    while not (tmp_path / "a").exists() and process.poll() is None:
        time.sleep(0.05)
    assert (_interrupted(process), process.returncode) == ("Interrupted.\n", 130)
