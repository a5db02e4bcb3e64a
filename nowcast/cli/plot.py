"""``nowcast plot``: pictures of volumes, forecasts and Gaussians."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nowcast.cli.console import print_json, print_note, print_result, progress_bar
from nowcast.cli.options import AtOption, ClutterOption, Json, SiteOption, parse_four, parse_site, parse_time

if TYPE_CHECKING:
    import numpy as np

    from nowcast.plot import Camera, Choices, Line, Target
    from nowcast.radar import Site
    from nowcast.types import Forecast, VolumeSequence

Kind = Literal[
    "map", "level", "section", "panels", "animation", "difference", "probability", "gaussians", "products", "all"
]
PAST_FRAMES = 4
"""Observed volumes before the initial time that a forecast's pictures show."""
MANY_FRAMES = 6
"""Newest volumes of a folder that panels and animations show unless told otherwise."""


def plot(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Volume-sequence, radar, Gaussian, forecast or product files, or a folder.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="OUT", help="A folder, or one .png, .svg, .pdf, .gif or .mp4. [here]"),
    ] = None,
    kind: Annotated[Kind | None, typer.Option(help="What to draw. [what suits the file]")] = None,
    level: Annotated[
        list[float] | None, typer.Option(metavar="M", help="Height of a level, metres; several for levels.")
    ] = None,
    line: Annotated[
        str | None, typer.Option(metavar="X0,Y0,X1,Y1", help="Where a section cuts, km east and north of the origin.")
    ] = None,
    view: Annotated[
        Literal["3d"] | None, typer.Option(help="Gaussians in space, from a camera; on CUDA by gsplat where installed.")
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="AZIMUTH,ELEVATION[,ZOOM]",
            help="Where --view 3d looks from: degrees from north, degrees above the horizon. [160,30,1]",
        ),
    ] = None,
    lead: Annotated[list[float] | None, typer.Option(metavar="MINUTES", help="Lead time to draw; repeatable.")] = None,
    threshold: Annotated[
        float, typer.Option(metavar="DBZ", help="What the probabilities of an ensemble are of.")
    ] = 35.0,
    product: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Product to draw of a file of products; repeatable. [all]")
    ] = None,
    obs: Annotated[
        Path | None, typer.Option(metavar="ARCHIVE", help="Observed volumes to draw beside a forecast.")
    ] = None,
    at: AtOption = None,
    frames: Annotated[int | None, typer.Option(min=1, metavar="N", help="Number of newest volumes to read.")] = None,
    palette: Annotated[
        Literal["standard", "safe"], typer.Option(help="Colours; safe suits colour-blind eyes.")
    ] = "standard",
    site: SiteOption = None,
    clutter: ClutterOption = None,
    as_json: Json = False,
) -> None:
    """Draw maps, levels, sections, panels of observed against forecast and their differences, probabilities, products,
    Gaussians, and animations.

    Example: nowcast plot forecast.nc --obs archive/ --kind all -o pictures/
    """
    from nowcast.plot import Choices, target_of

    chosen = Choices(
        levels_m=tuple(level or ()),
        line=_parse_line(line),
        leads_minutes=tuple(lead or ()),
        threshold_dbz=threshold,
        palette=palette,
        camera=_parse_camera(camera),
        products=tuple(product or ()),
    )
    if camera is not None and view is None:
        raise typer.BadParameter("goes with --view 3d", param_hint="--camera")
    wanted = _kind_asked(kind, output, chosen) if view is None else _seen_from(chosen, kind, view)
    reader = _Reader(parse_time(at), frames, parse_site(site), clutter)
    done: list[dict[str, Any]] = []
    groups = _groups(files, together=wanted == "panels" or (wanted is None and chosen.line is None))
    if len(groups) > 1 and target_of(output, "").file is not None:
        raise typer.BadParameter(f"the pictures of {len(files)} files need a folder, not {output}", param_hint="-o")
    for group, stem in groups:
        target = target_of(output, stem)
        paths, drawn = _draw(group, wanted, target, chosen, obs, reader)
        done += [
            {"path": str(path), "kind": name, "sources": [str(file) for file in group]}
            for path, name in zip(paths, drawn, strict=True)
        ]
        for path in () if as_json else paths:
            print_result(str(path))
    if as_json:
        print_json({"outputs": [picture["path"] for picture in done], "pictures": done})
    else:
        print_note(f"{len(done)} picture{'s' if len(done) > 1 else ''} drawn")


class _Reader:
    """How observed volumes are read."""

    def __init__(self, at: np.datetime64 | None, frames: int | None, site: Site | None, clutter: Path | None) -> None:
        self.at, self.frames, self.site, self.clutter = at, frames, site, clutter

    def volumes(self, source: Path, kind: str | None) -> VolumeSequence:
        """The volumes of a source that this kind of picture needs."""
        from nowcast.pipeline.inputs import load_sequence

        frames = self.frames
        if frames is None and source.is_dir():
            frames = 1 if kind in ("map", "level", "section") else MANY_FRAMES
        with progress_bar("Reading volumes") as progress:
            return load_sequence(
                source, at=self.at, frames=frames, site=self.site, clutter=self.clutter, progress=progress
            )

    def beside(self, forecast: Forecast, archive: Path) -> VolumeSequence:
        """The observed volumes around a forecast: some before its initial time, and those at its leads."""
        from nowcast.pipeline.observed import observed_beside

        with progress_bar("Reading volumes") as progress:
            return observed_beside(
                forecast,
                archive,
                past=PAST_FRAMES,
                frames=self.frames,
                site=self.site,
                clutter=self.clutter,
                progress=progress,
            )


def _draw(
    group: list[Path], kind: str | None, target: Target, chosen: Choices, obs: Path | None, reader: _Reader
) -> tuple[list[Path], list[str]]:
    """Draw the pictures of one file, or of forecasts that go together; returns the files and their kinds."""
    from nowcast import plot as pictures
    from nowcast.errors import UsageError
    from nowcast.io.forecasts import read_forecast
    from nowcast.io.gaussians import read_windows
    from nowcast.products.files import read_products

    own = _own_kind(group[0])
    if own is not None and own != "volumes" and reader.at is not None:
        raise UsageError(f"--at chooses among observed volumes, and {group[0]} is a {own} file: leave it out")
    if chosen.products and own != "products":
        raise UsageError(f"--product goes with a file of `nowcast products`, which {group[0]} is not: leave it out")
    if own == "forecast":
        forecasts = [read_forecast(path) for path in group]
        observed = None if obs is None else reader.beside(forecasts[0], obs)
        all_kinds = tuple(pictures.kinds_of(forecasts[0], observed))
        kinds = _kinds(kind, "section" if chosen.line else "panels", all_kinds)
        return pictures.forecast_pictures(forecasts, observed, kinds, target, chosen), kinds
    if obs is not None:
        raise UsageError(f"--obs goes with a forecast, which {group[0]} is not: leave it out")
    if own == "gaussians":
        kinds = _kinds(kind, "gaussians", pictures.GAUSSIAN_KINDS)
        windows = read_windows(group[0])
        return pictures.gaussian_pictures(windows[-1], kinds, target, chosen), kinds
    if own == "products":
        paths = pictures.product_pictures(
            read_products(group[0]), _kinds(kind, "products", ("products",)), target, chosen
        )
        return paths, ["products"] * len(paths)
    volumes = reader.volumes(group[0], "section" if chosen.line else kind)
    suits = "panels" if len(volumes) > 1 else "level" if chosen.levels_m else "map"
    kinds = _kinds(kind, "section" if chosen.line else suits, pictures.VOLUME_KINDS)
    return pictures.volume_pictures(volumes, kinds, target, chosen), kinds


def _kinds(kind: str | None, default: str, all_kinds: tuple[str, ...]) -> list[str]:
    return list(all_kinds) if kind == "all" else [kind or default]


def _kind_asked(kind: str | None, output: Path | None, chosen: Choices) -> str | None:
    """The kind of picture that the options ask for together; None where the file decides."""
    from nowcast.errors import UsageError
    from nowcast.plot.animate import FORMATS

    if kind is None and output is not None and output.suffix.lower() in FORMATS:
        return "animation"
    if chosen.levels_m and kind == "section":
        raise UsageError("--level goes with maps, panels and animations: a section shows all levels")
    if chosen.line is not None and kind not in (None, "section", "gaussians", "all"):
        raise UsageError(f"--line goes with --kind section or gaussians, not with {kind}")
    return kind


def _own_kind(path: Path) -> str | None:
    from nowcast.io.cf import kind_of

    return kind_of(path)


def _groups(files: list[Path], *, together: bool) -> list[tuple[list[Path], str]]:
    """What is drawn at once, with the first part of the pictures' names; ``together``: forecasts share panels."""
    if together and len(files) > 1 and all(_own_kind(path) == "forecast" for path in files):
        return [(files, f"{_stem(files[0])}-compared")]
    groups: list[tuple[list[Path], str]] = []
    for path in files:
        used = [stem for _, stem in groups]
        stem = _stem(path)
        number = sum(name == stem or name.startswith(f"{stem}-") for name in used)
        groups.append(([path], f"{stem}-{number + 1}" if number else stem))
    return groups


def _stem(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.stem


def _seen_from(chosen: Choices, kind: str | None, view: str) -> str:
    from nowcast.errors import UsageError

    if kind is not None or chosen.line is not None:
        raise UsageError(f"--view {view} takes neither --kind nor --line: leave them out")
    return view


def _parse_camera(text: str | None) -> Camera | None:
    if text is None:
        return None
    from nowcast.plot import Camera

    try:
        azimuth, elevation, zoom = (float(part) for part in (text if text.count(",") == 2 else f"{text},1").split(","))
    except ValueError as error:
        hint = f"expected AZIMUTH,ELEVATION[,ZOOM] such as 200,25,1.5, got {text!r}"
        raise typer.BadParameter(hint, param_hint="--camera") from error
    return Camera(azimuth, elevation, zoom)


def _parse_line(text: str | None) -> Line | None:
    if text is None:
        return None
    from nowcast.plot import Line

    return Line(*parse_four(text, "--line", "X0,Y0,X1,Y1 in km", "-60,0,60,20"))
