"""Run the commands of a tutorial and write what they print into it.

    python tools/docs_tutorial.py docs/tutorial.md EMPTY-FOLDER

A command stands in a ``console`` block after ``$ ``, its further lines after ``> ``; what it prints follows.
``nowcast`` runs within this process, which spares it seconds of imports, all else in bash.
"""

from __future__ import annotations

import contextlib
import glob
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from nowcast.cli import app

BLOCK = re.compile(r"(?<=^```console\n)(.*?)(?=^```$)", re.DOTALL | re.MULTILINE)
STEP = re.compile(r"^\$ (.*(?:\n> .*)*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def steps(page: str) -> Iterator[tuple[str, str]]:
    """Every command of a page and what it is said to print."""
    for block in BLOCK.findall(page):
        yield from ((command.replace("\n> ", "\n"), printed) for command, printed in STEP.findall(block))


def run(command: str) -> tuple[int, str]:
    """Exit code and output, as a terminal shows it, of a command in the current folder, with its paths made common."""
    first, _, rest = command.partition(" | ")
    code, printed = _nowcast(first) if first.startswith("nowcast ") else _bash(first)
    if rest:
        code, printed = _bash(rest, printed)
    return code, printed.replace(str(Path.cwd()), "/home/me").replace(sys.executable, "/usr/bin/python3")


def _bash(command: str, given: str = "") -> tuple[int, str]:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(["bash", "-c", command], input=given, text=True, check=False, **streams)
    return done.returncode, done.stdout


def _nowcast(command: str) -> tuple[int, str]:
    words = shlex.split(command, comments=True)[1:]
    if words[0] == "batch":  # holds its log and its answer to signals to the end of the process
        return _bash(f"{shlex.quote(sys.executable)} -m {command}")
    arguments = [found for word in words for found in sorted(glob.glob(word)) or [word]]  # noqa: PTH207 - as a shell
    sys.argv = ["nowcast", *arguments]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            app(arguments)
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return code, printed.getvalue()


@contextlib.contextmanager
def within(folder: Path) -> Iterator[None]:
    """Work in a folder, as the reader of a tutorial does."""
    before, called = Path.cwd(), sys.argv
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        sys.argv = called


def rewritten(page: str) -> str:
    """The page with what its commands print here and now."""

    def step(found: re.Match[str]) -> str:
        code, printed = run(found[1].replace("\n> ", "\n"))
        print(f"{code} {found[1]}\n{printed}", file=sys.stderr)
        return f"$ {found[1]}\n{printed}"

    return BLOCK.sub(lambda block: STEP.sub(step, block[1]), page)


if __name__ == "__main__":
    path = Path(sys.argv[1]).resolve()
    with within(Path(sys.argv[2])):
        path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")
