"""Eulerian persistence: nothing changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nowcast.types import Float32, VolumeSequence


def persistence(volumes: VolumeSequence, lead_times: NDArray[np.timedelta64]) -> Float32:
    """The newest volume, again at every lead time.

    Parameters
    ----------
    volumes
        Only the newest one is used.
    lead_times
        ``[L]`` timedelta64.

    Returns
    -------
    ``[L, Z, Y, X]`` float32 dBZ; 0 where the newest volume was not observed.
    """
    newest = volumes.select(slice(-1, None)).filled()
    return np.repeat(newest, len(lead_times), axis=0)
