"""``nowcast forecast``: one operational cycle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.console import command_line, counted, print_json, print_note, print_result, progress_bar
from nowcast.cli.options import (
    AtOption,
    ClutterOption,
    CombineOption,
    ConfigOption,
    ExtentOption,
    Frames,
    Gaussians,
    Input,
    IsothermsOption,
    Json,
    Leads,
    LevelsOption,
    ModelOption,
    ProductsOption,
    Psnr,
    SiteOption,
    SpacingOption,
    WithinOption,
    given,
    load_settings,
    parse_model,
    parse_site,
    parse_time,
    product_config,
)


def forecast(
    source: Input,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.nc", help="Forecast file to write.")],
    at: AtOption = None,
    leads: Leads = None,
    step: Annotated[
        float | None, typer.Option(metavar="MINUTES", help="Minutes between lead times. [median step of the input]")
    ] = None,
    model: ModelOption = "default",
    members: Annotated[int, typer.Option(min=1, metavar="M", help="Members of an ensemble; needs a model.")] = 1,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of what the members differ by.")] = 0,
    frames: Frames = None,
    gaussians: Gaussians = None,
    psnr: Psnr = None,
    pictures: Annotated[bool, typer.Option(help="Also draw the forecast into FILE.png.")] = True,
    products: ProductsOption = None,
    isotherms: IsothermsOption = None,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.nc",
            help="Carries the Gaussians on: without a model the next cycle starts from them. [none]",
        ),
    ] = None,
    site: SiteOption = None,
    clutter: ClutterOption = None,
    config: ConfigOption = None,
    spacing: SpacingOption = None,
    extent: ExtentOption = None,
    levels: LevelsOption = None,
    within: WithinOption = None,
    combine: CombineOption = None,
    as_json: Json = False,
) -> None:
    """Forecast the 3D reflectivity from the newest volumes.

    Example: nowcast forecast archive/ --at 2005-11-27T04:41 --leads 6 -o forecast.nc
    """
    from nowcast.errors import FallbackPublished
    from nowcast.pipeline.forecast import ForecastRequest, run_forecast
    from nowcast.units import span_text

    settings = load_settings(
        config,
        gaussians=gaussians,
        psnr=psnr,
        spacing=spacing,
        extent=extent,
        levels=levels,
        within=within,
        combine=combine,
    )
    request = ForecastRequest(
        source=source,
        fit=settings.fit,
        at=parse_time(at),
        model=parse_model(model),
        members=members,
        seed=seed,
        grid=settings.grid,
        quality=settings.quality,
        mosaic=settings.mosaic,
        products=product_config(settings.products, products, isotherms=isotherms),
        site=parse_site(site),
        clutter=clutter,
        state=state,
        **given(frames=frames, leads=leads, step_minutes=step),
    )
    with progress_bar("Fitting Gaussians") as progress:
        run = run_forecast(request, output, history=command_line(), pictures=pictures, progress=progress)
    if as_json:
        print_json(run.answer())
    else:
        for path in run.outputs:
            print_result(str(path))
    print_note(
        f"{run.forecast.method} forecast for {counted(len(run.forecast.lead_times), 'lead time')} "
        f"from {counted(len(run.volumes), 'volume')} {span_text(run.volumes.times)} "
        f"in {run.seconds['total']:.1f} s"
    )
    if run.fallback is not None:
        raise FallbackPublished(f"{run.fallback}; published the {run.forecast.method} forecast in its place")
