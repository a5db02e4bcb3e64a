"""``nowcast convert``: a file in another format, or on another map."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.console import command_line, counted, print_json, print_note, print_result
from nowcast.cli.options import Json, given, parse_four


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="File of nowcast grid, forecast, products or fit, or a Zarr store of one.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="What to write; its suffix tells the format: .nc, .zarr, .tif (GeoTIFF) or .h5 (ODIM_H5). {variable}, "
            "{time}, {lead} and {init} in the name stand for what each file holds.",
        ),
    ],
    variables: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Only these fields, with commas between. [all that fit]")
    ] = None,
    crs: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="Another map: EPSG:4326 for latitude and longitude, EPSG:3857. [as it is]"),
    ] = None,
    spacing: Annotated[
        float | None, typer.Option(metavar="S", help="Spacing on that map, metres or degrees. [about the file's]")
    ] = None,
    bounds: Annotated[
        str | None,
        typer.Option(metavar="W,S,E,N", help="Edges on that map, metres or degrees. [those of the file]"),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(metavar="nearest|bilinear", help="How values are looked up on that map. [nearest]"),
    ] = None,
    odim_source: Annotated[
        str | None,
        typer.Option(metavar="ORG:...", help="Whose ODIM files are, as what/source has it. [ORG:65535,CMT:nowcast]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a file as NetCDF, Zarr, GeoTIFF or ODIM_H5, on another map projection where one is given.

    Example: nowcast convert forecast.nc --crs EPSG:4326 -o forecast-latlon.nc
    """
    from nowcast.pipeline.convert import ConvertRequest
    from nowcast.pipeline.convert import convert as run_convert

    names = tuple(name.strip() for name in variables.split(",")) if variables else ()
    edges = None if bounds is None else parse_four(bounds, "--bounds", "W,S,E,N", "129,-14,133,-10")
    options = given(crs=crs, spacing=spacing, bounds=edges, method=method, odim_source=odim_source)
    run = run_convert(ConvertRequest(source, output, names, **options), history=command_line())
    if as_json:
        print_json(run.answer())
    else:
        for path in run.outputs:
            print_result(str(path))
    for reason in dict.fromkeys(run.left_out.values()):
        print_note(f"left out: {', '.join(n for n, r in run.left_out.items() if r == reason)}: {reason}")
    print_note(f"{counted(len(run.outputs), 'file')} of {counted(len(run.variables), 'field')}")
