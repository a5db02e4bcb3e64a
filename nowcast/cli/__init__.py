"""The command line. Each command has a file of its own and imports what is heavy when it runs."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import nowcast
from nowcast.cli import config as config_commands
from nowcast.cli.batch import batch
from nowcast.cli.cells import cells
from nowcast.cli.clutter import clutter
from nowcast.cli.console import flush_answer, print_note, set_up_logging
from nowcast.cli.convert import convert
from nowcast.cli.demo import demo
from nowcast.cli.evaluate import evaluate
from nowcast.cli.fetch import fetch
from nowcast.cli.fit import fit
from nowcast.cli.forecast import forecast
from nowcast.cli.grid import grid
from nowcast.cli.info import info
from nowcast.cli.plot import plot
from nowcast.cli.products import products
from nowcast.cli.serve import serve
from nowcast.cli.simulate import simulate
from nowcast.cli.status import status
from nowcast.cli.train import train
from nowcast.cli.verify import verify
from nowcast.cli.view import view
from nowcast.errors import INTERRUPTED, NowcastError

logger = logging.getLogger(__name__)


@contextmanager
def _answered() -> Iterator[None]:
    """Turn errors into a sentence and an exit code: the one place that does."""
    try:
        yield
    except NowcastError as error:
        logger.debug("where the error came from:", exc_info=error)
        print_note(f"Error: {error}")
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        print_note("Interrupted.")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # The reader of our output went away (`nowcast ... | head`): nothing is wrong here.
        raise typer.Exit(0) from None


class _Program(TyperGroup):
    """Answers what typer would answer in its own way: silence for an interrupt, exit code 1 for a closed pipe."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _answered():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _answered():
            result = super().invoke(ctx)
            flush_answer()
            return result


app = typer.Typer(
    name="nowcast",
    cls=_Program,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Radar volumes in, 3D reflectivity forecasts out.",
)
_COMMANDS = (
    demo,
    info,
    fetch,
    grid,
    clutter,
    fit,
    train,
    forecast,
    evaluate,
    verify,
    products,
    convert,
    cells,
    plot,
    view,
    simulate,
    batch,
    status,
    serve,
)
for command in _COMMANDS:
    app.command()(command)
app.add_typer(config_commands.app, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"nowcast {nowcast.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more; show tracebacks.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Version.")] = False,
) -> None:
    # Py-ART prints a banner on import unless told not to.
    os.environ.setdefault("PYART_QUIET", "1")
    # Waiting threads that spin make a busy machine crawl: training beside other work took half as long again.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    set_up_logging(verbose)


def main() -> None:
    """Run the program."""
    # Half a million objects that live as long as the program: searching them for cycles took a third of a second.
    gc.set_threshold(50_000, 20, 50)
    app()
