"""``nowcast products``: CAPPIs, echo tops, VIL, rain and hail from volumes and forecasts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.console import command_line, counted, print_json, print_note, print_result
from nowcast.cli.options import (
    AtOption,
    ConfigOption,
    HeightsOption,
    IsothermsOption,
    Json,
    ProductsOption,
    ZrOption,
    load_products,
    parse_time,
)


def products(
    source: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Forecast or volume-sequence file, or a folder.", show_default=False),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="OUT.nc", help="File to write. [FILE.products.nc]")
    ] = None,
    names: ProductsOption = None,
    heights: HeightsOption = None,
    zr: ZrOption = None,
    isotherms: IsothermsOption = None,
    at: AtOption = None,
    config: ConfigOption = None,
    as_json: Json = False,
) -> None:
    """Make CAPPIs, column maxima, echo tops, VIL, rain and hail from observed volumes, a forecast or an ensemble.

    Example: nowcast products forecast.nc --products echo_top,rain_accumulation -o products.nc
    """
    from nowcast.pipeline.products import run_products

    settings = load_products(config, names, heights, zr, isotherms)
    target = output or Path(source.resolve().with_suffix(".products.nc").name)
    run = run_products(source, target, settings, at=parse_time(at), history=command_line())
    if as_json:
        print_json(run.answer())
    else:
        print_result(str(run.output))
    lacking = "" if settings.isotherms_m or settings.names else "; hail needs --isotherms"
    print_note(f"{counted(len(run.variables), 'variable')} of {counted(len(settings.chosen()), 'product')}{lacking}")
