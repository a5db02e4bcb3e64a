"""The command line. Each command has a file of its own and imports what is heavy when it runs."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import Annotated

import typer

import nowcast
from nowcast.cli import config as config_commands
from nowcast.cli.clutter import clutter
from nowcast.cli.console import print_note, set_up_logging
from nowcast.cli.demo import demo
from nowcast.cli.evaluate import evaluate
from nowcast.cli.fit import fit
from nowcast.cli.forecast import forecast
from nowcast.cli.grid import grid
from nowcast.cli.info import info
from nowcast.cli.plot import plot
from nowcast.cli.simulate import simulate
from nowcast.cli.train import train
from nowcast.cli.verify import verify
from nowcast.errors import NowcastError

INTERRUPTED = 130

app = typer.Typer(
    name="nowcast",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Radar volumes in, 3D reflectivity forecasts out.",
)
for command in (demo, info, grid, clutter, fit, train, forecast, evaluate, verify, plot, simulate):
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
    """Run the program; the one place that turns errors into a sentence and an exit code."""
    # Half a million objects that live as long as the program: searching them for cycles took a second of nine.
    gc.set_threshold(50_000, 20, 50)
    atexit.register(gc.freeze)
    try:
        app()
    except NowcastError as error:
        if "-v" in sys.argv or "--verbose" in sys.argv:
            raise
        print_note(f"Error: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print_note("Interrupted.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away (`nowcast ... | head`): nothing is wrong here.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()
