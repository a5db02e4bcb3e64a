"""What the pages tell to type can be typed: its commands and options exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from nowcast.cli import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    path
    for pattern in ("*.md", "docs/*.md", "data/*.md", "nowcast/weights/*.md", "kernels/*.md")
    for path in sorted(ROOT.glob(pattern))
]
OTHERS = {"--nproc-per-node", "--system", "--help", "--version", "--install-completion", "--data", "--out", "--scale"}
"""Options of the program itself, and of other programs that the pages name."""


def calls(page: str) -> Iterator[str]:
    """The calls of nowcast in the blocks of a page."""
    for block in re.findall(r"^```(?:sh|console)\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            call = line.removeprefix("$ ").partition(" | ")[0]
            if call.startswith("nowcast ") and "..." not in call:
                yield call


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_calls_of_a_page_can_be_typed(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for call in calls(text):
        arguments = shlex.split(call, comments=True)[1:]
        command = get_command(app)
        while hasattr(command, "commands"):
            assert arguments and arguments[0] in command.commands, call
            command = command.commands[arguments.pop(0)]
        command.make_context(call, arguments)  # raises what the user would be told


def options() -> Iterator[str]:
    waiting = [get_command(app)]
    while waiting:
        command = waiting.pop()
        waiting += getattr(command, "commands", {}).values()
        yield from (option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_options_that_a_page_names_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    named = {o for code in re.findall(r"`([^`\n]+)`", text) for o in re.findall(r"(?<![\w-])--[a-z][\w-]+", code)}
    assert sorted(named - set(options()) - OTHERS) == []


def test_calls_are_found() -> None:
    assert len(list(calls((ROOT / "docs" / "forecasting.md").read_text(encoding="utf-8")))) > 5
