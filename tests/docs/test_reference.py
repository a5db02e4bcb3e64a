"""The reference that is made from the code holds every command, option and setting, each with what it means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from docs_reference import commands_page, settings_page
from typer.main import get_command

from nowcast.cli import app


def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command that can be typed, also those of groups within groups."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
    else:
        for part, each in inner.items():
            yield from walk(each, f"{name} {part}")


COMMANDS = dict(walk(get_command(app), "nowcast"))


@pytest.fixture(scope="module")
def sections() -> dict[str, str]:
    """What the page says of each command, in one line without marks."""
    parts = re.split(r"^## (.*)$", commands_page(), flags=re.MULTILINE)
    return {name: plain(text) for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def plain(text: str) -> str:
    return " ".join(re.sub(r"[\\`]", "", text.replace("&lt;", "<")).split())


def test_the_reference_has_every_command_and_no_other(sections: dict[str, str]) -> None:
    assert list(sections) == ["nowcast", *COMMANDS]
    assert {"nowcast forecast", "nowcast config show"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_reference_has_every_option_and_what_it_means(sections: dict[str, str], name: str) -> None:
    for parameter in COMMANDS[name].params:
        meaning = plain(parameter.help or "")
        assert len(meaning.split()) > 1 or parameter.is_eager, f"{name}: {parameter.opts} says nothing in its help"
        assert meaning in sections[name], f"{name}: the help of {parameter.opts} is missing"
        for option in (*parameter.opts, *parameter.secondary_opts):
            if option.startswith("-"):
                assert re.search(rf"(?<![\w-]){option}(?![\w-])", sections[name]), f"{name}: {option} is missing"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_reference_says_what_a_command_does_and_gives_its_example(sections: dict[str, str], name: str) -> None:
    assert sections[name].split(" Example: ")[0].endswith(".") and f" sh {name} " in sections[name]


def test_every_setting_has_its_default_and_meaning() -> None:
    rows = re.findall(r"^\| (`\w+`.*?) \| (.*?) \| (.*) \|$", settings_page(), flags=re.MULTILINE)
    assert [names for names, defaults, meaning in rows if "``" in defaults or not meaning] == []
    assert all(names.count("`") <= defaults.count("`") for names, defaults, _ in rows)
    told = " ".join(names for names, _, _ in rows)
    assert all(f"`{name}`" in told for name in ("spacing_m", "gaussians", "thresholds_dbz", "far_m", "epochs"))
