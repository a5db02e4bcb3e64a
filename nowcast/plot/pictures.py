"""Sets of pictures: which kinds there are for what, what their files are called, and writing them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nowcast.errors import UsageError
from nowcast.plot import animate, style
from nowcast.plot.animate import write_animation
from nowcast.plot.camera import Camera
from nowcast.plot.derived import plot_differences, plot_probabilities
from nowcast.plot.frames import spread_indices
from nowcast.plot.gaussians import plot_gaussians
from nowcast.plot.maps import plot_levels, plot_map
from nowcast.plot.panels import leads_of, plot_panels, plot_times
from nowcast.plot.products import field_stem, plot_product
from nowcast.plot.scene import plot_scene
from nowcast.plot.sections import Line, plot_section
from nowcast.plot.style import Palette, save_figure
from nowcast.products.files import ProductField, ProductFile
from nowcast.types import FittedWindow, Forecast, VolumeSequence
from nowcast.units import minutes

VOLUME_KINDS = ("map", "level", "section", "panels", "animation")
FORECAST_KINDS = (*VOLUME_KINDS, "difference", "probability")
GAUSSIAN_KINDS = ("gaussians", "3d")
PRODUCT_KINDS = ("products",)
KINDS = (*FORECAST_KINDS, *GAUSSIAN_KINDS, *PRODUCT_KINDS)
SUFFIXES = (*style.FORMATS, *animate.FORMATS)
OTHER_SUFFIXES = (".bmp", ".eps", ".jpeg", ".jpg", ".tif", ".tiff", ".webp")
MOST_SECTIONS = 3


@dataclass(frozen=True)
class Choices:
    """What the pictures show.

    Attributes
    ----------
    levels_m
        Heights of the levels to draw, metres; empty for the column maximum, or six levels where levels are asked for.
    line
        Where to cut; None for west to east through the deepest echo.
    leads_minutes
        Which leads of a forecast; empty for a choice by kind of picture.
    threshold_dbz
        What probabilities are of.
    palette
        ``"standard"`` or ``"safe"``.
    camera
        Where Gaussians in space are seen from.
    products
        Names of the products to draw; empty for all that there are.
    """

    levels_m: tuple[float, ...] = ()
    line: Line | None = None
    leads_minutes: tuple[float, ...] = ()
    threshold_dbz: float = 35.0
    palette: Palette = "standard"
    camera: Camera | None = None
    products: tuple[str, ...] = ()

    def one_level(self, kind: str) -> float | None:
        """The level of a picture that can show one only; raises UsageError for several."""
        if len(self.levels_m) > 1:
            raise UsageError(f"{kind} pictures show one level: give --level once, or use --kind level")
        return self.levels_m[0] if self.levels_m else None


@dataclass(frozen=True)
class Target:
    """Where pictures go: ``folder`` with names that begin with ``stem``, or the one file ``file``."""

    folder: Path
    stem: str
    file: Path | None = None

    def name(self, kind: str, detail: str = "") -> Path:
        """Path of a picture."""
        if self.file is not None:
            return self.file
        suffix = ".gif" if kind == "animation" else ".png"
        return self.folder / f"{self.stem}-{kind}{detail}{suffix}"


def target_of(output: Path | None, stem: str) -> Target:
    """Read an output argument: a path with a picture's suffix is a file, any other a folder; None is where we are.

    Raises UsageError for the suffix of a picture format that cannot be written.
    """
    if output is not None and output.suffix.lower() in OTHER_SUFFIXES:
        raise UsageError(f"cannot draw {output.name!r}: give a folder, or a name that ends in {', '.join(SUFFIXES)}")
    if output is not None and output.suffix.lower() in SUFFIXES:
        return Target(output.parent, stem, output)
    return Target(Path() if output is None else output, stem)


def volume_pictures(
    volumes: VolumeSequence, kinds: Sequence[str], target: Target, choices: Choices | None = None
) -> list[Path]:
    """Draw observed volumes; returns the files written. Maps, levels and sections show the newest volume.

    Raises UsageError for a kind that volumes do not have, or choices that do not fit, and OutputError.
    """
    chosen = choices or Choices()
    if chosen.leads_minutes:
        raise UsageError("observed volumes have no lead times: leave out --lead, and choose a time with --at")
    level = chosen.one_level
    makers: dict[str, Callable[[Path], Path]] = {
        "map": lambda path: save_figure(plot_map(volumes, level_m=level("map"), palette=chosen.palette), path),
        "level": lambda path: save_figure(
            plot_levels(volumes, levels_m=chosen.levels_m or None, palette=chosen.palette), path
        ),
        "section": lambda path: save_figure(plot_section(volumes, line=chosen.line, palette=chosen.palette), path),
        "panels": lambda path: save_figure(plot_times(volumes, level_m=level("panels"), palette=chosen.palette), path),
        "animation": lambda path: write_animation(
            path, observed=volumes, level_m=level("animation"), palette=chosen.palette
        ),
    }
    return _make(kinds, makers, target, "observed volumes")


def kinds_of(forecast: Forecast, observed: VolumeSequence | None) -> list[str]:
    """All pictures that there can be of a forecast."""
    later = observed is not None and (observed.times > forecast.init_time).any()
    lacking = ({"difference"} if not later else set()) | ({"probability"} if len(forecast.values) < 2 else set())
    return [kind for kind in FORECAST_KINDS if kind not in lacking]


def forecast_pictures(
    forecasts: Forecast | Sequence[Forecast],
    observed: VolumeSequence | None,
    kinds: Sequence[str],
    target: Target,
    choices: Choices | None = None,
) -> list[Path]:
    """Draw a forecast, or the panels of several with one initial time; returns the files written.

    Maps and levels show the last lead, sections three leads, panels at most six, unless ``choices`` names them.
    Raises UsageError for a kind that forecasts do not have, or choices that do not fit, and OutputError.
    """
    several = [forecasts] if isinstance(forecasts, Forecast) else list(forecasts)
    first, chosen = several[0], choices or Choices()
    if len(chosen.leads_minutes) > 1 and list(kinds) in (["map"], ["level"]):
        raise UsageError(f"{kinds[0]} pictures show one lead: give --lead once, or --kind panels")
    leads = leads_of(first.lead_times, chosen.leads_minutes)
    level, palette = chosen.one_level, chosen.palette
    last = leads[-1] if leads else len(first.lead_times) - 1
    cuts = leads or spread_indices(len(first.lead_times), MOST_SECTIONS)
    later = None if observed is None or observed.times[-1] <= first.init_time else observed
    makers: dict[str, Callable[[Path], Path]] = {
        "map": lambda path: save_figure(plot_map(first, last, level_m=level("map"), palette=palette), path),
        "level": lambda path: save_figure(
            plot_levels(first, last, levels_m=chosen.levels_m or None, palette=palette), path
        ),
        "section": lambda path: save_figure(
            plot_section(first, cuts, line=chosen.line, observed=later, palette=palette), path
        ),
        "panels": lambda path: save_figure(
            plot_panels(several, observed, leads=leads or None, level_m=level("panels"), palette=palette), path
        ),
        "animation": lambda path: write_animation(
            path, observed=observed, forecast=first, level_m=level("animation"), palette=palette
        ),
        "difference": lambda path: save_figure(
            plot_differences(first, observed, leads=leads or None, level_m=level("difference")), path
        ),
        "probability": lambda path: save_figure(
            plot_probabilities(first, chosen.threshold_dbz, leads=leads or None, level_m=level("probability")),
            path,
        ),
    }
    if len(several) > 1 and tuple(kinds) != ("panels",):
        raise UsageError("several forecasts together make panels only: draw the other kinds file by file")
    lead = f"-{minutes(first.lead_times[last]):.0f}min"
    return _make(kinds, makers, target, "forecasts", {"map": lead, "level": lead})


def gaussian_pictures(
    window: FittedWindow, kinds: Sequence[str], target: Target, choices: Choices | None = None
) -> list[Path]:
    """Draw the newest input time of fitted Gaussians; returns the files written. Raises UsageError and OutputError."""
    chosen = choices or Choices()
    if chosen.leads_minutes or chosen.levels_m:
        raise UsageError("a picture of Gaussians takes neither --lead nor --level: it shows column maximum and section")
    newest = window.inputs - 1
    makers: dict[str, Callable[[Path], Path]] = {
        "gaussians": lambda path: save_figure(
            plot_gaussians(window.gaussians, window.volumes, newest, line=chosen.line, palette=chosen.palette), path
        ),
        "3d": lambda path: save_figure(
            plot_scene(window.gaussians, newest, camera=chosen.camera, palette=chosen.palette), path
        ),
    }
    return _make(kinds, makers, target, "Gaussians")


def product_pictures(
    file: ProductFile, kinds: Sequence[str], target: Target, choices: Choices | None = None
) -> list[Path]:
    """Draw products by time, a picture each; returns the files written.

    Raises UsageError for products that the file does not hold, or choices that do not fit, and OutputError.
    """
    chosen = choices or Choices()
    _check_kinds(kinds, PRODUCT_KINDS, "products")
    if chosen.levels_m or chosen.line is not None:
        raise UsageError("products are maps: leave out --level and --line, and choose some with --product")
    held = tuple(dict.fromkeys(field.product for field in file.fields))
    if lacking := [name for name in chosen.products if name not in held]:
        raise UsageError(f"the file holds no product {lacking[0]}: choose among {', '.join(held)}")
    fields = [field for field in file.fields if not chosen.products or field.product in chosen.products]
    if target.file is not None and len(fields) > 1:
        hint = "give a folder with -o, or one product with --product"
        raise UsageError(f"{len(fields)} pictures do not fit in {target.file.name}: {hint}")
    times = _times_of(file, chosen.leads_minutes) if chosen.leads_minutes else None

    def draw(field: ProductField) -> Path:
        figure = plot_product(file, field, times=times, palette=chosen.palette)
        return save_figure(figure, target.name(field_stem(field)))

    return [draw(field) for field in fields]


def _times_of(file: ProductFile, leads_minutes: Sequence[float]) -> list[int]:
    if file.init_time is None:
        raise UsageError("products of observed volumes have no lead times: leave out --lead")
    return leads_of(file.valid_times - file.init_time, leads_minutes)


def _make(
    kinds: Sequence[str],
    makers: dict[str, Callable[[Path], Path]],
    target: Target,
    what: str,
    details: dict[str, str] | None = None,
) -> list[Path]:
    _check_kinds(kinds, tuple(makers), what)
    if target.file is not None and len(kinds) > 1:
        raise UsageError(f"{len(kinds)} pictures do not fit in {target.file.name}: give a folder with -o")
    return [makers[kind](target.name(kind, (details or {}).get(kind, ""))) for kind in kinds]


def _check_kinds(kinds: Sequence[str], known: Sequence[str], what: str) -> None:
    unknown = [kind for kind in kinds if kind not in known]
    if not unknown:
        return
    hint = f"choose --kind among {', '.join(known)}, all"
    makers = {**dict.fromkeys(GAUSSIAN_KINDS, "fit"), **dict.fromkeys(PRODUCT_KINDS, "products")}
    if unknown[0] in makers:
        hint = f"give a file of `nowcast {makers[unknown[0]]}`, or {hint}"
    raise UsageError(f"{what} have no {unknown[0]} picture: {hint}")
