"""Learn a static clutter map from the dry volumes of an archive."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nowcast.errors import InputError
from nowcast.io.atomic import atomic_path
from nowcast.pipeline.inputs import polar_volumes
from nowcast.pipeline.outputs import check_output
from nowcast.radar.clutter import MIN_VOLUMES, ClutterMap, TooFewVolumes, learn_clutter, write_clutter_map
from nowcast.radar.polar import PolarVolume, Site
from nowcast.radar.quality import clean
from nowcast.types import Progress

logger = logging.getLogger(__name__)

RAIN_DBZ = 15.0
DRY_SHARE = 0.005
DRY_WITHIN_M = 150_000.0


def learn_clutter_map(
    source: Path | str,
    output: Path | str,
    *,
    at: np.datetime64 | None = None,
    site: Site | None = None,
    history: str = "",
    progress: Progress | None = None,
) -> tuple[ClutterMap, int]:
    """Learn a clutter map from an archive and write it.

    Only dry volumes are learnt from: those where, without a map, the quality control leaves echo of ``RAIN_DBZ`` on
    less than ``DRY_SHARE`` of the ground.

    Returns
    -------
    The map, and the number of volumes left out because of rain.

    Raises
    ------
    InputError
        The archive has fewer than three dry volumes.
    OutputError
        The map cannot be written.
    UsageError
        It would replace a volume, or its name is of another format.
    """
    check_output(Path(output), Path(source))
    count = {"dry": 0, "wet": 0}

    def dry_volumes() -> Iterator[PolarVolume]:
        for volume in polar_volumes(source, at=at, site=site, progress=progress):
            kind = "dry" if rain_share(clean(volume)) < DRY_SHARE else "wet"
            count[kind] += 1
            if kind == "dry":
                yield volume

    try:
        clutter = learn_clutter(dry_volumes())
    except TooFewVolumes as error:
        raise InputError(
            f"{source} has {count['dry']} dry volumes and {count['wet']} with rain; "
            f"a clutter map needs at least {MIN_VOLUMES} dry ones"
        ) from error
    with atomic_path(output) as path:
        write_clutter_map(clutter, path, history)
    return clutter, count["wet"]


def rain_share(volume: PolarVolume) -> float:
    """The largest share of the ground within ``DRY_WITHIN_M`` that a sweep sees covered with ``RAIN_DBZ`` or more."""
    shares = []
    for sweep in volume.sweeps:
        weight = np.where(sweep.range_m <= DRY_WITHIN_M, sweep.range_m, 0.0)
        total = float((np.isfinite(sweep.reflectivity) * weight).sum())
        if total > 0:
            shares.append(float(((sweep.reflectivity >= RAIN_DBZ) * weight).sum()) / total)
    return max(shares, default=0.0)
