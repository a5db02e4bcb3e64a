"""``nowcast verify``: forecast files scored against observations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.console import command_line, progress_bar
from nowcast.cli.evaluate import OUTPUT_HELP, publish
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
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR|FILE.html", help=OUTPUT_HELP)] = None,
    site: SiteOption = None,
    clutter: ClutterOption = None,
    as_json: Json = False,
) -> None:
    """Score forecast files against observed volumes, by method, lead time and height.

    Example: nowcast verify forecast.nc --obs archive/ -o scores/
    """
    import nowcast
    from nowcast.pipeline.digests import digests
    from nowcast.pipeline.report_files import make_folder
    from nowcast.pipeline.verify import VerifyRequest, forecast_files, run_verification

    request = VerifyRequest(tuple(forecasts), obs, site=parse_site(site), clutter=clutter)
    if output is not None:
        make_folder(output)
    with progress_bar("Loading and scoring") as progress:
        verification = run_verification(request, progress=progress)
    missing = [{"initial_time": init, "valid_times": times} for init, times in verification.missing.items()]
    facts = {
        "command": command_line(),
        "version": nowcast.__version__,
        "forecasts_sha256": digests(forecast_files(forecasts)),
        "observed": obs.name,
    }
    publish(verification.report, output, obs.name, as_json, facts, not_observed=missing)
