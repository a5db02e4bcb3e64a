"""Options that several commands share, so that they read and behave the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nowcast.errors import ConfigError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from nowcast.pipeline.inputs import GridConfig
    from nowcast.pipeline.settings import Settings
    from nowcast.products import ProductConfig
    from nowcast.radar import Site
    from nowcast.radar.mosaic import MosaicConfig

Input = Annotated[
    Path,
    typer.Argument(
        metavar="ARCHIVE",
        help="Directory of radar or gridded files, or one volume-sequence file; of several radars a directory with one "
        "directory each.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as one JSON object on stdout.")]
SiteOption = Annotated[
    str | None,
    typer.Option("--site", metavar="LAT,LON,ALT", help="Radar position (degrees, degrees, m), not the files' own."),
]
ClutterOption = Annotated[
    Path | None, typer.Option("--clutter", metavar="MAP.nc", help="Clutter map made by `nowcast clutter`.")
]
AtOption = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="Use the newest volumes valid at or before this UTC time. [newest]"),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE.yaml", help="Settings, see `nowcast config show`; options here win. [none]"),
]
SpacingOption = Annotated[
    float | None, typer.Option("--spacing", metavar="M", help="Horizontal grid spacing, metres. [2500]")
]
ExtentOption = Annotated[
    float | None, typer.Option("--extent", metavar="M", help="Half width of the grid, metres. [145000]")
]
LevelsOption = Annotated[
    str | None,
    typer.Option(
        "--levels",
        metavar="BOTTOM,TOP,STEP",
        help="Lowest and highest level and their step, metres. [1000,15000,500]",
    ),
]
Frames = Annotated[
    int | None,
    typer.Option("--frames", min=1, metavar="N", help="Number of newest volumes the forecast starts from. [4]"),
]
AUTO = "auto"
AUTO_GAUSSIANS = 8192
AUTO_PSNR_DB = 40.0
MOST_GAUSSIANS = 200_000
Gaussians = Annotated[
    str | None,
    typer.Option(
        "--gaussians",
        metavar="N|auto",
        help=f"Number of Gaussians; auto takes what --psnr asks for, at most {AUTO_GAUSSIANS}. [2048]",
    ),
]
Psnr = Annotated[
    float | None,
    typer.Option(
        "--psnr",
        metavar="DB",
        help="Draw the newest volume with this peak signal-to-noise ratio and no more Gaussians than it takes, at most "
        f"those of --gaussians. [{AUTO_PSNR_DB:g} with --gaussians auto]",
    ),
]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="PATH|default|none",
        help="Trained model; default is the one that comes with the program, none goes without.",
    ),
]
ChannelsOption = Annotated[
    str | None,
    typer.Option(
        "--channels",
        metavar="NAMES",
        help="`paper` for all seven, or some of zdr,kdp,rhohv,spectrum_width,azimuthal_shear,divergence. "
        "[reflectivity alone]",
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda[:N]",
        help="Where to fit; auto takes CUDA where there is any and the volumes are large. [auto]",
    ),
]
WithinOption = Annotated[
    float | None,
    typer.Option(
        "--within",
        metavar="MINUTES",
        help="Of several radars, no volume that began longer before the newest. [7.5]",
    ),
]
CombineOption = Annotated[
    str | None,
    typer.Option(
        "--combine",
        metavar="mean|strongest",
        help="Of several radars, the mean weighted by distance and beam height, or the strongest echo. [mean]",
    ),
]
ProductsOption = Annotated[
    str | None,
    typer.Option(
        "--products",
        metavar="NAMES",
        help="cappi, low_level_reflectivity, column_maximum, height_of_maximum, echo_top, vil, vil_density, rain_rate, "
        "rain_accumulation, mesh, posh; several with commas between.",
    ),
]
HeightsOption = Annotated[
    str | None, typer.Option("--heights", metavar="M,M", help="Heights of the CAPPIs, metres. [2000,4000,8000]")
]
ZrOption = Annotated[
    str | None,
    typer.Option(
        "--zr",
        metavar="NAME|A,B",
        help="Z-R relation of rain: convective, tropical, stratiform-east, stratiform-west, or A,B of Z = A R ** B. "
        "[marshall-palmer]",
    ),
]
IsothermsOption = Annotated[
    str | None,
    typer.Option("--isotherms", metavar="M,M", help="Heights of 0 and -20 degrees Celsius, metres, for hail. [none]"),
]
DaskOption = Annotated[
    str | None,
    typer.Option("--dask", metavar="local|tcp://HOST:PORT", help="Work on a Dask cluster. [one after the other]"),
]
Leads = Annotated[int | None, typer.Option("--leads", min=1, metavar="N", help="Number of lead times. [6]")]


def parse_four(text: str, option: str, form: str, example: str) -> tuple[float, float, float, float]:
    """Four numbers with commas between; raises typer.BadParameter when they are none."""
    try:
        a, b, c, d = (float(part) for part in text.split(","))
    except ValueError as error:
        hint = f"expected {form} such as {option}={example}, got {text!r}"
        raise typer.BadParameter(hint, param_hint=option) from error
    return a, b, c, d


def given(**options: Any) -> dict[str, Any]:
    """The options that were given; the others keep the default of what they are for."""
    return {name: value for name, value in options.items() if value is not None}


def parse_channels(text: str | None, otherwise: Sequence[str]) -> tuple[str, ...]:
    """The channels that ``--channels`` names, or the settings where it is not given; raises UsageError."""
    from nowcast.channels import channel_names

    return channel_names(otherwise if text is None else text.split(","))


def parse_site(text: str | None) -> Site | None:
    """``LAT,LON,ALT`` as a radar site; raises typer.BadParameter when it is not one."""
    if text is None:
        return None
    from nowcast.radar import Site

    try:
        return Site.of(text)
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


def load_settings(
    file: Path | None,
    *,
    gaussians: str | None = None,
    psnr: float | None = None,
    spacing: float | None = None,
    extent: float | None = None,
    levels: str | None = None,
    device: str | None = None,
    within: float | None = None,
    combine: str | None = None,
) -> Settings:
    """The settings in force: the defaults, a file's in their place, and options in place of these."""
    from nowcast.pipeline.config import load_config
    from nowcast.pipeline.settings import Settings

    settings = Settings() if file is None else load_config(file, Settings)
    try:
        fit = replace(settings.fit, **given(device=device))
    except ConfigError as error:
        raise typer.BadParameter(str(error), param_hint="--device") from error
    fit = replace(fit, **budget(gaussians, psnr, settings.fit.psnr_db or AUTO_PSNR_DB))
    grid, mosaic = grid_config(settings.grid, spacing, extent, levels), mosaic_config(settings.mosaic, within, combine)
    return replace(settings, fit=fit, grid=grid, mosaic=mosaic)


def parse_model(text: str) -> Path | None:
    """The checkpoint that ``--model`` names, None for none."""
    from nowcast.weights import checkpoint

    return checkpoint(text)


def budget(gaussians: str | None, psnr_db: float | None, auto_psnr_db: float) -> dict[str, Any]:
    """What ``--gaussians`` and ``--psnr`` say of the fit; raises typer.BadParameter when they are no numbers.

    ``auto_psnr_db`` is what ``auto`` alone asks for.
    """
    if psnr_db is not None and not 10 <= psnr_db <= 100:
        raise typer.BadParameter(f"expected dB within 10..100 such as 40, got {psnr_db:g}", param_hint="--psnr")
    if gaussians in (None, AUTO):
        wanted = auto_psnr_db if psnr_db is None else psnr_db
        return {} if gaussians is None and psnr_db is None else {"gaussians": AUTO_GAUSSIANS, "psnr_db": wanted}
    try:
        number = int(gaussians)
    except ValueError:
        number = 0
    if not 1 <= number <= MOST_GAUSSIANS:
        hint = f"expected a number within 1..{MOST_GAUSSIANS} or auto, got {gaussians!r}"
        raise typer.BadParameter(hint, param_hint="--gaussians")
    return {"gaussians": number} | given(psnr_db=psnr_db)


def grid_config(base: GridConfig, spacing: float | None, extent: float | None, levels: str | None) -> GridConfig:
    """A grid with what ``--spacing``, ``--extent`` and ``--levels`` say in place of its own."""
    options = given(spacing_m=spacing, extent_m=extent)
    if levels is not None:
        try:
            bottom, top, step = (float(number) for number in levels.split(","))
        except ValueError as error:
            hint = f"expected BOTTOM,TOP,STEP in metres such as 1000,15000,500, got {levels!r}"
            raise typer.BadParameter(hint, param_hint="--levels") from error
        options |= {"bottom_m": bottom, "top_m": top, "level_spacing_m": step}
    try:
        return replace(base, **options)
    except ConfigError as error:
        raise UsageError(f"--spacing, --extent, --levels: {error}") from error


def mosaic_config(base: MosaicConfig, within: float | None, combine: str | None) -> MosaicConfig:
    """How to bring several radars together, with what ``--within`` and ``--combine`` say in place of its own."""
    try:
        return replace(base, **given(within_minutes=within, combine=combine))
    except ConfigError as error:
        raise UsageError(f"--within, --combine: {error}") from error


def load_products(
    config: Path | None, names: str | None, heights: str | None, zr: str | None, isotherms: str | None
) -> ProductConfig:
    """The settings of the products in force: a file's, or the defaults, with what the options say in their place."""
    from nowcast.products import ProductConfig

    base = ProductConfig() if config is None else load_settings(config).products
    return product_config(base, names, heights, zr, isotherms)


def product_config(
    base: ProductConfig,
    names: str | None,
    heights: str | None = None,
    zr: str | None = None,
    isotherms: str | None = None,
) -> ProductConfig:
    """Settings of products with what ``--products`` and its like say in place of their own."""
    options: dict[str, Any] = given(zr=zr)
    if names is not None:
        options["names"] = tuple(name.strip() for name in names.split(","))
    if heights is not None:
        options["heights_m"] = _metres(heights, "--heights")
    if isotherms is not None:
        options["isotherms_m"] = _metres(isotherms, "--isotherms")
    try:
        return replace(base, **options)
    except ConfigError as error:
        raise UsageError(str(error)) from error


def _metres(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError as error:
        hint = f"expected metres with commas between such as 2000,4000, got {text!r}"
        raise typer.BadParameter(hint, param_hint=option) from error
