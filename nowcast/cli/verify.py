"""``nowcast verify``: forecast files scored against observations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.console import print_json, print_note, print_result, progress_bar
from nowcast.cli.options import ClutterOption, Json, SiteOption, parse_site


def verify(
    forecasts: Annotated[
        list[Path],
        typer.Argument(metavar="FORECAST...", help="Forecast files, or folders of them.", show_default=False),
    ],
    obs: Annotated[
        Path,
        typer.Option(
            "--obs", metavar="ARCHIVE", help="Directory of radar or gridded files, or a volume-sequence file."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder for tables and plots. [none written]")
    ] = None,
    site: SiteOption = None,
    clutter: ClutterOption = None,
    as_json: Json = False,
) -> None:
    """Score forecast files against observed volumes, by method, lead time and height.

    Example: nowcast verify forecast.nc --obs archive/ -o scores/
    """
    from nowcast.pipeline.evaluate import make_folder, score_table, write_report
    from nowcast.pipeline.verify import VerifyRequest, run_verification

    request = VerifyRequest(tuple(forecasts), obs, site=parse_site(site), clutter=clutter)
    if output is not None:
        make_folder(output)
    with progress_bar("Loading and scoring") as progress:
        verification = run_verification(request, progress=progress)
    report = verification.report
    paths = write_report(report, output) if output is not None else []
    if as_json:
        missing = [{"initial_time": init, "valid_times": times} for init, times in verification.missing.items()]
        print_json({**report.answer(), "not_observed": missing, "outputs": [str(path) for path in paths]})
        return
    print_result(score_table(report))
    print_note(f"Scored on {report.scored_on}.")
    for path in paths:
        print_result(str(path))
