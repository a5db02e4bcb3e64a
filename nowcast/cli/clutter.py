"""``nowcast clutter``: learn where a radar sees the ground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.console import command_line, counted, print_json, print_note, print_result, progress_bar
from nowcast.cli.options import AtOption, Input, Json, SiteOption, parse_site, parse_time


def clutter(
    source: Input,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="MAP.nc", help="Clutter map to write.")],
    at: AtOption = None,
    site: SiteOption = None,
    as_json: Json = False,
) -> None:
    """Learn a map of static ground clutter from the dry volumes of an archive.

    Example: nowcast clutter dry-days/ -o clutter.nc
    """
    from nowcast.pipeline.clutter import learn_clutter_map
    from nowcast.units import iso_utc

    with progress_bar("Reading volumes") as progress:
        learnt, wet = learn_clutter_map(
            source, output, at=parse_time(at), site=parse_site(site), history=command_line(), progress=progress
        )
    gates = [int((s.frequency >= learnt.min_frequency).sum()) for s in learnt.sweeps]
    if as_json:
        elevations = [round(s.elevation_deg, 2) for s in learnt.sweeps]
        answer = {"output": str(output), "radar": learnt.radar, "times": list(learnt.times), "with_rain": wet}
        print_json({**answer, "elevations_deg": elevations, "clutter_gates": gates})
    else:
        print_result(str(output))
    print_note(
        f"{sum(gates)} clutter gates in {len(gates)} sweeps from {len(learnt.times)} dry volumes "
        f"{iso_utc(learnt.times[0])} to {iso_utc(learnt.times[-1])}; {counted(wet, 'volume')} with rain left out"
    )
