"""Storm cells of fitted Gaussians, and where they go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import nowcast
from nowcast.cells import Ahead, Cell, CellConfig, forecast_tracks, track_cells
from nowcast.errors import UsageError
from nowcast.gaussians import advect
from nowcast.io.atomic import file_digest
from nowcast.io.gaussians import read_windows
from nowcast.pipeline.digests import digests
from nowcast.types import REFLECTIVITY, GaussianSequence, GaussianSet


@dataclass(frozen=True)
class CellRun:
    """The cells by time, where those of the last time go, and what all this was made from."""

    gaussians: GaussianSequence
    cells: list[list[Cell]]
    ahead: list[Ahead]
    facts: dict[str, Any]


def run_cells(
    source: Path,
    config: CellConfig,
    *,
    lead_minutes: Sequence[float] = (),
    model: Path | None = None,
    members: int = 1,
    seed: int = 0,
) -> CellRun:
    """Cells of the newest window of a Gaussian file, and their forecast by advection or, with one, a model.

    Raises
    ------
    InputError
        The file is no Gaussian file.
    UsageError
        Members without a model.
    """
    if members > 1 and model is None:
        raise UsageError("an ensemble needs a model, which knows what is uncertain: give --model default or a PATH")
    gaussians = read_windows(source, last=1)[-1].gaussians.with_channels((REFLECTIVITY,))
    cells = track_cells(gaussians, config)
    facts: dict[str, Any] = {"version": nowcast.__version__, "input_sha256": digests([source]), "cells": asdict(config)}
    if not lead_minutes:
        return CellRun(gaussians, cells, [], facts)
    leads = (60.0 * np.asarray(lead_minutes)).tolist()
    one, ensemble = _forecast(gaussians, leads, model, members, seed)
    if model is not None:
        facts |= {"model": model.name, "model_sha256": file_digest(model), "members": members, "seed": seed}
    return CellRun(gaussians, cells, forecast_tracks(cells[-1], gaussians.at(-1), leads, one, ensemble), facts)


def _forecast(
    gaussians: GaussianSequence, leads: list[float], model: Path | None, members: int, seed: int
) -> tuple[list[GaussianSet], list[list[GaussianSet]]]:
    if model is None:
        return advect(gaussians, leads), []
    import torch

    from nowcast.models import load_checkpoint, roll_out_ensemble

    one, ensemble = roll_out_ensemble(load_checkpoint(model), gaussians, leads, members if members > 1 else 0, seed)
    tracked = torch.arange(len(gaussians.ids))  # what comes up anew belongs to no cell yet
    return [at.take(tracked) for at in one], [[at.take(tracked) for at in member] for member in ensemble]
