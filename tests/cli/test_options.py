"""Options over a file over the defaults, and help that says the true defaults."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import helpers
import pytest
import typer
import yaml
from typer.testing import CliRunner

from nowcast.cli import app
from nowcast.cli.options import AUTO_GAUSSIANS, AUTO_PSNR_DB, load_settings
from nowcast.errors import ConfigError, UsageError
from nowcast.gaussians import FitConfig
from nowcast.io.volumes import write_volumes
from nowcast.pipeline.fit import fit_archive
from nowcast.pipeline.forecast import ForecastRequest
from nowcast.pipeline.hindcast_job import EvaluateRequest
from nowcast.pipeline.settings import Settings
from nowcast.radar.gridding import GridConfig

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def run(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "radar.yaml"
    path.write_text("grid: {spacing_m: 4000, top_m: 12000}\nfit:\n  gaussians: 99\n  motion: {max_ms: 40}\n")
    return path


def test_options_win_over_the_file_and_the_file_over_the_defaults(file: Path) -> None:
    assert load_settings(None) == Settings()
    settings = load_settings(file, extent=80000.0)
    assert settings.grid == GridConfig(spacing_m=4000.0, extent_m=80000.0, top_m=12000.0)
    assert (settings.fit.gaussians, settings.fit.motion.max_ms, settings.fit.rounds) == (99, 40.0, FitConfig().rounds)
    settings = load_settings(file, gaussians="7", spacing=5000.0, levels="500,9000,250")
    assert settings.grid == GridConfig(5000.0, 145000.0, 500.0, 9000.0, 250.0) and settings.fit.gaussians == 7


def test_the_number_of_gaussians_may_follow_the_content(file: Path) -> None:
    def budget(**options: Any) -> tuple[int, float | None]:
        fit = load_settings(file, **options).fit
        return fit.gaussians, fit.psnr_db

    assert budget() == (99, None)
    assert budget(gaussians="auto") == (AUTO_GAUSSIANS, AUTO_PSNR_DB)
    assert budget(psnr=35.0) == budget(gaussians="auto", psnr=35.0) == (AUTO_GAUSSIANS, 35.0)
    assert budget(gaussians="500", psnr=35.0) == (500, 35.0)
    file.write_text(file.read_text().replace("gaussians: 99", "psnr_db: 30.0"))
    assert budget(gaussians="auto") == (AUTO_GAUSSIANS, 30.0)
    assert budget(gaussians="auto", psnr=35.0) == (AUTO_GAUSSIANS, 35.0)
    for bad in ({"gaussians": "many"}, {"gaussians": "0"}, {"psnr": 0.0}):
        with pytest.raises(typer.BadParameter):
            load_settings(file, **bad)  # type: ignore[arg-type]


def test_the_device_of_the_fit_is_an_option_and_a_setting(file: Path) -> None:
    file.write_text(file.read_text() + "  device: cuda:1\n")
    assert load_settings(file).fit.device == "cuda:1" and load_settings(file, device="cpu").fit.device == "cpu"
    assert load_settings(None).fit.device == "auto"
    with pytest.raises(typer.BadParameter, match="fit device is 'gpu': expected auto, cpu"):
        load_settings(None, device="gpu")


def test_a_bad_option_is_a_usage_error_and_a_bad_file_none(file: Path) -> None:
    for bad in ({"spacing": 0.0}, {"spacing": float("nan")}, {"levels": "nan,1,1"}, {"extent": -1.0}):
        with pytest.raises(UsageError):
            load_settings(file, **bad)  # type: ignore[arg-type]
    file.write_text("fit:\n  gaussians: 0\n")
    with pytest.raises(ConfigError, match=r"radar\.yaml:2: .*gaussians"):
        load_settings(file)


def test_config_show_prints_a_file_that_gives_the_same_settings(file: Path, tmp_path: Path) -> None:
    shown = run("config", "show", file)
    assert yaml.safe_load(shown)["grid"]["spacing_m"] == 4000.0
    (tmp_path / "shown.yaml").write_text(shown)
    assert load_settings(tmp_path / "shown.yaml") == load_settings(file)
    assert "valid" in run("config", "check", file)


def test_a_forecast_uses_the_file(file: Path, tmp_path: Path) -> None:
    write_volumes(helpers.moving_cells(helpers.small_grid(), steps=3), tmp_path / "v.nc")
    file.write_text("fit: {gaussians: 32, rounds: 1}\n")
    out = tmp_path / "f.nc"
    arguments = ("forecast", tmp_path / "v.nc", "--config", file, "--leads", "2", "--no-pictures", "-o", out, "--json")
    answer = json.loads(run(*arguments))
    keys = {"output", "init_time", "lead_minutes", "input_times", "method", "fallback", "seconds"}
    assert keys <= set(answer) and answer["fallback"] is False and len(answer["lead_minutes"]) == 2
    settings = json.loads(run("info", out, "--json"))["files"][0]["provenance"]["settings"]
    assert (settings["fit"]["gaussians"], settings["fit"]["rounds"]) == (32, 1)


@pytest.mark.parametrize("command", ["grid", "fit", "forecast", "evaluate"])
def test_help_tells_the_true_defaults(command: str) -> None:
    text = " ".join(run(command, "--help").split())
    grid, fit = GridConfig(), FitConfig()
    levels = f"{grid.bottom_m:g},{grid.top_m:g},{grid.level_spacing_m:g}"
    assert f"[{grid.spacing_m:g}]" in text and f"[{grid.extent_m:g}]" in text and f"[{levels}]" in text
    if command == "grid":
        return
    assert re.search(rf"Number of Gaussians;[^\[]*\[{fit.gaussians}\]", text)
    requests = {"forecast": ForecastRequest, "evaluate": EvaluateRequest}
    if command == "fit":
        defaults = {name: p.default for name, p in inspect.signature(fit_archive).parameters.items()}
        assert f"in each sequence. [{defaults['frames']}]" in text
        return
    defaults = {field.name: field.default for field in fields(requests[command])}
    assert f"starts from. [{defaults['frames']}]" in text and f"lead times. [{defaults['leads']}]" in text
