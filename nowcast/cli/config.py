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
ConfigFile = Annotated[Path, typer.Argument(help="YAML file of training settings.", show_default=False)]


@app.command()
def show(file: Annotated[Path | None, typer.Argument(help="YAML file; none shows the defaults.")] = None) -> None:
    """Print every training setting with the value that would be used, as YAML.

    Example: nowcast config show configs/train-demo.yaml
    """
    import dataclasses

    import yaml

    from nowcast.pipeline.config import load_config
    from nowcast.train import TrainConfig

    config = TrainConfig() if file is None else load_config(file, TrainConfig)
    print_result(yaml.safe_dump(dataclasses.asdict(config), sort_keys=False).rstrip())


@app.command()
def check(file: ConfigFile, as_json: Json = False) -> None:
    """Check a file of training settings; errors name the file and the line.

    Example: nowcast config check configs/train-demo.yaml
    """
    from nowcast.pipeline.config import load_config
    from nowcast.train import TrainConfig

    load_config(file, TrainConfig)
    if as_json:
        print_json({"file": str(file), "valid": True})
    else:
        print_result(f"{file}: valid")
