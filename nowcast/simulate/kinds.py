"""The kinds of weather that can be simulated, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from nowcast.errors import UsageError
from nowcast.simulate.convection import draw_cells_scene, draw_multicell_scene, draw_single_scene
from nowcast.simulate.lines import draw_line_scene
from nowcast.simulate.scene import Scene
from nowcast.simulate.supercells import draw_supercell_scene
from nowcast.simulate.widespread import draw_dry_scene, draw_embedded_scene, draw_stratiform_scene

KINDS: dict[str, Callable[[np.random.Generator, float], Scene]] = {
    "cells": draw_cells_scene,
    "single": draw_single_scene,
    "multicell": draw_multicell_scene,
    "supercell": draw_supercell_scene,
    "line": draw_line_scene,
    "stratiform": draw_stratiform_scene,
    "embedded": draw_embedded_scene,
    "dry": draw_dry_scene,
}

MIX = {
    "cells": 0.14,
    "single": 0.12,
    "multicell": 0.16,
    "supercell": 0.13,
    "line": 0.25,
    "stratiform": 0.06,
    "embedded": 0.12,
    "dry": 0.02,
}
"""Shares of the kinds in a corpus for training."""


def draw_scene(kind: str, seed: int | np.random.SeedSequence, duration_s: float) -> Scene:
    """Draw an event of the given kind and duration; the same arguments give the same scene.

    Raises
    ------
    UsageError
        There is no such kind.
    """
    check_kinds([kind])
    return KINDS[kind](np.random.default_rng(seed), duration_s)


def check_kinds(kinds: Iterable[str]) -> None:
    """Raise UsageError unless all are kinds of weather, and there is one."""
    names = list(kinds)
    unknown = [k for k in names if k not in KINDS]
    if unknown or not names:
        raise UsageError(f"there is no kind of weather called {unknown}: choose from {', '.join(KINDS)}")
