"""Fitted Gaussians in space, seen from a camera, above ground with range rings and heights."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from numpy.typing import NDArray
from torch import Tensor

from nowcast.plot.camera import Camera, View, blend
from nowcast.plot.frames import check_index, datum, origin_text, utc
from nowcast.plot.layout import new_sheet
from nowcast.plot.maps import HALO
from nowcast.plot.splats import UNIT_M, visible
from nowcast.plot.style import SMALL_SIZE, Palette, reflectivity_scale
from nowcast.types import GaussianSequence, GaussianSet, GridSpec
from nowcast.units import MAX_DBZ, dbz_to_linear, linear_to_dbz
from nowcast_kernels.voxelize import rotation_matrices

UPWARDS = 4.0
"""Heights are drawn so much larger: storms are ten kilometres high on a ground of some hundred."""
WIDTH_IN, HEIGHT_IN, PIXELS_PER_IN = 8.6, 5.2, 140
RING_M, TICK_M = 50e3, 5e3
POLE_PIXELS = 50
"""Heights are written at poles that rise by at least so much in the picture: below it one would cover the other."""
MARGIN = 60
"""Pixels between the left or right border and what has words: nearer these would be cut."""
LINE = "0.62"
WORDS = {"fontsize": SMALL_SIZE, "color": "0.35", "path_effects": [HALO], "zorder": 3, "clip_on": True}
"""Upon the echo: under it they cannot be read."""
COMPASS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")


def plot_scene(
    sequence: GaussianSequence, index: int = -1, *, camera: Camera | None = None, palette: Palette = "standard"
) -> Figure:
    """The Gaussians of one time as splats: strong echo hides what is behind it, weak echo is a veil.

    Each has the reflectivity of the field at its centre. Where several are seen the colour is that of their mean, of Z
    (mm⁶/m³) and not of dBZ, so that cores stay visible; colours themselves are never mixed.

    Parameters
    ----------
    sequence
        Fitted Gaussians; the first channel is reflectivity.
    index
        Which time of the sequence.
    camera
        Where one looks from; None for the south, the whole grid in the picture.
    palette
        ``"standard"`` or ``"safe"`` colours.

    Raises
    ------
    UsageError
        There is no such time.
    """
    check_index(sequence, index)
    camera, grid, scale = camera or Camera(), sequence.grid, reflectivity_scale(palette)
    shown, opacities, reflectivity = visible(sequence.at(index), grid)
    means, covars = inside(shown, grid)
    size = round(WIDTH_IN * PIXELS_PER_IN), round(HEIGHT_IN * PIXELS_PER_IN)
    box = _box(grid)
    middle = np.median(means.numpy(), axis=0) if len(means) else box.mean(0)
    view = View.around(np.array([*product(*box.T)]), middle, camera, size, MARGIN + 1)
    sheet = new_sheet(WIDTH_IN, HEIGHT_IN, left=0.15, bottom=0.25, top=0.84)
    axes = sheet.axes(*sheet.inner)
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0), xticks=[], yticks=[], autoscale_on=False)
    _draw_ground(axes, view, grid)
    power = torch.from_numpy(dbz_to_linear(reflectivity - MAX_DBZ))
    image = blend(view, means, covars, opacities, power[:, None].expand(-1, 3))
    colours = scale.cmap(scale.norm(MAX_DBZ + linear_to_dbz(image[..., 0])), alpha=image[..., 3])
    axes.imshow(colours, extent=(0, size[0], size[1], 0), interpolation="antialiased", zorder=2)
    side = f"from the {COMPASS[round(camera.azimuth_deg / 45) % 8]} at {camera.elevation_deg:g}°"
    facts = f"{utc(sequence.times[index])} · origin {origin_text(grid)} · height {datum(grid)}"
    seen = f"{side} · rings every {RING_M / 1e3:g} km · heights times {UPWARDS:g} · colour: mean Z of what is seen"
    sheet.headline(f"{len(means)} of {sequence.means.shape[1]} Gaussians in space", facts, seen)
    sheet.colour_bar(scale)
    return sheet.figure


def inside(gaussians: GaussianSet, grid: GridSpec) -> tuple[Tensor, Tensor]:
    """Centres ``[K, 3]`` and covariances ``[K, 3, 3]`` of the Gaussians as they are drawn, in units.

    What reaches within two sigma below the ground or above the grid is squeezed to what lies between them: nothing is
    known of it elsewhere.
    """
    up = torch.tensor([1.0, 1.0, UPWARDS])
    spread = up[:, None] * rotation_matrices(gaussians.quats) * (gaussians.log_scales.exp() / UNIT_M)[:, None, :]
    means, covars = gaussians.means / UNIT_M * up, spread @ spread.mT
    (_, _, ground), (_, _, top) = _box(grid)
    sigma = covars[:, 2, 2].sqrt()
    ends = torch.stack([means[:, 2] - 2 * sigma, means[:, 2] + 2 * sigma]).clamp(ground, top)
    height, thin = ends.mean(0), ((ends[1] - ends[0]) / 4).clamp(min=0.01)
    tilt = covars[:, :, 2] / sigma[:, None] ** 2
    means = means + tilt * (height - means[:, 2])[:, None]
    return means, covars + (thin**2 - sigma**2)[:, None, None] * tilt[:, :, None] * tilt[:, None, :]


def _box(grid: GridSpec) -> NDArray[np.float64]:
    """The lowest and the highest corner of what is drawn ``[2, 3]``, in units, from the ground up."""
    low, high = (grid.x[0], grid.y[0], 0.0), (grid.x[-1], grid.y[-1], UPWARDS * grid.z[-1])
    return np.array([low, high]) / UNIT_M


def _draw_ground(axes: Axes, view: View, grid: GridSpec) -> None:
    """The border of the grid, rings around its origin, north, and heights at its corners."""
    (west, south, _), (east, north, top) = _box(grid)

    def line(points: NDArray[np.float64], **style: object) -> None:
        at = view.project(points)
        axes.plot(at[:, 0], at[:, 1], **{"color": LINE, "linewidth": 0.7, "zorder": 1, **style})  # type: ignore[arg-type]

    taken: list[Bbox] = []

    def text(place: tuple[float, float, float], words: str, **style: object) -> None:
        x, y = view.project(np.array(place))
        if not (MARGIN < x < view.width - MARGIN and 0 < y < view.height):
            return
        drawn = axes.text(x, y, words, **{**WORDS, **style})  # type: ignore[arg-type]
        taken.append(drawn.get_window_extent())
        if taken[-1].count_overlaps(taken[:-1]):
            drawn.remove()
            taken.pop()

    corners = [(west, south), (east, south), (east, north), (west, north)]
    line(np.array([(*corner, 0.0) for corner in (*corners, corners[0])]), linewidth=1.0)
    line(np.array([(0.0, 0.0, 0.0), (0.0, north, 0.0)]), linewidth=0.5)
    text((0.0, north, 0.0), "N", ha="center", va="bottom", fontsize=SMALL_SIZE + 3, fontweight="bold")
    around = np.linspace(0, 2 * np.pi, 181)
    for ring in np.arange(RING_M, max(grid.x[-1], grid.y[-1]) + 1, RING_M) / UNIT_M:
        line(np.stack([ring * np.sin(around), ring * np.cos(around), 0 * around], axis=1), linewidth=0.5)
        text((0.0, ring, 0.0), f"{ring * UNIT_M / 1e3:g} km", ha="center", va="bottom")
    line(np.zeros((1, 3)), marker="^", markersize=5, color="0.25")
    for corner in corners:
        pole = np.array([(*corner, 0.0), (*corner, top)])
        line(pole)
        foot, tip = view.project(pole)
        if not foot[1] - tip[1] > POLE_PIXELS:
            continue
        for height in np.arange(TICK_M, grid.z[-1] + 1, TICK_M):
            text((*corner, UPWARDS * height / UNIT_M), f"{height / 1e3:g} km", ha="right", va="center")
