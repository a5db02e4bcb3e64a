"""Gaussians for splat viewers: a PLY file of 3D Gaussian splatting, written by gsplat.

One unit of the file is ``UNIT_M``; x is east, y north and z up, from the grid's origin. A splat has the place, scales
and rotation of its Gaussian, the standard colour of the reconstructed reflectivity at its centre as spherical harmonic
of degree 0, and its amplitude over 70 dBZ as opacity: strong echo hides what is behind it, weak echo is a veil.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nowcast.errors import OutputError
from nowcast.gaussians import render
from nowcast.io.atomic import atomic_path
from nowcast.plot.style import LEVELS_DBZ, Palette, reflectivity_scale
from nowcast.types import Float32, GaussianSet, GridSpec
from nowcast.units import dbz_to_model

UNIT_M = 10e3
"""Viewers expect scenes of some ten units; a radar's domain is some hundred kilometres."""
HARMONIC_0 = 0.5 / math.sqrt(math.pi)
"""The spherical harmonic of degree 0: a colour c is stored as ``(c - 0.5) / HARMONIC_0``."""
FAINTEST, DENSEST = 1 / 255, 0.99
"""Viewers skip what is fainter than one step of a byte; an opacity of 1 has no logit."""


def check_exporter(path: Path) -> None:
    """Raise OutputError where gsplat, which writes the file, is not installed."""
    if find_spec("gsplat") is None:
        raise OutputError(
            f"cannot write {path}: gsplat is not installed; install it with `pip install 'gaussian-nowcast[export]'`"
        )


def write_splats(gaussians: GaussianSet, grid: GridSpec, path: Path | str, comments: Sequence[str] = ()) -> int:
    """Write the Gaussians of one time as splats; returns how many, and writes nothing where there is none.

    Idle and negative Gaussians are left out, and so are those fainter than a viewer draws or where the reconstruction
    is below the first class of reflectivity.

    Parameters
    ----------
    gaussians
        Their first channel is reflectivity.
    grid
        Where the reflectivity at the centres is looked up, at the nearest voxel.
    path
        File to write, whole or not at all.
    comments
        Lines for its header.

    Raises
    ------
    OutputError
        gsplat is not installed, or the file cannot be written.
    """
    path = Path(path)
    check_exporter(path)
    from gsplat import export_splats

    splats = splats_of(gaussians, grid)
    count = len(splats["means"])
    if count:
        with atomic_path(path) as temporary:
            magic, coding, rest = export_splats(**splats, format="ply").split(b"\n", 2)
            told = [f"comment {' '.join(line.split())}".encode() for line in comments]
            temporary.write_bytes(b"\n".join([magic, coding, *told, rest]))
    return count


def splats_of(gaussians: GaussianSet, grid: GridSpec, palette: Palette = "standard") -> dict[str, Tensor]:
    """The arguments of gsplat's ``export_splats``, which stores them as they are.

    ``means [K, 3]`` in units, ``scales [K, 3]`` as logarithms, ``quats [K, 4]`` (wxyz) of length one, ``opacities [K]``
    as logits, ``sh0 [K, 1, 3]``, ``shN [K, 0, 3]``. All finite: one opacity that is not makes gsplat drop every splat.
    """
    kept, opacity, reflectivity = visible(gaussians, grid)
    scale = reflectivity_scale(palette)
    colours = scale.cmap(scale.norm(reflectivity))[:, :3]
    return {
        "means": kept.means / UNIT_M,
        "scales": kept.log_scales - math.log(UNIT_M),
        "quats": torch.nn.functional.normalize(kept.quats, dim=1),
        "opacities": torch.logit(opacity),
        "sh0": torch.from_numpy((colours - 0.5) / HARMONIC_0).float()[:, None],
        "shN": torch.zeros((len(kept), 0, 3)),
    }


def visible(gaussians: GaussianSet, grid: GridSpec) -> tuple[GaussianSet, Tensor, Float32]:
    """The Gaussians that are drawn in space, their opacities ``[K]``, and the reflectivity ``[K]`` at their centres."""
    opacity = dbz_to_model(gaussians.intensities[:, 0].numpy())
    reflectivity = _field_at(gaussians, grid)
    shown = (opacity >= FAINTEST) & (reflectivity >= LEVELS_DBZ[0])
    alpha = torch.from_numpy(np.clip(opacity[shown], FAINTEST, DENSEST))
    return gaussians.take(torch.from_numpy(shown)), alpha, reflectivity[shown]


def _field_at(gaussians: GaussianSet, grid: GridSpec) -> Float32:
    """``[N]`` dBZ of the rendered field at the voxel nearest to each centre."""
    index = np.rint(grid.index_of(gaussians.means.numpy())).astype(np.int64)
    index = np.clip(index, 0, np.array(grid.shape) - 1)
    found: Float32 = render(gaussians, grid)[0][tuple(index.T)]
    return found
