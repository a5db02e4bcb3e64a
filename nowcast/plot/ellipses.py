"""Gaussians as ellipses: seen from above, cut by a vertical plane, and how they move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from numpy.typing import NDArray

from nowcast.gaussians.shape import covariances
from nowcast.plot.sections import Line
from nowcast.plot.style import ColourScale
from nowcast.types import GaussianSet

Float64 = NDArray[np.float64]
NEGATIVE = (0.3, 0.3, 0.3, 0.35)


@dataclass(frozen=True)
class Ellipses:
    """One-sigma ellipses: ``centres [K, 2]``, ``covariances [K, 2, 2]`` (km, km^2), ``amplitudes [K]`` in dBZ."""

    centres: Float64
    covariances: Float64
    amplitudes: Float64

    def strongest(self, most: int, least_dbz: float) -> Ellipses:
        """Those with an absolute amplitude of at least ``least_dbz``, at most so many of the strongest."""
        size = np.abs(self.amplitudes)
        keep = np.argsort(-size, kind="stable")[:most]
        keep = keep[size[keep] >= least_dbz]
        return Ellipses(self.centres[keep], self.covariances[keep], self.amplitudes[keep])


def covariances_km2(gaussians: GaussianSet) -> Float64:
    """``[N, 3, 3]`` covariances ``R diag(exp(2 l)) R^T`` in km^2, axes (x, y, z)."""
    return covariances(_numpy(gaussians.log_scales), _numpy(gaussians.quats)) / 1e6


def from_above(gaussians: GaussianSet) -> Ellipses:
    """The Gaussians projected to the ground: the horizontal part of mean and covariance."""
    centres = _numpy(gaussians.means)[:, :2] / 1e3
    return Ellipses(centres, covariances_km2(gaussians)[:, :2, :2], _numpy(gaussians.intensities)[:, 0])


def cut_by(gaussians: GaussianSet, line: Line) -> Ellipses:
    """The Gaussians as they appear in the vertical plane over ``line``: axes are (distance along it, height).

    In the plane a Gaussian with normal distance d to it is ``a exp(-d^2 / (2 s_nn))`` times the Gaussian with the
    conditional mean and covariance ``m + S_pn d / s_nn`` and ``S_pp - S_pn S_np / s_nn``.
    """
    along, across = line.direction, np.array([-line.direction[1], line.direction[0]])
    axes = np.array([[*along, 0.0], [0.0, 0.0, 1.0], [*across, 0.0]])
    covariances = axes @ covariances_km2(gaussians) @ axes.T
    means = (_numpy(gaussians.means) / 1e3 - np.array([line.x0, line.y0, 0.0])) @ axes.T
    normal_variance = covariances[:, 2, 2]
    mixed = covariances[:, :2, 2]
    centres = means[:, :2] - mixed * (means[:, 2] / normal_variance)[:, None]
    inside = covariances[:, :2, :2] - mixed[:, :, None] * mixed[:, None, :] / normal_variance[:, None, None]
    amplitudes = _numpy(gaussians.intensities)[:, 0] * np.exp(-0.5 * means[:, 2] ** 2 / normal_variance)
    return Ellipses(centres, inside, amplitudes)


def draw_ellipses(axes: Axes, ellipses: Ellipses, scale: ColourScale) -> None:
    """Draw ellipses in the colour of their amplitude, the strongest on top; grey where they take reflectivity away."""
    if len(ellipses.amplitudes) == 0:
        return
    order = np.argsort(ellipses.amplitudes, kind="stable")
    ellipses = Ellipses(ellipses.centres[order], ellipses.covariances[order], ellipses.amplitudes[order])
    variances, vectors = np.linalg.eigh(ellipses.covariances)
    diameters = 2 * np.sqrt(np.maximum(variances, 0.0))
    angles = np.degrees(np.arctan2(vectors[:, 1, 1], vectors[:, 0, 1]))
    faces = scale.cmap(scale.norm(ellipses.amplitudes), alpha=0.55)
    faces[ellipses.amplitudes < 0] = NEGATIVE
    collection = EllipseCollection(
        diameters[:, 1],
        diameters[:, 0],
        angles,
        units="xy",
        offsets=ellipses.centres,
        offset_transform=axes.transData,
        facecolors=faces,
        edgecolors="0.25",
        linewidths=0.3,
    )
    axes.add_collection(collection, autolim=False)


def mean_motion(
    ellipses: Ellipses, velocities_ms: NDArray[np.floating], cell_km: tuple[float, float]
) -> tuple[Float64, Float64]:
    """Motion averaged over the cells of a grid: positions ``[K, 2]`` in km and velocities ``[K, 2]`` in m/s.

    Positions and velocities have the axes of the ellipses. Each Gaussian counts with its amplitude, as it is seen or
    cut; those of at most 1 dBZ, idle ones and those that only take away, do not count.
    """
    wet = ellipses.amplitudes > 1.0
    weights, positions = ellipses.amplitudes[wet], ellipses.centres[wet]
    if not len(weights):
        return np.empty((0, 2)), np.empty((0, 2))
    _, cell = np.unique(np.floor(positions / np.array(cell_km)).astype(int), axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    total = np.bincount(cell, weights)

    def average(values: Float64) -> Float64:
        return np.column_stack([np.bincount(cell, weights * column) / total for column in values.T])

    return average(positions), average(np.asarray(velocities_ms, np.float64)[wet])


def _numpy(tensor: object) -> Float64:
    return np.asarray(tensor.detach().cpu().numpy(), np.float64)  # type: ignore[attr-defined]
