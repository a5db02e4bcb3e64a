"""``nowcast config show`` and ``nowcast config check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.console import print_json, print_result
from nowcast.cli.options import Json

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Show the effective settings, check a file of them."
)


@app.command()
def show(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE.yaml", help="YAML file; none shows the defaults.")
    ] = None,
) -> None:
    """Print every setting with the value that would be used, as YAML.

    Example: nowcast config show settings.yaml
    """
    from nowcast.pipeline.config import config_text, load_config
    from nowcast.pipeline.settings import Settings

    settings = Settings() if file is None else load_config(file, Settings)
    print_result(config_text(settings).rstrip())


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="YAML file of settings.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Check a file of settings; errors name the file and the line.

    Example: nowcast config check settings.yaml
    """
    from nowcast.pipeline.config import load_config
    from nowcast.pipeline.settings import Settings

    load_config(file, Settings)
    if as_json:
        print_json({"file": str(file), "valid": True})
    else:
        print_result(f"{file}: valid")
