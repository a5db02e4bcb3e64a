"""The commands of the tutorials run, one after another, and print what they are said to print."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs_tutorial import rewritten, run, steps, within
from helpers import real_data

DOCS = Path(__file__).resolve().parents[2] / "docs"


def words(printed: str) -> list[str]:
    """Lines without what differs between machines: numbers, the space around them, and who is ahead by a hair."""
    lines = [re.sub(r"methods, .*", "methods", line) for line in printed.splitlines()]
    return [" ".join(re.sub(r"-?\d+(\.\d+)?", "0", line).split()) for line in lines]


def follow(page: Path, folder: Path) -> None:
    told = list(steps(page.read_text(encoding="utf-8")))
    assert len(told) > 10
    with within(folder):
        for command, printed in told:
            code, found = run(command)
            assert code == 0, found
            assert words(found) == words(printed), command


def test_the_tutorial_on_a_simulated_archive(tmp_path: Path) -> None:
    follow(DOCS / "tutorial.md", tmp_path)


@pytest.mark.slow
def test_the_tutorial_on_a_nexrad_archive(tmp_path: Path) -> None:
    (tmp_path / "KHTX").symlink_to(real_data("khtx_20080411_nexrad"))
    follow(DOCS / "nexrad.md", tmp_path)


def test_a_page_is_rewritten_with_what_its_commands_print(tmp_path: Path) -> None:
    commands = "$ cat > a.txt <<END\n> one\n> END\n$ cat a.txt | tr o O\nold\n$ nowcast --version\n"
    with within(tmp_path):
        new = rewritten(f"Text\n\n```console\n{commands}```\n\nMore\n")
    assert "$ cat a.txt | tr o O\nOne\n$ nowcast --version\nnowcast 0" in new and "old" not in new
    assert new.startswith("Text\n\n```console\n$ cat > a.txt") and new.endswith("```\n\nMore\n")
