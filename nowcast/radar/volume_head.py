"""What a radar file says of itself before its data are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nowcast.radar.polar import DEFAULT_BEAM_WIDTH_DEG, Site


@dataclass(frozen=True)
class VolumeHead:
    """The header of a polar volume.

    Attributes
    ----------
    path, format
        The file and what :func:`nowcast.radar.sniff` calls it.
    time
        Valid time, UTC.
    radar
        Name of the radar in the file.
    site
        Its position, or None where the file has none.
    elevations_deg
        Elevations of the sweeps with reflectivity in the file's order, or None where only reading all of it
        would tell.
    planned_sweeps
        How many sweeps the header announces, 0 where it does not.
    scan, beam_width_deg, defect
        As in :class:`nowcast.radar.PolarVolume`.
    """

    path: Path
    format: str
    time: np.datetime64
    radar: str = ""
    site: Site | None = None
    elevations_deg: tuple[float, ...] | None = None
    scan: str = ""
    beam_width_deg: float = DEFAULT_BEAM_WIDTH_DEG
    defect: str = ""
    planned_sweeps: int = 0

    def with_defect(self, defect: str) -> VolumeHead:
        """The same head that tells one more defect."""
        return replace(self, defect="; ".join(d for d in (self.defect, defect) if d))
