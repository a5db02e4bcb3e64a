"""The Gaussians carried from one cycle to the next in a state file."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from nowcast.errors import InputError, OutputError
from nowcast.gaussians import FitConfig, why_not_continue
from nowcast.io.gaussians import read_windows, write_windows
from nowcast.types import FittedWindow, GaussianSequence, VolumeSequence

logger = logging.getLogger(__name__)


def read_state(path: Path, stamp: str, volumes: VolumeSequence, config: FitConfig) -> GaussianSequence | None:
    """The fit of an earlier cycle if it can go on to these volumes; None, with a warning that says why, if not.

    Parameters
    ----------
    path
        A file of :func:`write_state`; one that is not there yet is no reason for a warning.
    stamp
        Of :func:`state_stamp`: what the volumes and the fit were made with.
    """
    if not path.exists():
        return None
    try:
        windows = read_windows(path)
        reason = "it was made with other settings" if windows[-1].event != stamp else None
    except (InputError, IndexError) as error:
        reason = str(error)
    if reason is None:
        reason = why_not_continue(windows[-1].gaussians, volumes, config)
    if reason is not None:
        logger.warning("the state in %s is not used: %s", path, reason)
        return None
    return windows[-1].gaussians


def write_state(fitted: GaussianSequence, path: Path, stamp: str, *, history: str = "") -> None:
    """Keep a fit for the next cycle. A failure is a warning: the next cycle then fits from nothing."""
    try:
        write_windows([FittedWindow(fitted, len(fitted), stamp)], path, exact=True, history=history)
    except OutputError as error:
        logger.warning("%s; the next cycle will fit from nothing", error)


def state_stamp(config: FitConfig, **others: Any) -> str:
    """A digest of the fit's settings, on whatever device, and of what else the volumes depend on."""
    settings = {"fit": asdict(replace(config, device=FitConfig.device)), **others}
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()
