"""The example that each command's help gives runs, on small simulated inputs of the names that it uses."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from docs_reference import commands_page
from docs_tutorial import run, within
from helpers import heed_interrupts
from radar_files import level2
from s3_server import s3_server

from nowcast.simulate import ArchivePlan, Radar, simulate_archive

EXAMPLES = dict(re.findall(r"^## (.*)\n(?:(?!## ).*\n)*?```sh\n(nowcast .*)\n", commands_page(), re.MULTILINE))
RADAR = Radar(elevations_deg=(0.5, 1.5, 2.5, 4.0, 6.0, 9.0, 13.0), rays=180, gates=140, gate_m=1000.0, turn_s=5.0)
START = np.datetime64("2005-11-27T03:21", "ns")
SMALL = {
    "grid": {"spacing_m": 10000, "extent_m": 120000, "level_spacing_m": 2000},
    "fit": {"gaussians": 32, "rounds": 1},
    "leads": 2,
}
JOB = SMALL | {"input": {"path": "archive", "max_age": "36500d", "settle": 0}, "output": {"root": "desk"}}
BEFORE = {"nowcast status": "nowcast batch job.yaml"}
"""What is to be done first."""
SLOW = {"nowcast demo"}
FOREVER = {"nowcast serve"}
"""Goes on until it is interrupted."""
ELSEWHERE = {"/srv/nowcast": "desk"}
"""What stands for places outside of the folder."""
ADDED = {"nowcast serve": " --port 0"}
"""Other work on this machine may have the port of the example."""


DEMO_SETTINGS = Path(__file__).resolve().parents[2] / "configs" / "train-demo.yaml"


class Store:
    """Inputs by the names that the examples use, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.makers: dict[str, Callable[[Path], object]] = {
            "archive": lambda path: self.simulate(path, "cells", 12),
            "dry-days": lambda path: self.simulate(path, "dry", 6),
            "settings.yaml": lambda path: shutil.copy(DEMO_SETTINGS, path),
            "fits": self.fit,
            "forecast.nc": lambda path: self.do(
                f"nowcast forecast archive/ --at 2005-11-27T04:41 --config small.yaml --no-pictures -o {path.name}",
                "archive",
                "small.yaml",
            ),
            "products.nc": lambda path: self.do(f"nowcast products forecast.nc -o {path.name}", "forecast.nc"),
            "desk": lambda path: self.do("nowcast batch job.yaml", "job.yaml"),
            "job.yaml": lambda path: path.write_text(yaml.safe_dump(JOB)) and self.path("archive"),
            "small.yaml": lambda path: path.write_text(yaml.safe_dump({k: SMALL[k] for k in ("grid", "fit")})),
        }

    def path(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            self.makers[name](path)
        return path

    def simulate(self, path: Path, kind: str, volumes: int, day: int = 0) -> None:
        start = START + np.timedelta64(day, "D")
        simulate_archive(ArchivePlan(volumes=volumes, kinds=(kind,), start=start, radar=RADAR), path, jobs=1)

    def fit(self, path: Path) -> None:
        """Windows of two events, named as the examples name them."""
        self.simulate(self.folder / "other", "line", 6, day=9)
        for number, archive in enumerate(("archive", "other"), 1):
            options = "--frames 3 --future 3 --config small.yaml"
            self.do(f"nowcast fit {archive} {options} -o {path.name}/event{number}.nc", "archive", "small.yaml")

    def do(self, command: str, *inputs: str) -> None:
        for name in inputs:
            self.path(name)
        with within(self.folder):
            code, said = run(command)
        assert code == 0, said

    def lay_out(self, example: str, folder: Path) -> None:
        """Copy what the example reads into a folder: its words by their first part, but for what follows ``-o``."""
        words = shlex.split(example)
        written = {words[k + 1] for k, word in enumerate(words) if word == "-o"}
        for word in set(words) - written:
            name = word.split("/")[0]
            if name in self.makers and not (folder / name).exists():
                made = self.path(name)
                (shutil.copytree if made.is_dir() else shutil.copy)(made, folder / name)
                if name == "job.yaml":
                    shutil.copytree(self.path("archive"), folder / "archive")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def check(name: str, example: str, folder: Path) -> None:
    """Run an example: it ends well, and what it names after ``-o`` is there."""
    with within(folder):
        for command in filter(None, (BEFORE.get(name), example)):
            code, said = interrupted(command) if name in FOREVER else run(command)
            if code and "pip install 'gaussian-nowcast[" in said:
                pytest.skip(said)
            assert code == 0, said
        assert said.strip()
    words = shlex.split(example)
    for output in (words[k + 1] for k, word in enumerate(words) if word == "-o"):
        pattern = re.sub(r"{.*?}", "*", output)  # files that are named by time and the like
        assert list(folder.glob(pattern)), output


def interrupted(command: str) -> tuple[int, str]:
    """Exit code, 0 for an interrupt, and first line of a command that is interrupted when it says something."""
    words = [sys.executable, "-u", "-m", *shlex.split(command)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(words, text=True, preexec_fn=heed_interrupts, **streams) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said += process.communicate(timeout=60)[0]
    return 0 if process.returncode in (0, 130) else process.returncode, said


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in EXAMPLES if n != "nowcast fetch"]
)
def test_the_example_of_the_help_runs(name: str, store: Store, tmp_path: Path) -> None:
    example = EXAMPLES[name] + ADDED.get(name, "")
    for place, here in ELSEWHERE.items():
        example = example.replace(place, here)
    store.lay_out(example, tmp_path)
    check(name, example, tmp_path)


def test_the_example_of_fetch_runs(tmp_path: Path) -> None:
    """From a server of our own: nothing else is added to the example."""
    pytest.importorskip("moto", reason="the test of fetching needs moto: pip install -e '.[dev]'")
    with s3_server() as server:
        server.put("/archive")
        server.put("/archive/2013/05/20/KTLX/KTLX20130520_193500_V06", level2())
        check("nowcast fetch", f"{EXAMPLES['nowcast fetch']} --bucket archive --endpoint {server.url}", tmp_path)
    assert [path.name for path in (tmp_path / "KTLX").iterdir()] == ["KTLX20130520_193500_V06"]


def test_every_command_has_an_example() -> None:
    assert len(EXAMPLES) == commands_page().count("\n## ") - 1  # all but the program itself
