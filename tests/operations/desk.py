"""A forecast desk in a folder: a feed of simulated volumes, a job, and runs of it in processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from helpers import heed_interrupts

from nowcast.simulate import ArchivePlan, Radar, simulate_archive

START = np.datetime64("2024-01-15T04:00", "ns")
RADAR = Radar(
    elevations_deg=(0.5, 1.5, 2.5, 4.0, 6.0, 9.0, 13.0), rays=180, gates=100, gate_m=1000.0, clutter=False, turn_s=5.0
)
JOB: dict[str, Any] = {
    "input": {"path": "feed", "max_age": "36500d", "frames": 3, "settle": 0},
    "output": {"root": "out", "pictures": False, "folder": "{site}/{time:%Y%m%d_%H%M}"},
    "name": "desk",
    "model": "none",
    "leads": 2,
    "grid": {"spacing_m": 10000, "extent_m": 100000, "level_spacing_m": 2000},
    "fit": {"gaussians": 24, "rounds": 1},
}


def simulate_feed(folder: Path, volumes: int = 8, start: np.datetime64 = START, radar: Radar = RADAR) -> list[Path]:
    """Polar volumes of moving cells, five minutes apart, newest last."""
    plan = ArchivePlan(volumes=volumes, step_minutes=5.0, kinds=("cells",), start=start, radar=radar)
    (event,) = simulate_archive(plan, folder, jobs=1)
    return list(event.volumes)


class Prepared:
    """The process that forks the runs: see ``prepared.py``."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).with_name("prepared.py"))]
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, text=True, preexec_fn=heed_interrupts, **pipes)
        assert self.process.stdout is not None and self.process.stdout.readline() == "ready\n"

    def ask(self, **call: Any) -> int:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(call) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        self.process.wait()


@dataclass
class Run:
    """A run that has been started."""

    prepared: Prepared
    pid: int
    output: Path

    def kill(self) -> None:
        """Kill the process group at once, as the kernel or an operator would."""
        os.killpg(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        return self.prepared.ask(wait=self.pid)


@dataclass
class Desk:
    """``folder`` holds ``feed``, ``job.yaml`` and ``out``; ``volumes`` are to be delivered."""

    folder: Path
    volumes: list[Path]
    prepared: Prepared
    job: dict[str, Any] = field(default_factory=dict)
    runs: int = 0

    def __post_init__(self) -> None:
        self.feed.mkdir(parents=True)
        self.configure()

    @property
    def feed(self) -> Path:
        return self.folder / "feed"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def inside(self) -> Path:
        return self.out / ".nowcast" / "desk"

    @property
    def job_file(self) -> Path:
        return self.folder / "job.yaml"

    def configure(self, **changes: Any) -> None:
        """Write the job file; dictionaries are merged into those of ``JOB``."""
        self.job = {**JOB}
        for name, value in changes.items():
            self.job[name] = {**JOB.get(name, {}), **value} if isinstance(value, dict) else value
        self.job_file.write_text(yaml.safe_dump(self.job))

    def deliver(self, *numbers: int) -> list[Path]:
        """Volumes by number into the feed."""
        return [Path(shutil.copy(self.volumes[n], self.feed / self.volumes[n].name)) for n in numbers]

    def start(self, *options: str, limit_bytes: int | None = None) -> Run:
        """Start ``nowcast batch``."""
        self.runs += 1
        output = self.folder / f"run{self.runs}.txt"
        arguments = ["batch", str(self.job_file), *options]
        return Run(
            self.prepared, self.prepared.ask(arguments=arguments, output=str(output), limit_bytes=limit_bytes), output
        )

    def batch(self, *options: str, code: int = 0, limit_bytes: int | None = None) -> dict[str, Any]:
        """Run ``nowcast batch`` to its end; returns the status file."""
        run = self.start(*options, limit_bytes=limit_bytes)
        ended = run.wait()
        assert ended == code, f"exit code {ended}, expected {code}:\n{run.output.read_text()}"
        assert "Traceback" not in run.output.read_text(), run.output.read_text()
        return self.status

    @property
    def log(self) -> list[dict[str, Any]]:
        """The log lines of the last run."""
        text = (self.folder / f"run{self.runs}.txt").read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "desk.status.json").read_text())
        return found

    def cycles(self) -> list[str]:
        """Folders of the published cycles below the output root."""
        found = (path.parent for path in self.out.glob("SIMR/*/manifest.json"))
        return sorted(str(folder.relative_to(self.out)) for folder in found if not folder.is_symlink())


@contextmanager
def prepared() -> Iterator[Prepared]:
    process = Prepared()
    try:
        yield process
    finally:
        process.close()
