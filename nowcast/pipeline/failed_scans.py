"""Volumes that lost all their echo at once: a failed scan, not the weather."""

from __future__ import annotations

import logging
import math

import numpy as np

from nowcast import units
from nowcast.pipeline.skips import skip
from nowcast.types import VolumeSequence

ECHO_DBZ, RAIN_DBZ = 5.0, 20.0
MUCH_KM3 = 2000.0
"""So much echo above ``RAIN_DBZ`` does not vanish between two volumes."""
MEMORY = np.timedelta64(30, "m")

logger = logging.getLogger(__name__)


def without_failed_scans(volumes: VolumeSequence) -> VolumeSequence:
    """Leave out, with a warning, volumes without any echo that closely follow one with much.

    Many formats have one value for "no echo" and "not observed", so a scan that failed reads as clear air, and a
    forecast from it as an all-clear. A volume is judged by the last one before it that is kept, never by a later one.
    """
    if volumes.coverage is not None and not volumes.coverage.any():
        logger.warning("no voxel of any volume holds a value: taken as no echo")
    voxel_km3 = math.prod(volumes.grid.spacing_m) / 1e9
    kept: list[int] = []
    for t, time in enumerate(volumes.times):
        recent = bool(kept) and time - volumes.times[kept[-1]] <= MEMORY
        if recent and volumes.mask[t].any() and not (volumes.reflectivity[t] > ECHO_DBZ).any():
            before = volumes.reflectivity[kept[-1]][volumes.mask[t]]
            rain_km3 = voxel_km3 * int((before > RAIN_DBZ).sum())
            if rain_km3 > MUCH_KM3:
                when, before_it = units.iso_utc(time), f"{rain_km3:.0f} km3 above {RAIN_DBZ:.0f} dBZ"
                skip(when, f"the volume at {when} holds no echo at all, the one before it {before_it}")
                continue
        kept.append(t)
    return volumes if len(kept) == len(volumes) else volumes.select(np.array(kept))
