"""The demo says commands that do what it does."""

from __future__ import annotations

import shlex
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers import moving_cells, small_grid
from typer.main import get_command

from nowcast.cli import app
from nowcast.cli.options import load_settings, parse_model, parse_time
from nowcast.errors import OutputError
from nowcast.pipeline import demo
from nowcast.pipeline.config import load_config
from nowcast.pipeline.demo import FIT, GRID, TRAINING, run_demo
from nowcast.pipeline.settings import Settings

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def test_the_settings_file_it_names_holds_its_settings() -> None:
    assert load_config(CONFIGS / "train-demo.yaml", Settings).train == TRAINING


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(OutputError, match="no demo made"):
        run_demo(tmp_path, seed=1, say=print, progress_bar=None)  # type: ignore[arg-type]
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


class Recorded:
    """What the demo does, without the work: the arguments of each part, by name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.volumes = moving_cells(small_grid(), steps=10)
        answers = {
            "simulate_archive": lambda plan, folder, **_: [
                SimpleNamespace(name=f"event0{k}", directory=folder / f"event0{k}") for k in range(plan.events)
            ],
            "fit_archive": lambda _, target, **__: (target.parent.mkdir(exist_ok=True), target.touch()),
            "train": lambda _, __, folder, **___: SimpleNamespace(checkpoint=folder / "model.safetensors", log=None),
            "run_evaluation": lambda *_, **__: None,
            "write_report": lambda *_: [],
            "run_forecast": lambda *_, **__: SimpleNamespace(forecast=None),
            "forecast_pictures": lambda *arguments: [arguments[-1].file],
            "gaussian_pictures": lambda *arguments: [arguments[-1].file],
            "load_sequence": lambda *_, **__: self.volumes,
            "read_windows": lambda path: [path],
            "read_log": lambda *_: None,
            "plot_training": lambda *_: None,
            "save_figure": lambda _, path: path,
        }
        for name, answer in answers.items():
            monkeypatch.setattr(demo, name, self.recording(name, answer))

    def recording(self, name: str, answer: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append((name, arguments, options))
            return answer(*arguments, **options)

        return call

    def of(self, name: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        return [(arguments, options) for called, arguments, options in self.calls if called == name]


def parsed(line: str) -> tuple[str, SimpleNamespace]:
    """The command of a line that the demo said, and what the command line makes of its options."""
    program, name, *arguments = shlex.split(line.removeprefix("$ "))
    assert program == "nowcast"
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    return name, SimpleNamespace(**command.make_context(name, arguments).params)


def test_the_commands_it_says_do_what_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded, said = Recorded(monkeypatch), []
    report = run_demo(tmp_path, seed=3, say=said.append, progress_bar=lambda _: nullcontext(lambda *_: None))
    commands = [parsed(line) for line in said if line.startswith("$ ")]
    names = ["simulate", *["fit"] * 3, "train", "evaluate", "forecast", *["plot"] * 3]
    assert [name for name, _ in commands] == names
    simulate, *fits, train, evaluate, forecast, panels, film, gaussians = (options for _, options in commands)

    ((plan, folder), _), *_ = recorded.of("simulate_archive")
    assert (simulate.events, simulate.volumes, simulate.step) == (plan.events, plan.volumes, plan.step_minutes)
    assert (simulate.seed, tuple(simulate.kind), simulate.output) == (plan.seed, plan.kinds, folder)
    for options in (*fits, evaluate, forecast):
        shared = {name: getattr(options, name) for name in ("gaussians", "spacing", "extent", "levels")}
        settings = load_settings(options.config, **shared)
        assert (settings.fit, settings.grid) == (FIT, GRID)
    for options, ((source, target), done) in zip(fits, recorded.of("fit_archive"), strict=True):
        assert (options.source, options.output, options.every) == (source, target, done["every"])
        assert (options.frames, options.future) == (done["frames"], done["future"])
        assert (done["config"], done["grid"]) == (FIT, GRID)
    assert load_settings(train.config).train == TRAINING
    ((windows, _, model), _), *_ = recorded.of("train")
    assert (train.fits, train.output) == (windows, model)
    ((asked,), _), *_ = recorded.of("run_evaluation")
    assert (evaluate.source, evaluate.leads, parse_model(evaluate.model)) == (asked.source, asked.leads, asked.model)
    assert evaluate.frames is None and asked.frames == type(asked).frames and (asked.fit, asked.grid) == (FIT, GRID)
    ((asked, output), done), *_ = recorded.of("run_forecast")
    assert (forecast.source, forecast.leads, Path(forecast.model)) == (asked.source, asked.leads, asked.model)
    assert (parse_time(forecast.at), forecast.output) == (asked.at, output)
    assert forecast.pictures is done.get("pictures", False) is False
    drawn = [*recorded.of("forecast_pictures"), *recorded.of("gaussian_pictures")]
    for options, ((*_, kinds, target), _) in zip((panels, film, gaussians), drawn, strict=True):
        assert ([options.kind], options.output) == (kinds, target.file)
    assert [options.obs for options in (panels, film, gaussians)] == [asked.source, asked.source, None]
    assert panels.files == film.files == [output] and gaussians.files[0] in windows
    assert report.pictures[:3] == tuple(target.file for ((*_, target), _) in drawn)
