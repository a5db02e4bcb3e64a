"""``nowcast fit``: radar volumes as tracked 3D Gaussians."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.console import command_line, print_json, print_note, print_result, progress_bar
from nowcast.cli.options import (
    ChannelsOption,
    ClutterOption,
    CombineOption,
    ConfigOption,
    DaskOption,
    DeviceOption,
    ExtentOption,
    Gaussians,
    Input,
    Json,
    LevelsOption,
    Psnr,
    SiteOption,
    SpacingOption,
    WithinOption,
    given,
    load_settings,
    parse_channels,
    parse_site,
)


def fit(
    source: Input,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.nc", help="Gaussian file to write.")],
    gaussians: Gaussians = None,
    psnr: Psnr = None,
    frames: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Volumes fitted together in each sequence. [4]")
    ] = None,
    future: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Later volumes to keep as training targets. [0]")
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Volumes between the starts of sequences. [they do not overlap]"),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Keep the sequences that an earlier run finished.")] = True,
    pictures: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Draw each fit beside what was observed. [no pictures]")
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.ply|FOLDER",
            help="Write the newest Gaussians for splat viewers; into a folder those of every time. [not written]",
        ),
    ] = None,
    dask: DaskOption = None,
    device: DeviceOption = None,
    site: SiteOption = None,
    clutter: ClutterOption = None,
    config: ConfigOption = None,
    spacing: SpacingOption = None,
    extent: ExtentOption = None,
    levels: LevelsOption = None,
    within: WithinOption = None,
    combine: CombineOption = None,
    channels: ChannelsOption = None,
    as_json: Json = False,
) -> None:
    """Fit sequences of volumes with Gaussians that keep their identity from volume to volume.

    The table has a line a sequence, about its newest volume, without those of --future: how well it is drawn, what its
    Gaussians take (kB), and what the volume would take in compressed NetCDF at the same error (dense kB). Coherence is
    by how many voxels a step a Gaussian's motion differs from that of its neighbours.

    Example: nowcast fit archive/ --gaussians 2048 -o gaussians.nc
    """
    from nowcast.pipeline.export import SUFFIX, check_export, export_fit
    from nowcast.pipeline.fit import fit_archive

    if output.suffix.lower() == SUFFIX:
        hint = f"expected the name of a Gaussian file such as storm.nc, got {output.name!r}: {SUFFIX} is for --export"
        raise typer.BadParameter(hint, param_hint="--output")
    if export is not None:
        check_export(export)
    settings = load_settings(
        config,
        gaussians=gaussians,
        psnr=psnr,
        spacing=spacing,
        extent=extent,
        levels=levels,
        within=within,
        combine=combine,
        device=device,
    )
    with progress_bar("Fitting Gaussians") as progress:
        report = fit_archive(
            source,
            output,
            config=settings.fit,
            every=every,
            grid=settings.grid,
            quality=settings.quality,
            mosaic=settings.mosaic,
            site=parse_site(site),
            clutter=clutter,
            **given(frames=frames, future=future),
            resume=resume,
            pictures=pictures,
            channels=parse_channels(channels, settings.channels),
            dask=dask,
            history=command_line(),
            progress=progress,
        )
    exported = [str(path) for path in export_fit(output, export)] if export is not None else []
    if as_json:
        print_json(report.answer() | {"exported": exported})
    else:
        for line in (str(output), *report.pictures, *exported):
            print_result(line)
        print_note(report.table())
    report.raise_failures()
