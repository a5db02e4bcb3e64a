"""The Gaussians carried from one cycle to the next in a state file."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from dataclasses import asdict, replace
from pathlib import Path

import nowcast
from nowcast.errors import InputError, OutputError, UsageError
from nowcast.gaussians import FitConfig, why_not_continue
from nowcast.io.atomic import check_writable, file_digest
from nowcast.io.gaussians import KIND, read_windows, write_windows
from nowcast.pipeline.radars import clutter_digests
from nowcast.radar import Site
from nowcast.radar.gridding import GridConfig
from nowcast.radar.mosaic import MosaicConfig
from nowcast.radar.quality import QualityConfig
from nowcast.types import FittedWindow, GaussianSequence, VolumeSequence

logger = logging.getLogger(__name__)

_STAMP = re.compile(r"[0-9a-f]{64}")


def check_state(path: Path, output: Path) -> None:
    """Refuse what must not be written over, before long work; a damaged state may be.

    Raises
    ------
    UsageError
        ``path`` is the forecast's file too, or holds something else than a state.
    OutputError
        It cannot be written.
    """
    check_writable(path)
    if path.resolve() == output.resolve():
        raise UsageError(f"--state and -o both name {path}: give the state a file of its own")
    if path.exists() and path.stat().st_size and not is_state(path):
        raise UsageError(f"--state {path} holds something else than a state: give another name, or remove the file")


def is_state(path: Path) -> bool:
    """Whether a file is a state, or may be one that was damaged: a NetCDF file that cannot be read, no text."""
    import netCDF4

    try:
        with netCDF4.Dataset(path) as file:
            kind, events = getattr(file, "nowcast_kind", None), file["event"][:]
    except (OSError, RuntimeError):
        return path.suffix == ".nc" and b"\0" in path.read_bytes()
    except LookupError:
        return False
    return kind == KIND and all(_STAMP.fullmatch(event) for event in events)


def read_state(path: Path, stamp: str, volumes: VolumeSequence, config: FitConfig) -> GaussianSequence | None:
    """The fit of an earlier cycle if it can go on to these volumes; None, with a warning that says why, if not.

    Parameters
    ----------
    path
        A file of :func:`write_state`; one that is not there yet is no reason for a warning.
    stamp
        Of :func:`settings_stamp`: what the volumes and the fit were made with.
    """
    if not path.exists():
        return None
    try:
        windows = read_windows(path)
        reason = why_not_continue(windows[-1].gaussians, volumes, config)
        if reason is None and windows[-1].event != stamp:
            reason = "it was made with other settings"
    except (InputError, IndexError) as error:
        reason = str(error)
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


def settings_stamp(
    fit: FitConfig,
    *,
    grid: GridConfig,
    quality: QualityConfig | None,
    site: Site | None,
    mosaic: MosaicConfig,
    clutter: Path | None,
) -> str:
    """A digest of what volumes and their fit are made with, on whatever device: those of other settings, or of another
    version, are not used."""
    settings = {
        "fit": asdict(replace(fit, device=FitConfig.device)),
        "version": nowcast.__version__,
        "grid": grid,
        "quality": quality,
        "site": site,
        "mosaic": mosaic,
        "clutter": None if clutter is None else file_digest(clutter),
        "clutter_maps": clutter_digests(mosaic),
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()
