"""Fitted Gaussians in space, seen from a camera, above ground with range rings and heights."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nowcast.plot.camera import Camera, View, blend
from nowcast.plot.frames import check_index, datum, origin_text, utc
from nowcast.plot.layout import new_sheet
from nowcast.plot.maps import HALO
from nowcast.plot.splats import HARMONIC_0, UNIT_M, splats_of
from nowcast.plot.style import SMALL_SIZE, Palette, reflectivity_scale
from nowcast.types import GaussianSequence, GridSpec
from nowcast_kernels.voxelize import rotation_matrices

UPWARDS = 4.0
"""Heights are drawn so much larger: storms are ten kilometres high on a ground of some hundred."""
WIDTH_IN, HEIGHT_IN, PIXELS_PER_IN = 8.6, 5.2, 140
RING_M, TICK_M = 50e3, 5e3
POLE_PIXELS = 50
"""Heights are written at poles that rise by at least so much in the picture: below it one would cover the other."""
MARGIN = 60
"""Pixels: words nearer to the left or right border would be cut."""
LINE = "0.62"
WORDS = {"fontsize": SMALL_SIZE, "color": "0.35", "path_effects": [HALO], "zorder": 3, "clip_on": True}
"""Upon the echo: under it they cannot be read."""
COMPASS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")


def plot_scene(
    sequence: GaussianSequence, index: int = -1, *, camera: Camera | None = None, palette: Palette = "standard"
) -> Figure:
    """The Gaussians of one time as splats in the colour of the reflectivity at their centres.

    Strong echo hides what is behind it, weak echo is a veil.

    Parameters
    ----------
    sequence
        Fitted Gaussians; the first channel is reflectivity.
    index
        Which time of the sequence.
    camera
        Where one looks from; None for the south, the whole echo in the picture.
    palette
        ``"standard"`` or ``"safe"`` colours.

    Raises
    ------
    UsageError
        There is no such time.
    """
    check_index(sequence, index)
    camera, grid, scale = camera or Camera(), sequence.grid, reflectivity_scale(palette)
    splats = splats_of(sequence.at(index), grid, palette)
    up = torch.tensor([1.0, 1.0, UPWARDS])
    axes_of = up[:, None] * rotation_matrices(splats["quats"]) * splats["scales"].exp()[:, None, :]
    means, opacities = splats["means"] * up, splats["opacities"].sigmoid()
    size = round(WIDTH_IN * PIXELS_PER_IN), round(HEIGHT_IN * PIXELS_PER_IN)
    view = View(camera, *_around(means.double().numpy(), grid), *size)
    sheet = new_sheet(WIDTH_IN, HEIGHT_IN, left=0.15, bottom=0.25, top=0.84)
    axes = sheet.axes(*sheet.inner)
    _draw_ground(axes, view, grid)
    colours = 0.5 + HARMONIC_0 * splats["sh0"][:, 0]
    axes.imshow(
        blend(view, means, axes_of @ axes_of.mT, opacities, colours),
        extent=(0, size[0], size[1], 0), interpolation="antialiased", zorder=2,
    )  # fmt: skip
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0), xticks=[], yticks=[])
    side = f"from the {COMPASS[round(camera.azimuth_deg / 45) % 8]} at {camera.elevation_deg:g}°"
    facts = f"{utc(sequence.times[index])} · origin {origin_text(grid)} · height {datum(grid)}"
    seen = f"{side} · rings every {RING_M / 1e3:g} km · heights drawn {UPWARDS:g} times · colours blend"
    sheet.headline(f"{len(means)} of {sequence.means.shape[1]} Gaussians in space", facts, seen)
    sheet.colour_bar(scale)
    return sheet.figure


def _around(means: NDArray[np.float64], grid: GridSpec) -> tuple[NDArray[np.float64], float]:
    """Where to look, and the radius of what is to be seen: nearly all splats, and never less than a storm."""
    if len(means) == 0:
        middle = np.array([(grid.x[0] + grid.x[-1]) / 2, (grid.y[0] + grid.y[-1]) / 2, 0.0]) / UNIT_M
        return middle, float((grid.x[-1] - grid.x[0]) / 2 / UNIT_M)
    target = np.quantile(means, (0.03, 0.97), axis=0).mean(axis=0)
    return target, max(float(np.quantile(np.linalg.norm(means - target, axis=1), 0.97)), 3.0)


def _draw_ground(axes: Axes, view: View, grid: GridSpec) -> None:
    """The border of the grid, rings around its origin, north, and heights at its corners."""
    west, east, south, north, top = (v / UNIT_M for v in (grid.x[0], grid.x[-1], grid.y[0], grid.y[-1], grid.z[-1]))

    def line(points: NDArray[np.float64], **style: object) -> None:
        at = view.project(points)
        axes.plot(at[:, 0], at[:, 1], **{"color": LINE, "linewidth": 0.7, "zorder": 1, **style})  # type: ignore[arg-type]

    def text(place: tuple[float, float, float], words: str, **style: object) -> None:
        x, y = view.project(np.array(place))
        if MARGIN < x < view.width - MARGIN and 0 < y < view.height:
            axes.text(x, y, words, **{**WORDS, **style})  # type: ignore[arg-type]

    corners = [(west, south), (east, south), (east, north), (west, north)]
    line(np.array([(*corner, 0.0) for corner in (*corners, corners[0])]), linewidth=1.0)
    around = np.linspace(0, 2 * np.pi, 181)
    for ring in np.arange(RING_M, max(grid.x[-1], grid.y[-1]) + 1, RING_M) / UNIT_M:
        line(np.stack([ring * np.sin(around), ring * np.cos(around), 0 * around], axis=1), linewidth=0.5)
        text((0.0, ring, 0.0), f"{ring * UNIT_M / 1e3:g} km", ha="center", va="bottom")
    line(np.array([(0.0, 0.0, 0.0), (0.0, north, 0.0)]), linewidth=0.5)
    text((0.0, north, 0.0), "N", ha="center", va="bottom", fontsize=SMALL_SIZE + 3, fontweight="bold")
    line(np.zeros((1, 3)), marker="^", markersize=5, color="0.25")
    for corner in corners:
        pole = np.array([(*corner, 0.0), (*corner, UPWARDS * top)])
        line(pole)
        foot, tip = view.project(pole)
        if not foot[1] - tip[1] > POLE_PIXELS:
            continue
        for height in np.arange(TICK_M, grid.z[-1] + 1, TICK_M):
            text((*corner, UPWARDS * height / UNIT_M), f"{height / 1e3:g} km", ha="right", va="center")
