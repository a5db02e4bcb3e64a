"""What every command prints with: results on stdout, progress and logs on stderr, errors in one plain sentence."""

from __future__ import annotations

import json
import logging
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Progress = Callable[[int, int], None]


def print_json(answer: Any) -> None:
    """Print one JSON object on stdout. Not-a-number becomes null: JSON has no NaN."""
    print(json.dumps(_jsonable(answer), allow_nan=False))


def print_result(text: str) -> None:
    """Print a line of the answer on stdout, as it is: no markup, no wrapping."""
    print(text)


def print_note(text: str) -> None:
    """Print a line for people on stderr, as it is."""
    print(text, file=sys.stderr)


def _jsonable(value: Any) -> Any:
    import numpy as np

    if isinstance(value, dict):
        return {str(k): _jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(v) for v in value]
    if isinstance(value, np.ndarray):
        return _jsonable(list(value))
    if isinstance(value, np.datetime64):
        return iso_time(value)
    if isinstance(value, np.generic):
        return _jsonable(value.item())
    if isinstance(value, float) and value != value:
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def command_line() -> str:
    """The command as typed, for a file's history."""
    return shlex.join(["nowcast", *sys.argv[1:]])


def iso_time(time: Any) -> str:
    """A numpy time as ISO 8601 UTC to the second."""
    import numpy as np

    return f"{np.datetime_as_string(time, unit='s')}Z"


@contextmanager
def progress_bar(description: str) -> Iterator[Progress]:
    """A progress bar with the time left on stderr; silent where stderr is no terminal. Yields ``(done, total)``."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
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
