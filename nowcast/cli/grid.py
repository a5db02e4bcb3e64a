"""``nowcast grid``: radar volumes to a file of gridded volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.console import command_line, counted, print_json, print_note, print_result, progress_bar
from nowcast.cli.options import (
    AtOption,
    ChannelsOption,
    ClutterOption,
    CombineOption,
    ConfigOption,
    DaskOption,
    ExtentOption,
    Input,
    Json,
    LevelsOption,
    SiteOption,
    SpacingOption,
    WithinOption,
    grid_config,
    load_settings,
    mosaic_config,
    parse_channels,
    parse_site,
    parse_time,
)


def grid(
    source: Input,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.nc", help="Volume-sequence file to write.")],
    at: AtOption = None,
    frames: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only so many newest volumes. [all]")] = None,
    site: SiteOption = None,
    clutter: ClutterOption = None,
    config: ConfigOption = None,
    spacing: SpacingOption = None,
    extent: ExtentOption = None,
    levels: LevelsOption = None,
    within: WithinOption = None,
    combine: CombineOption = None,
    channels: ChannelsOption = None,
    dask: DaskOption = None,
    as_json: Json = False,
) -> None:
    """Quality-control radar volumes and grid them to one file, with other channels than reflectivity on request.

    Example: nowcast grid archive/ --site=-27.608,152.539,372 -o volumes.nc
    """
    import time
    from dataclasses import asdict

    import nowcast
    from nowcast.io.volumes import write_volumes
    from nowcast.pipeline.channels import without_empty
    from nowcast.pipeline.digests import input_digests
    from nowcast.pipeline.grid_cluster import gridding
    from nowcast.pipeline.inputs import GridConfig, load_sequence
    from nowcast.pipeline.outputs import check_output
    from nowcast.radar.mosaic import MosaicConfig
    from nowcast.radar.quality import QualityConfig
    from nowcast.types import REFLECTIVITY
    from nowcast.units import span_text

    # All settings together take seconds to import, which is long beside the gridding.
    settings = None if config is None else load_settings(config)
    base = GridConfig() if settings is None else settings.grid
    mosaic = mosaic_config(MosaicConfig() if settings is None else settings.mosaic, within, combine)
    quality = QualityConfig() if settings is None else settings.quality
    wanted = parse_channels(channels, (REFLECTIVITY,) if settings is None else settings.channels)
    spec = grid_config(base, spacing, extent, levels)
    check_output(output, source)
    start = time.perf_counter()
    with gridding(dask) as cache, progress_bar("Gridding volumes") as progress:
        volumes = load_sequence(
            source,
            at=parse_time(at),
            frames=frames,
            grid=spec,
            quality=quality,
            site=parse_site(site),
            clutter=clutter,
            progress=progress,
            channels=wanted,
            mosaic=mosaic,
            cache=cache,
        )
    volumes = without_empty(volumes)
    facts = {
        "version": nowcast.__version__,
        "input_files": list(volumes.sources),
        "input_sha256": input_digests(source, volumes.sources),
        "settings": {"grid": asdict(spec), "quality": asdict(quality), "mosaic": asdict(mosaic)},
    }
    write_volumes(volumes, output, facts=facts, history=command_line())
    seconds = time.perf_counter() - start
    if as_json:
        answer = {"output": str(output), "times": list(volumes.times), "sources": list(volumes.sources)}
        shape = list(volumes.grid.shape)
        answer["channels"] = list(volumes.channels)
        if volumes.radars:
            answer |= {"radars": list(volumes.radars), "radars_missing": list(volumes.missing)}
        print_json({**answer, "shape": shape, "observed": float(volumes.mask.mean()), "seconds": round(seconds, 3)})
    else:
        print_result(str(output))
    nz, ny, nx = volumes.grid.shape
    print_note(
        f"{counted(len(volumes), 'volume')} of {nz} x {ny} x {nx}, {span_text(volumes.times)}, in {seconds:.1f} s"
    )
