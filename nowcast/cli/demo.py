"""``nowcast demo``: the whole chain on a small simulated archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.console import print_json, print_note, print_result, progress_bar
from nowcast.cli.options import Json


def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder, new or of an earlier demo.")
    ] = Path("nowcast-demo"),
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of the simulated weather.")] = 1,
    as_json: Json = False,
) -> None:
    """Simulate radar volumes, fit Gaussians, train a small model, forecast, draw and score: about two minutes.

    Example: nowcast demo -o nowcast-demo
    """
    from nowcast.pipeline.demo import run_demo
    from nowcast.verify import score_table

    report = run_demo(output, seed=seed, say=print_note, progress_bar=progress_bar)
    if as_json:
        print_json(report.answer())
        return
    print_result(score_table(report.evaluation))
    print_result("")
    for path in report.pictures:
        print_result(str(path))
