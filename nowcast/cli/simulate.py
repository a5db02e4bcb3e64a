"""``nowcast simulate``: a radar archive of simulated storms, or grids of many for training."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from nowcast.cli.console import counted, print_json, print_note, print_result, progress_bar
from nowcast.cli.options import (
    ExtentOption,
    Json,
    LevelsOption,
    SiteOption,
    SpacingOption,
    grid_config,
    parse_site,
    parse_time,
)

if TYPE_CHECKING:
    from nowcast.simulate import ArchivePlan, CorpusPlan


def simulate(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write the archive into.")],
    events: Annotated[
        int, typer.Option("--events", min=1, metavar="N", help="Number of weather events, one folder each.")
    ] = 1,
    volumes: Annotated[int, typer.Option("--volumes", min=1, metavar="N", help="Number of volumes an event.")] = 12,
    step: Annotated[float, typer.Option("--step", min=0.5, metavar="MINUTES", help="Minutes between volumes.")] = 10.0,
    seed: Annotated[
        int, typer.Option("--seed", min=0, metavar="N", help="Seed of chance: same seed, same archive.")
    ] = 1,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="Weather: cells, line, stratiform, dry and others (a wrong one lists them); repeat to take several in "
            "turn, or with --grids as KIND=SHARE. [cells, line, stratiform; with --grids a mixture of all]",
        ),
    ] = None,
    start: Annotated[str, typer.Option(metavar="TIME", help="UTC time of the first volume.")] = "2024-01-15T04:00",
    site: SiteOption = None,
    clutter: Annotated[bool, typer.Option(help="Let the radar see the ground.")] = True,
    grids: Annotated[
        bool,
        typer.Option("--grids", help="Write one gridded file an event, as for training, instead of radar volumes."),
    ] = False,
    diverse: Annotated[
        bool, typer.Option("--diverse", help="With --grids: let step, spacing and radar differ, drop single volumes.")
    ] = False,
    spacing: SpacingOption = None,
    extent: ExtentOption = None,
    levels: LevelsOption = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Done at the same time. [number of processors]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Simulate storms and the radar that watches them: polar CfRadial volumes with a known truth beside them.

    One event goes right into DIR, several into DIR/eventNN_KIND; the truth lies in truth/truth.nc of each. With --grids
    each event is a file DIR/eventNNNN_KIND.nc, its truth DIR/truth/eventNNNN_KIND.nc.

    Example: nowcast simulate -o storms/ --events 2 --volumes 3 --kind cells --kind line
    """
    from nowcast.radar.gridding import GridConfig
    from nowcast.simulate import ArchivePlan, CorpusPlan, Radar

    if not grids and (diverse or given_grid(spacing, extent, levels)):
        raise typer.BadParameter("--diverse, --spacing, --extent and --levels need --grids")
    place = parse_site(site)
    radar = Radar(clutter=clutter) if place is None else Radar(site=place, clutter=clutter)
    first = parse_time(start, "--start")
    assert first is not None
    if grids:
        mix = {"mix": parse_mix(kind)} if kind else {}
        grid = grid_config(GridConfig(), spacing, extent, levels)
        corpus = CorpusPlan(
            events, volumes, step, seed=seed, start=first, grid=grid, radar=radar, diverse=diverse, **mix
        )
        return _corpus(corpus, output, jobs, as_json)
    kinds = {"kinds": tuple(kind)} if kind else {}
    return _archive(
        ArchivePlan(events, volumes, step, seed=seed, start=first, radar=radar, **kinds), output, jobs, as_json
    )


def given_grid(*options: object) -> bool:
    return any(option is not None for option in options)


def parse_mix(kinds: list[str]) -> dict[str, float]:
    """Shares of kinds from ``KIND=SHARE``; ``KIND`` alone has the share 1."""
    mix: dict[str, float] = {}
    for text in kinds:
        name, _, share = text.partition("=")
        try:
            mix[name] = mix.get(name, 0.0) + (float(share) if share else 1.0)
        except ValueError:
            raise typer.BadParameter(f"{text!r}: expected KIND=SHARE, such as line=0.3", param_hint="--kind") from None
    return mix


def _archive(plan: ArchivePlan, output: Path, jobs: int | None, as_json: bool) -> None:
    from nowcast.simulate import simulate_archive

    begun = perf_counter()
    with progress_bar("Simulating volumes") as progress:
        made = simulate_archive(plan, output, jobs=jobs, progress=progress)
    seconds = perf_counter() - begun
    if as_json:
        answer = [
            {"name": e.name, "kind": e.kind, "directory": e.directory, "volumes": e.volumes, "truth": e.truth}
            for e in made
        ]
        print_json({"output": output, "seed": plan.seed, "events": answer, "seconds": seconds})
    else:
        for event in made:
            print_result(str(event.directory))
    _tell(plan, seconds)


def _corpus(plan: CorpusPlan, output: Path, jobs: int | None, as_json: bool) -> None:
    from nowcast.simulate import simulate_corpus

    begun = perf_counter()
    with progress_bar("Simulating events") as progress:
        made = simulate_corpus(plan, output, jobs=jobs, progress=progress)
    seconds = perf_counter() - begun
    if as_json:
        events = [{"name": path.stem, "kind": plan.kind(n), "volumes": path} for n, path in enumerate(made)]
        print_json({"output": output, "seed": plan.seed, "events": events, "seconds": seconds})
    else:
        for path in made:
            print_result(str(path))
    _tell(plan, seconds)


def _tell(plan: ArchivePlan | CorpusPlan, seconds: float) -> None:
    size = f"{counted(plan.events, 'event')} of {counted(plan.volumes, 'volume')}"
    print_note(f"{size}, seed {plan.seed}, in {seconds:.1f} s")
