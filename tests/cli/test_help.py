"""Help is quick, complete and light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nowcast.cli import app

COMMANDS = (
    "demo",
    "info",
    "fetch",
    "grid",
    "clutter",
    "fit",
    "train",
    "forecast",
    "evaluate",
    "verify",
    "products",
    "convert",
    "cells",
    "plot",
    "view",
    "simulate",
    "batch",
    "status",
    "serve",
)


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", "nowcast", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_every_command_is_listed() -> None:
    text = run("--help")
    assert all(f" {name} " in text for name in (*COMMANDS, "config"))


def test_the_readme_lists_every_command() -> None:
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text().split("## Commands", 1)[1]
    names = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    assert sorted(names) == sorted(COMMANDS)
    assert all(f"`{name}`" in text for name in (*names, "config"))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_gives_an_example(command: str) -> None:
    assert f"nowcast {command}" in run(command, "--help").split("Usage:", 1)[1].split("\n", 1)[1]


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, nowcast.cli; print([m for m in ('torch', 'numpy', 'pyart', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
