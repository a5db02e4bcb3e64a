"""What ``nowcast view`` shows of a file or folder: a forecast, observed volumes, or one beside the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nowcast.errors import InputError, UsageError
from nowcast.io import cf, forecasts, gaussians
from nowcast.io.atomic import atomic_write_text, check_writable
from nowcast.pipeline.inputs import load_sequence
from nowcast.pipeline.observed import observed_beside
from nowcast.plot.frames import utc
from nowcast.radar import Site
from nowcast.types import Forecast, Progress, VolumeSequence
from nowcast.view import Contents, contents_of, page_of, view_json

PAST_FRAMES = 6
"""Observed volumes up to the initial time that are shown with a forecast, unless told otherwise."""
MANY_FRAMES = 18
"""Newest volumes of a folder that are shown, unless told otherwise."""


def view_contents(
    source: Path,
    *,
    obs: Path | None = None,
    at: np.datetime64 | None = None,
    frames: int | None = None,
    site: Site | None = None,
    clutter: Path | None = None,
    progress: Progress | None = None,
) -> Contents:
    """Read a forecast file, a volume-sequence file or a folder of radar files as the contents of a page.

    Parameters
    ----------
    source
        The file or folder.
    obs
        Where the observed volumes beside a forecast are: those before its initial time, and those at its lead times.
    at, frames
        Only volumes valid at or before a time, and so many of them.
    site, clutter, progress
        As in :func:`nowcast.pipeline.inputs.load_sequence`.

    Raises
    ------
    InputError
        It cannot be read, or holds neither a forecast nor volumes.
    UsageError
        The options do not fit what it holds.
    """
    if not source.exists():
        raise InputError(f"{source} does not exist: expected a forecast, volumes, or a folder of radar files")
    kind = cf.kind_of(source)
    if kind in (gaussians.KIND, "products"):
        what = "Gaussians: `nowcast plot` draws them" if kind == gaussians.KIND else "products"
        raise InputError(f"{source} holds {what}; expected a forecast, volumes, or a cycle of a batch job")
    if kind == forecasts.KIND:
        if at is not None:
            raise UsageError("--at chooses observed volumes: a forecast file has its own times; leave it out")
        forecast = forecasts.read_forecast(source)
        seen = None
        if obs is not None:
            seen = observed_beside(
                forecast, obs, past=PAST_FRAMES, frames=frames, site=site, clutter=clutter, progress=progress
            )
        return forecast_contents(forecast, seen, source.stem)
    if obs is not None:
        raise UsageError(f"--obs goes with a forecast, which {source} is not: leave it out")
    wanted = MANY_FRAMES if frames is None and source.is_dir() else frames
    volumes = load_sequence(source, at=at, frames=wanted, site=site, clutter=clutter, progress=progress)
    first, last = (utc(volumes.times[i]) for i in (0, -1))
    title = f"{source.resolve().stem}: observed {first}" + (f" to {last}" if len(volumes) > 1 else "")
    return contents_of(title, None, volumes, _missing(volumes))


def forecast_contents(forecast: Forecast, observed: VolumeSequence | None, name: str) -> Contents:
    """The contents of a page of a forecast, with what is to be told of it."""
    notes = [] if observed is None else _missing(observed)
    if "fallback_reason" in forecast.provenance:
        notes.insert(0, f"A simpler forecast, {forecast.method}: {forecast.provenance['fallback_reason']}")
    title = f"Forecast from {utc(forecast.init_time)}"
    return contents_of(title if name.startswith("forecast") else f"{name}: {title}", forecast, observed, notes)


def _missing(volumes: VolumeSequence) -> list[str]:
    lacking = sorted({name for names in volumes.missing for name in names})
    return [f"Of some times volumes of these radars are missing: {', '.join(lacking)}"] if lacking else []


def write_page(contents: Contents, output: Path) -> int:
    """Write a page; returns its size in bytes. Raises OutputError."""
    check_writable(output)
    atomic_write_text(output, page_of(view_json(contents), contents.title))
    return output.stat().st_size
