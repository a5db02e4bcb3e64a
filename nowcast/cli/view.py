"""``nowcast view``: volumes and forecasts as one web page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.console import counted, print_json, print_note, print_result, progress_bar
from nowcast.cli.options import AtOption, ClutterOption, Json, SiteOption, given, parse_site, parse_time


def view(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Forecast or volume-sequence file, a folder of radar files, or the folder of a batch job's cycle.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="PAGE.html", help="Page to write. [FILE.html]")
    ] = None,
    obs: Annotated[
        Path | None, typer.Option(metavar="ARCHIVE", help="Observed volumes to show with a forecast.")
    ] = None,
    at: AtOption = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Number of newest observed volumes.")] = None,
    site: SiteOption = None,
    clutter: ClutterOption = None,
    as_json: Json = False,
) -> None:
    """Write one web page that needs no network: map through time, levels, products, profiles, the storm in 3D.

    Example: nowcast view forecast.nc --obs archive/ -o forecast.html
    """
    from nowcast.errors import UsageError
    from nowcast.operations.published import cycle_contents, is_cycle
    from nowcast.pipeline.view import view_contents, write_page

    if output is not None and output.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"a page is HTML: give -o FILE.html, not {output.name}")
    # What a link is called tells more than what it leads to: `latest` stays that.
    target = output or Path(Path(os.path.normpath(source.absolute())).with_suffix(".html").name)
    with progress_bar("Reading volumes") as progress:
        place = parse_site(site)
        if is_cycle(source):
            if others := given(obs=obs, at=at, frames=frames, site=site, clutter=clutter):
                first = next(iter(others))
                raise UsageError(f"{source} is a cycle of a job, with its own observed volumes: leave out --{first}")
            contents = cycle_contents(source)
        else:
            contents = view_contents(
                source, obs=obs, at=parse_time(at), frames=frames, site=place, clutter=clutter, progress=progress
            )
    size = write_page(contents, target)
    if as_json:
        layers = [layer.key for layer in contents.layers]
        times = {"times": list(contents.times), "init_time": contents.init_time}
        print_json({"output": str(target), "bytes": size, **times, "layers": layers})
    else:
        print_result(str(target))
        print_note(f"{counted(len(contents.times), 'frame')}, {size / 1e6:.1f} MB; open it in a browser")
