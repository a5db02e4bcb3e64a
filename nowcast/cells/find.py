"""Storm cells at one time: connected areas of strong echo, and the Gaussians that draw each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nowcast.checks import check_numbers
from nowcast.products import columns, liquid
from nowcast.types import Float32, GaussianSet, GridSpec

Labels = NDArray[np.int32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class CellConfig:
    """What a cell is.

    Attributes
    ----------
    threshold_dbz
        A cell is a connected area, corners included, whose column maximum reaches this.
    least_area_km2
        Smaller ones are none.
    top_dbz
        The echo top that its height is.
    shared
        A cell goes on as one of the next time when they share at least this part of the Gaussians, by what these draw,
        of the one that has less.
    """

    threshold_dbz: float = 35.0
    least_area_km2: float = 20.0
    top_dbz: float = 18.0
    shared: float = 0.2

    def __post_init__(self) -> None:
        check_numbers(self, "cells", positive=("threshold_dbz", "top_dbz"), not_negative=("least_area_km2",))
        check_numbers(self, "cells", share=("shared",))


@dataclass(frozen=True)
class Shape:
    """A cell at one time: centroid weighted by Z of the column maximum and outline ``[P, 2]`` (east, north), m."""

    x_m: float
    y_m: float
    outline_m: Doubles
    area_km2: float
    max_dbz: float
    top_m: float
    vil: float


def label_cells(dbz: Float32, grid: GridSpec, config: CellConfig) -> Labels:
    """``[Y, X]`` the number of each cell of ``dbz [Z, Y, X]``, from 1, and 0 where there is none."""
    strong = columns.column_maximum(dbz) >= config.threshold_dbz
    labels, count = ndimage.label(strong, structure=np.ones((3, 3)))
    areas = np.bincount(labels.ravel(), minlength=count + 1) * _pixel_km2(grid)
    kept = areas >= config.least_area_km2
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0)
    return numbers[labels].astype(np.int32)


def shapes_of(dbz: Float32, labels: Labels, grid: GridSpec, config: CellConfig) -> list[Shape]:
    """The cells of :func:`label_cells` in their order."""
    top = columns.echo_top(dbz, grid.z, config.top_dbz)
    vil = liquid.vertically_integrated_liquid(dbz, grid.z)
    strongest = columns.column_maximum(dbz)
    shapes = []
    for number in range(1, int(labels.max(initial=0)) + 1):
        rows, across = np.nonzero(labels == number)
        here = strongest[rows, across]
        weights = liquid.linear_reflectivity(here).astype(np.float64)
        x, y = np.average([grid.x[across], grid.y[rows]], axis=1, weights=weights)
        shapes.append(
            Shape(
                float(x),
                float(y),
                _outline(rows, across, grid),
                len(rows) * _pixel_km2(grid),
                float(here.max()),
                float(np.nanmax(top[rows, across], initial=0.0)),
                float(np.nanmax(vil[rows, across], initial=0.0)),
            )
        )
    return shapes


def owners(gaussians: GaussianSet, labels: Labels, grid: GridSpec) -> tuple[NDArray[np.int32], Doubles]:
    """``[N]`` number of the cell that each Gaussian's centre lies in, 0 for none, and what it draws."""
    rows = np.round(grid.index_of(gaussians.means.numpy())[:, 1:]).astype(int)
    inside = ((rows >= 0) & (rows < grid.shape[1:])).all(axis=1)
    owner = np.zeros(len(rows), np.int32)
    owner[inside] = labels[rows[inside, 0], rows[inside, 1]]
    return owner, drawn_by(gaussians)


def drawn_by(gaussians: GaussianSet) -> Doubles:
    """``[N]`` what each Gaussian draws: its integral up to a constant factor, dBZ m3."""
    amplitude = gaussians.intensities[:, 0].numpy().astype(np.float64).clip(0.0)
    return amplitude * np.exp(gaussians.log_scales.numpy().astype(np.float64).sum(axis=1))


def _pixel_km2(grid: GridSpec) -> float:
    return grid.spacing_m[1] * grid.spacing_m[2] / 1e6


def _outline(rows: NDArray[np.intp], across: NDArray[np.intp], grid: GridSpec) -> Doubles:
    """The convex hull of the pixels, closed, counterclockwise."""
    from scipy.spatial import ConvexHull

    half = np.array([grid.spacing_m[2], grid.spacing_m[1]]) / 2
    centres = np.stack([grid.x[across], grid.y[rows]], axis=1)
    corners = np.concatenate([centres + half * sign for sign in ((-1, -1), (-1, 1), (1, -1), (1, 1))])
    hull = corners[ConvexHull(corners).vertices]
    return np.concatenate([hull, hull[:1]])
