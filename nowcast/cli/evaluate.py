"""``nowcast evaluate``: hindcasts over an archive, scored side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nowcast.cli.console import command_line, print_json, print_note, print_result, progress_bar
from nowcast.cli.options import (
    ClutterOption,
    CombineOption,
    ConfigOption,
    DaskOption,
    ExtentOption,
    Frames,
    Gaussians,
    Input,
    Json,
    Leads,
    LevelsOption,
    ModelOption,
    Psnr,
    SiteOption,
    SpacingOption,
    WithinOption,
    given,
    load_settings,
    parse_model,
    parse_site,
)

if TYPE_CHECKING:
    from nowcast.verify import Report


OUTPUT_HELP = "Folder for the report (report.html), pictures and tables; or the page itself. [none written]"


def evaluate(
    source: Input,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR|FILE.html", help=OUTPUT_HELP)] = None,
    every: Annotated[
        int, typer.Option(min=1, metavar="N", help="Only every so many-th volume is an initial time.")
    ] = 1,
    leads: Leads = None,
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Of persistence, reconstruction, extrapolation, extrapolation-levels, steps (needs --members and "
            "pysteps), advection, gaumamba (with a model). [all]",
        ),
    ] = None,
    model: ModelOption = "default",
    members: Annotated[int, typer.Option(min=1, metavar="M", help="Members of the ensembles.")] = 1,
    frames: Frames = None,
    gaussians: Gaussians = None,
    psnr: Psnr = None,
    keep_forecasts: Annotated[
        bool, typer.Option("--keep-forecasts", help="Write each forecast to DIR/forecasts/METHOD/.")
    ] = False,
    site: SiteOption = None,
    clutter: ClutterOption = None,
    config: ConfigOption = None,
    spacing: SpacingOption = None,
    extent: ExtentOption = None,
    levels: LevelsOption = None,
    within: WithinOption = None,
    combine: CombineOption = None,
    dask: DaskOption = None,
    as_json: Json = False,
) -> None:
    """Forecast from every possible initial time of an archive and score the methods side by side.

    Example: nowcast evaluate archive/ --leads 6 --methods persistence,extrapolation -o scores/
    """
    from nowcast.errors import UsageError
    from nowcast.pipeline.evaluate import hindcast, load_archive
    from nowcast.pipeline.forecast import provenance
    from nowcast.pipeline.grid_cluster import gridding
    from nowcast.pipeline.hindcast_cluster import check_hindcast_cluster
    from nowcast.pipeline.hindcast_job import EvaluateRequest
    from nowcast.pipeline.report_files import folder_of, make_folder

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
    request = EvaluateRequest(
        source=source,
        fit=settings.fit,
        methods=tuple(name.strip() for name in methods.split(",")) if methods is not None else (),
        every=every,
        model=parse_model(model),
        members=members,
        keep_forecasts=folder_of(output) / "forecasts" if output is not None and keep_forecasts else None,
        grid=settings.grid,
        quality=settings.quality,
        mosaic=settings.mosaic,
        tally=settings.tally,
        site=parse_site(site),
        clutter=clutter,
        **given(frames=frames, leads=leads),
    )
    request.chosen_methods()
    shared = None if output is None else folder_of(output)
    check_hindcast_cluster(dask, shared)
    if output is not None:
        make_folder(output)
    elif keep_forecasts:
        raise UsageError("--keep-forecasts needs a folder to keep them in: give -o DIR")
    with gridding(dask if source.is_dir() else None) as cache, progress_bar("Loading volumes") as progress:
        archive = load_archive(request, progress=progress, cache=cache)
    with progress_bar("Forecasting") as progress:
        report = hindcast(archive, request, history=command_line(), progress=progress, dask=dask, shared=shared)
    facts: dict[str, Any] = {}
    if output is not None:  # the checksums of a long archive take their time
        facts = {"command": command_line()} | provenance(request, archive, ", ".join(report.tallies))
    publish(report, output, source.name, as_json, facts)
    report.raise_failures()


def publish(
    report: Report, output: Path | None, title: str, as_json: bool, facts: Mapping[str, Any], **more: Any
) -> None:
    """Write a report where a place is given, with the ``facts`` of how it came about, and print it.

    ``more`` goes into the JSON answer.
    """
    from nowcast.pipeline.report_files import write_report
    from nowcast.verify import bootstrap, score_table
    from nowcast.verify.summary import verdict

    paths = write_report(report, output, title, facts) if output is not None else []
    if as_json:
        print_json({**report.answer(), **more, "outputs": [str(path) for path in paths]})
        return
    print_result(score_table(report))
    print_result(verdict(report))
    print_note(f"Scored on {report.scored_on}. {bootstrap.note(len(report.events))}")
    for path in paths:
        print_result(str(path))
