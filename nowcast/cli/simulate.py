"""``nowcast simulate``: a radar archive of simulated storms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.console import counted, print_json, print_note, print_result, progress_bar
from nowcast.cli.options import Json, SiteOption, parse_site, parse_time


def simulate(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write the archive into.")],
    events: Annotated[int, typer.Option("--events", min=1, help="Number of weather events, one folder each.")] = 1,
    volumes: Annotated[int, typer.Option("--volumes", min=1, help="Number of volumes an event.")] = 12,
    step: Annotated[float, typer.Option("--step", min=0.5, metavar="MINUTES", help="Minutes between volumes.")] = 10.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of chance: same seed, same archive.")] = 1,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="Weather: cells, line, stratiform or dry; repeat to take several in turn. [cells, line, stratiform]",
        ),
    ] = None,
    start: Annotated[str, typer.Option(metavar="TIME", help="UTC time of the first volume.")] = "2024-01-15T04:00",
    site: SiteOption = None,
    clutter: Annotated[bool, typer.Option(help="Let the radar see the ground.")] = True,
    jobs: Annotated[int | None, typer.Option(min=1, help="Volumes simulated at once. [number of processors]")] = None,
    as_json: Json = False,
) -> None:
    """Simulate storms and the radar that watches them: polar CfRadial volumes with a known truth beside them.

    One event goes right into DIR, several into DIR/eventNN_KIND; the truth lies in truth/truth.nc of each.

    Example: nowcast simulate -o archive/ --events 3 --volumes 16
    """
    from time import perf_counter

    from nowcast.simulate import ArchivePlan, Radar, simulate_archive

    begun = perf_counter()
    place = parse_site(site)
    radar = Radar(clutter=clutter) if place is None else Radar(site=place, clutter=clutter)
    first = parse_time(start, "--start")
    assert first is not None
    kinds = {"kinds": tuple(kind)} if kind else {}
    plan = ArchivePlan(events, volumes, step, seed=seed, start=first, radar=radar, **kinds)
    with progress_bar("Simulating volumes") as progress:
        made = simulate_archive(plan, output, jobs=jobs, progress=progress)
    seconds = perf_counter() - begun
    if as_json:
        answer = [
            {
                "name": e.name,
                "kind": e.kind,
                "directory": e.directory,
                "volumes": e.volumes,
                "truth": e.truth,
            }
            for e in made
        ]
        print_json({"output": output, "seed": seed, "events": answer, "seconds": seconds})
    else:
        for event in made:
            print_result(str(event.directory))
    print_note(f"{counted(events, 'event')} of {counted(volumes, 'volume')}, seed {seed}, in {seconds:.1f} s")
