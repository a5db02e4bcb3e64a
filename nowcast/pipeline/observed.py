"""Observed volumes to show beside a forecast."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nowcast.pipeline.forecast import site_of
from nowcast.pipeline.inputs import list_inputs, load_sequence
from nowcast.plot.frames import match_tolerance_s
from nowcast.radar import Site
from nowcast.types import Forecast, Progress, VolumeSequence


def observed_beside(
    forecast: Forecast,
    archive: Path,
    *,
    past: int,
    frames: int | None = None,
    site: Site | None = None,
    clutter: Path | None = None,
    progress: Progress | None = None,
) -> VolumeSequence:
    """The observed volumes up to a forecast's last lead time, on its grid.

    ``past`` of them are not later than its initial time, unless ``frames`` tells how many there are to be in all. The
    others are arguments of :func:`nowcast.pipeline.inputs.load_sequence`, and so are the errors; ``site`` is by default
    the position that the forecast was made with.
    """
    site = site or site_of(forecast)
    end = forecast.valid_times[-1] + np.timedelta64(int(match_tolerance_s(forecast)), "s")
    later = int((list_inputs(archive, at=end) > forecast.init_time).sum())
    count = frames or later + past
    return load_sequence(
        archive, at=end, frames=count, grid=forecast.grid, site=site, clutter=clutter, progress=progress
    )
