"""``nowcast fit``: radar volumes as tracked 3D Gaussians."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.console import command_line, print_json, print_note, print_result, progress_bar
from nowcast.cli.options import (
    ClutterOption,
    ConfigOption,
    ExtentOption,
    Gaussians,
    Input,
    Json,
    LevelsOption,
    SiteOption,
    SpacingOption,
    given,
    load_settings,
    parse_site,
)


def fit(
    source: Input,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.nc", help="Gaussian file to write.")],
    gaussians: Gaussians = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Volumes fitted together in each sequence. [4]")] = None,
    future: Annotated[int | None, typer.Option(min=0, help="Later volumes to keep as training targets. [0]")] = None,
    every: Annotated[
        int | None, typer.Option(min=1, help="Volumes between the starts of sequences. [they do not overlap]")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Keep the sequences that an earlier run finished.")] = True,
    site: SiteOption = None,
    clutter: ClutterOption = None,
    config: ConfigOption = None,
    spacing: SpacingOption = None,
    extent: ExtentOption = None,
    levels: LevelsOption = None,
    as_json: Json = False,
) -> None:
    """Fit sequences of volumes with Gaussians that keep their identity from volume to volume.

    Example: nowcast fit archive/ --gaussians 2048 -o gaussians.nc
    """
    from nowcast.pipeline.fit import fit_archive

    settings = load_settings(config, gaussians=gaussians, spacing=spacing, extent=extent, levels=levels)
    with progress_bar("Fitting Gaussians") as progress:
        report = fit_archive(
            source,
            output,
            config=settings.fit,
            every=every,
            grid=settings.grid,
            quality=settings.quality,
            site=parse_site(site),
            clutter=clutter,
            **given(frames=frames, future=future),
            resume=resume,
            history=command_line(),
            progress=progress,
        )
    if as_json:
        print_json(report.answer())
    else:
        print_result(str(output))
        print_note(report.table())
    report.raise_failures()
