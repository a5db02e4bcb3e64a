"""``nowcast cells``: storm cells with identity over time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.console import command_line, counted, print_json, print_note, print_result
from nowcast.cli.options import Json, ModelOption, parse_model


def cells(
    source: Annotated[
        Path, typer.Argument(metavar="FITS.nc", help="Gaussian file of `nowcast fit`, or a state.", show_default=False)
    ],
    output: Annotated[
        list[Path],
        typer.Option("-o", "--output", metavar="OUT", help="A .geojson, .csv, .png, .svg or .pdf; repeatable."),
    ],
    threshold: Annotated[float, typer.Option(metavar="DBZ", help="A cell is where the column reaches this.")] = 35.0,
    least_area: Annotated[float, typer.Option(metavar="KM2", help="Smaller areas are no cells.")] = 20.0,
    leads: Annotated[
        int, typer.Option(min=0, metavar="N", help="Number of lead times to forecast the tracks for.")
    ] = 6,
    step: Annotated[float, typer.Option(metavar="MINUTES", help="Minutes between lead times.")] = 10.0,
    model: ModelOption = "none",
    members: Annotated[int, typer.Option(min=1, metavar="M", help="Members of an ensemble; needs a model.")] = 1,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of what the members differ by.")] = 0,
    as_json: Json = False,
) -> None:
    """Find storm cells, follow them by the Gaussians that they are made of, and forecast their tracks.

    Example: nowcast cells fits/event1.nc --threshold 40 -o cells.geojson -o cells.png
    """
    from nowcast.cells import CellConfig
    from nowcast.cells.files import FORMATS, write_cells
    from nowcast.errors import ConfigError, UsageError
    from nowcast.io.atomic import check_writable
    from nowcast.pipeline.cells import run_cells

    if leads and not step > 0:
        raise UsageError(f"--step is {step:g}: expected minutes above 0")
    try:
        config = CellConfig(threshold_dbz=threshold, least_area_km2=least_area)
    except ConfigError as error:
        raise UsageError(str(error)) from error
    drawn = [path for path in output if path.suffix.lower() not in FORMATS]
    if drawn:
        from nowcast.plot import plot_tracks, save_figure
        from nowcast.plot.style import FORMATS as PICTURES
    for path in drawn:
        if path.suffix.lower() not in PICTURES:
            raise UsageError(f"cells are written as {', '.join((*FORMATS, *PICTURES))}: {path.name} is none of these")
    for path in output:
        check_writable(path)
    minutes = [step * (k + 1) for k in range(leads)]
    run = run_cells(source, config, lead_minutes=minutes, model=parse_model(model), members=members, seed=seed)
    for path in output:
        if path in drawn:
            save_figure(plot_tracks(run.gaussians, run.cells, run.ahead, config), path)
        else:
            write_cells(run.cells, run.ahead, run.gaussians.grid, path, facts=run.facts, history=command_line())
        if not as_json:
            print_result(str(path))
    ids = {cell.id for now in run.cells for cell in now}
    if as_json:
        counts = [len(now) for now in run.cells]
        times = list(run.gaussians.times)
        print_json({"outputs": [str(path) for path in output], "times": times, "cells": counts, "ids": sorted(ids)})
    print_note(f"{counted(len(ids), 'cell')} over {counted(len(run.cells), 'time')}")
