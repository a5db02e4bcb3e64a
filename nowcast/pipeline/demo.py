"""The whole chain on a small simulated archive: radar volumes, Gaussians, a model, a forecast, pictures and scores."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.errors import OutputError
from nowcast.gaussians import FitConfig
from nowcast.io.atomic import atomic_write_text
from nowcast.io.gaussians import read_windows
from nowcast.models import ModelConfig
from nowcast.pipeline.config import config_text
from nowcast.pipeline.evaluate import run_evaluation
from nowcast.pipeline.fit import fit_archive
from nowcast.pipeline.forecast import ForecastRequest, run_forecast
from nowcast.pipeline.hindcast_job import EvaluateRequest
from nowcast.pipeline.inputs import GridConfig, load_sequence
from nowcast.pipeline.report_files import write_report
from nowcast.plot import forecast_pictures, gaussian_pictures, save_figure, target_of
from nowcast.plot.training import plot_training
from nowcast.simulate import ArchivePlan, simulate_archive
from nowcast.train import TrainConfig, read_log, train
from nowcast.types import Progress
from nowcast.verify import Report

Say = Callable[[str], None]
Bar = Callable[[str], AbstractContextManager[Progress]]

FRAMES, LEADS, VOLUMES = 4, 4, 10
KINDS = ("cells", "line")
TRAINING_EVENTS = 3
MARK = ".nowcast-demo"
MADE = ("archive", "fits", "model", "scores", "pictures", "train.yaml", "forecast.nc")
GRID = GridConfig(spacing_m=4000.0, extent_m=128000.0, level_spacing_m=1000.0)
FIT = FitConfig(gaussians=512)
TRAINING = TrainConfig(epochs=6, learning_rate=7e-4, held_out=0.3, model=ModelConfig(d_model=32, pairs=1))


@dataclass(frozen=True)
class DemoReport:
    """What the demo made: the folder, the pictures in the order to look at them, the scores, seconds by stage."""

    folder: Path
    pictures: tuple[Path, ...]
    evaluation: Report
    seconds: dict[str, float]

    def answer(self) -> dict[str, Any]:
        """The command's JSON answer."""
        return {
            "output": self.folder,
            "pictures": list(self.pictures),
            "evaluation": self.evaluation.answer(),
            "seconds": self.seconds,
        }


def run_demo(folder: Path, *, seed: int, say: Say, progress_bar: Bar) -> DemoReport:
    """Run the chain in a folder, saying the command that each stage stands for.

    The last event is kept out of training; the forecast, the pictures and the scores are of that one. What an earlier
    demo made in the folder is made anew.

    Raises OutputError when the folder holds something else already.
    """
    _make_room(folder)
    stages = _Stages(say, progress_bar)
    events = TRAINING_EVENTS + 1
    archive, fits, model = folder / "archive", folder / "fits", folder / "model"
    kinds = [part for kind in KINDS for part in ("--kind", kind)]
    size = ("--events", events, "--volumes", VOLUMES)
    with stages.run("simulate", "-o", archive, *size, "--seed", seed, *kinds) as progress:
        plan = ArchivePlan(events, VOLUMES, seed=seed, kinds=KINDS)
        made = simulate_archive(plan, archive, progress=progress)
    *training, unseen = [event.directory for event in made]
    for event in training:
        window = ("--gaussians", FIT.gaussians, "--frames", FRAMES, "--future", LEADS, "--every", 1)
        target = fits / f"{event.name}.nc"
        with stages.run("fit", event, *window, *_grid_options(), "-o", target) as progress:
            fit_archive(event, target, config=FIT, frames=FRAMES, future=LEADS, every=1, grid=GRID, progress=progress)
    files = sorted(fits.glob("*.nc"))
    settings = folder / "train.yaml"
    atomic_write_text(settings, config_text({"train": TRAINING}))
    with stages.run("train", *files, "--config", settings, "-o", model) as progress:
        trained = train([w for f in files for w in read_windows(f)], TRAINING, model, progress=progress)
        losses = save_figure(plot_training(read_log(trained.log)), model / "loss.png")
    evaluation, scores = _evaluate(unseen, trained.checkpoint, folder, stages)
    pictures = _forecast(unseen, trained.checkpoint, files[-1], folder, stages)
    return DemoReport(folder, (*pictures, *scores, losses), evaluation, stages.seconds)


def _make_room(folder: Path) -> None:
    """An empty folder with the demo's mark, by which it may later be emptied."""
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / MARK).is_file())):
        raise OutputError(f"{folder} holds something that no demo made: remove it, or give another folder with -o DIR")
    for name in MADE:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    atomic_write_text(folder / MARK, "Made by nowcast demo, which may empty this folder.\n")


def _evaluate(event: Path, model: Path, folder: Path, stages: _Stages) -> tuple[Report, list[Path]]:
    options = ("--gaussians", FIT.gaussians, "--model", model, *_grid_options())
    with stages.run("evaluate", event, "--leads", LEADS, *options, "-o", folder / "scores") as progress:
        request = EvaluateRequest(event, FIT, leads=LEADS, model=model, grid=GRID)
        report = run_evaluation(request, progress=progress)
        paths = write_report(report, folder / "scores", event.name)
    return report, [path for path in paths if path.suffix == ".png"]


def _forecast(event: Path, model: Path, fits: Path, folder: Path, stages: _Stages) -> list[Path]:
    """A forecast from the middle of the event, drawn beside what happened then; and Gaussians of another event."""
    observed = load_sequence(event, grid=GRID)
    at = observed.times[-LEADS - 1]
    output = folder / "forecast.nc"
    options = ("--gaussians", FIT.gaussians, "--model", model, *_grid_options(), "--no-pictures")
    when = str(np.datetime_as_string(at, unit="s"))
    with stages.run("forecast", event, "--at", when, "--leads", LEADS, *options, "-o", output) as progress:
        request = ForecastRequest(event, FIT, at=at, leads=LEADS, model=model, grid=GRID)
        run = run_forecast(request, output, progress=progress)
    seen = observed.select(slice(-LEADS - FRAMES, None))
    made: list[Path] = []
    for kind, name in (("panels", "forecast.png"), ("animation", "forecast.gif")):
        target = folder / "pictures" / name
        with stages.run("plot", output, "--obs", event, "--kind", kind, "-o", target):
            made += forecast_pictures(run.forecast, seen, [kind], target_of(target, ""))
    target = folder / "pictures" / "gaussians.png"
    with stages.run("plot", fits, "--kind", "gaussians", "-o", target):
        made += gaussian_pictures(read_windows(fits)[-1], ["gaussians"], target_of(target, ""))
    return made


def _grid_options() -> tuple[object, ...]:
    levels = f"{GRID.bottom_m:g},{GRID.top_m:g},{GRID.level_spacing_m:g}"
    return ("--spacing", f"{GRID.spacing_m:g}", "--extent", f"{GRID.extent_m:g}", "--levels", levels)


class _Stages:
    """Says each stage's command, shows its progress, keeps its seconds."""

    def __init__(self, say: Say, progress_bar: Bar) -> None:
        self.say, self.progress_bar = say, progress_bar
        self.seconds: dict[str, float] = {}

    @contextmanager
    def run(self, command: str, *arguments: object) -> Iterator[Progress]:
        self.say(f"$ {shlex.join(['nowcast', command, *map(str, arguments)])}")
        start = time.perf_counter()
        with self.progress_bar(command) as progress:
            yield progress
        seconds = time.perf_counter() - start
        self.seconds[command] = round(self.seconds.get(command, 0.0) + seconds, 2)
        self.say(f"  {seconds:.1f} s")
