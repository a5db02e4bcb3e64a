"""What every command prints with: results on stdout, progress and logs on stderr, errors in one plain sentence."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from nowcast.errors import OutputError

if TYPE_CHECKING:
    from nowcast.types import Progress


def print_json(answer: Any) -> None:
    """Print one JSON object on stdout. Not-a-number and infinity become null: JSON has neither."""
    from nowcast.io.answers import json_text

    print_result(json_text(answer))


def print_result(text: str) -> None:
    """Print a line of the answer on stdout, as it is: no markup, no wrapping."""
    with _written():
        print(text)


def flush_answer() -> None:
    """Have what was printed written out now.

    Raises BrokenPipeError where the reader has gone away, OutputError where there is no room for it.
    """
    with _written():
        sys.stdout.flush()


@contextmanager
def ending_with(exit_code: int) -> Iterator[None]:
    """Print the answer of a command in this context and end with a code that counts even where nobody reads it."""
    try:
        yield
        flush_answer()
    except BrokenPipeError:
        pass
    except OutputError as error:
        print_note(f"Error: {error}")
    raise typer.Exit(exit_code)


@contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # What is still held back would fail again at the end of the program.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise OutputError(f"cannot write the answer to stdout: {error.strerror}") from error


def print_note(text: str) -> None:
    """Print a line for people on stderr, as it is."""
    print(text, file=sys.stderr)


def counted(count: int, noun: str) -> str:
    """``1 volume``, ``2 volumes``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def command_line() -> str:
    """The command as typed, for a file's history."""
    return shlex.join(["nowcast", *sys.argv[1:]])


@contextmanager
def progress_bar(description: str) -> Iterator[Progress]:
    """A progress bar with the time left on stderr; silent where stderr is no terminal. Yields ``(done, total)``."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(description, total=None)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield update


def set_up_logging(verbose: bool = False) -> None:
    """Send nowcast's log records to stderr, one plain line each; other packages' only from WARNING up when verbose."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger = logging.getLogger("nowcast")
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logger.propagate = False
    logging.getLogger().addHandler(logging.NullHandler())
