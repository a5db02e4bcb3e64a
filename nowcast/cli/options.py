"""Options that several commands share, so that they read and behave the same everywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nowcast.errors import ConfigError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from nowcast.pipeline.inputs import GridConfig
    from nowcast.radar import Site

Input = Annotated[
    Path,
    typer.Argument(help="Directory of radar or gridded files, or one volume-sequence file.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as one JSON object on stdout.")]
SiteOption = Annotated[
    str | None,
    typer.Option("--site", metavar="LAT,LON,ALT", help="Radar position (degrees, degrees, m) where files have none."),
]
ClutterOption = Annotated[
    Path | None, typer.Option("--clutter", metavar="MAP.nc", help="Clutter map made by `nowcast clutter`.")
]
AtOption = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="Use the newest volumes valid at or before this UTC time. [newest]"),
]
SpacingOption = Annotated[float, typer.Option("--spacing", metavar="M", help="Horizontal grid spacing, metres.")]
ExtentOption = Annotated[float, typer.Option("--extent", metavar="M", help="Half width of the grid, metres.")]
LevelsOption = Annotated[
    str,
    typer.Option("--levels", metavar="BOTTOM,TOP,STEP", help="Lowest and highest level and their step, metres."),
]
Frames = Annotated[int, typer.Option("--frames", min=1, help="Number of newest volumes the forecast starts from.")]
Gaussians = Annotated[int, typer.Option("--gaussians", min=1, help="Number of Gaussians.")]
Leads = Annotated[int, typer.Option("--leads", min=1, help="Number of lead times.")]


def parse_site(text: str | None) -> Site | None:
    """``LAT,LON,ALT`` as a radar site; raises typer.BadParameter when it is not one."""
    if text is None:
        return None
    from nowcast.radar import Site

    try:
        lat, lon, alt = (float(part) for part in text.split(","))
        return Site(lat, lon, alt)
    except ValueError as error:
        raise typer.BadParameter(
            f"expected LAT,LON,ALT such as --site=-27.608,152.539,372, got {text!r}", param_hint="--site"
        ) from error


def parse_time(text: str | None, option: str = "--at") -> np.datetime64 | None:
    """An ISO 8601 time as UTC; a time without an offset is UTC. Raises typer.BadParameter when it is not one."""
    if text is None:
        return None
    import numpy as np

    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        hint = f"expected a UTC time such as 2005-11-27T04:41, got {text!r}"
        raise typer.BadParameter(hint, param_hint=option) from error
    if when.tzinfo is not None:
        when = when.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(when, "ns")


def grid_config(spacing: float, extent: float, levels: str) -> GridConfig:
    """The grid that ``--spacing``, ``--extent`` and ``--levels`` describe."""
    from nowcast.pipeline.inputs import GridConfig

    numbers: list[Any] = levels.split(",")
    try:
        bottom, top, step = (float(n) for n in numbers)
    except ValueError as error:
        hint = f"expected BOTTOM,TOP,STEP in metres such as 1000,15000,500, got {levels!r}"
        raise typer.BadParameter(hint, param_hint="--levels") from error
    try:
        return GridConfig(spacing_m=spacing, extent_m=extent, bottom_m=bottom, top_m=top, level_spacing_m=step)
    except ConfigError as error:
        raise UsageError(str(error)) from error
