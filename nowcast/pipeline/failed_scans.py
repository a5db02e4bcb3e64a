"""Volumes that lost all their echo at once: a failed scan, not the weather."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nowcast import units
from nowcast.pipeline.skips import skip
from nowcast.types import Bool, Float32, GridSpec, VolumeSequence

ECHO_DBZ, RAIN_DBZ = 5.0, 20.0
MUCH_KM3 = 2000.0
"""So much echo above ``RAIN_DBZ`` does not vanish between two volumes."""
MEMORY = np.timedelta64(30, "m")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scan:
    """What a volume is judged by: ``[Z, Y, X]`` reflectivity in dBZ and what was observed."""

    time: np.datetime64
    reflectivity: Float32
    mask: Bool

    @cached_property
    def is_empty(self) -> bool:
        """Whether it observed something, and nowhere echo."""
        return bool(self.mask.any()) and not (self.reflectivity > ECHO_DBZ).any()


def without_failed_scans(volumes: VolumeSequence, frames: int | None = None) -> VolumeSequence:
    """Leave out, with a warning, volumes without any echo that closely follow one with much.

    Many formats have one value for "no echo" and "not observed", so a scan that failed reads as clear air, and a
    forecast from it as an all-clear. A volume is judged by the last one before it that is kept, never by a later one.
    With ``frames`` only so many are kept, the newest.
    """
    if volumes.coverage is not None and not volumes.coverage.any():
        logger.warning("no voxel of any volume holds a value: taken as no echo")
    judged = zip(volumes.times, volumes.reflectivity, volumes.mask, strict=True)
    faults = faults_of([Scan(*scan) for scan in judged], volumes.grid)
    kept = [t for t, fault in enumerate(faults) if not fault][-(frames or 0) :]
    for t in range(kept[0], len(volumes)):
        if faults[t]:
            skip(units.iso_utc(volumes.times[t]), faults[t])
    return volumes if len(kept) == len(volumes) else volumes.select(np.array(kept))


def faults_of(scans: Sequence[Scan], grid: GridSpec) -> list[str]:
    """Why each volume is a failed scan, an empty text where it is none; they rise in time."""
    voxel_km3 = math.prod(grid.spacing_m) / 1e9
    faults: list[str] = []
    kept: Scan | None = None
    for scan in scans:
        rain_km3 = 0.0
        if kept is not None and scan.time - kept.time <= MEMORY and scan.is_empty:
            rain_km3 = voxel_km3 * int((kept.reflectivity[scan.mask] > RAIN_DBZ).sum())
        if rain_km3 > MUCH_KM3:
            before_it = f"{rain_km3:.0f} km3 above {RAIN_DBZ:.0f} dBZ"
            faults.append(
                f"the volume at {units.iso_utc(scan.time)} holds no echo at all, the one before it {before_it}"
            )
        else:
            faults.append("")
            kept = scan
    return faults


def enough(newest_first: Sequence[Scan], frames: int | None, grid: GridSpec) -> bool:
    """Whether ``frames`` of these volumes are kept for certain, whatever lies before them.

    What has echo is kept. So is what has none where no volume within ``MEMORY`` before it has any.
    """
    if frames is None or len(newest_first) < frames:
        return False
    scans = newest_first[::-1]
    kept = [t for t, fault in enumerate(faults_of(scans, grid)) if not fault]
    if len(kept) < frames:
        return False
    first = kept[-frames]
    is_far = bool(scans[first].time - scans[0].time > MEMORY)
    return is_far or not all(scan.is_empty for scan in scans[: first + 1])
