"""Which of the channels asked for an archive really holds."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import numpy as np

from nowcast.types import VolumeSequence

logger = logging.getLogger(__name__)


def without_empty(volumes: VolumeSequence) -> VolumeSequence:
    """The volumes without the channels that have no value in any of them; says which are left out."""
    empty = [n for c, n in enumerate(volumes.channels) if c > 0 and np.isnan(volumes.values[:, c]).all()]
    tell_left_out(empty)
    return volumes.with_channels([name for name in volumes.channels if name not in empty])


def tell_left_out(names: Iterable[str]) -> None:
    """Say which channels the volumes do not have."""
    missing = ", ".join(names)
    if missing:
        logger.warning("left out, because no volume has a value: %s", missing)
