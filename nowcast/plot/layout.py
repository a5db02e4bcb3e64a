"""Where things stand on a picture, in inches, so that nothing overlaps whatever the number of maps.

A sheet has a headline above, a column for the colour bar on the right, the key of "no echo" and "not observed" below,
and cells between them. Each cell has a coloured strip on top that says what it shows: dark grey for observed, blue for
forecast, outside of the data so that it hides none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.text import Text

from nowcast.plot.style import (
    DPI,
    FORECAST_INK,
    LEVELS_DBZ,
    NO_ECHO,
    NOT_OBSERVED,
    OBSERVED_INK,
    SMALL_SIZE,
    TEXT_SIZE,
    TITLE_SIZE,
    ColourScale,
)

TOP_IN, BOTTOM_IN, LEFT_IN, RIGHT_IN = 0.64, 0.74, 0.80, 0.90
STRIP_IN = 0.22
GAP_IN = 0.14


@dataclass(frozen=True)
class Sheet:
    """A figure and the inches it is laid out in: ``inner`` is (left, bottom, width, height) of the cells' block."""

    figure: Figure
    inner: tuple[float, float, float, float]

    def axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Axes at a place in inches from the figure's lower left corner."""
        w, h = self.figure.get_size_inches()
        return self.figure.add_axes((left / w, bottom / h, width / w, height / h))

    def cells(
        self, rows: int, columns: int, place: tuple[float, float, float, float] | None = None
    ) -> list[list[Axes]]:
        """A block of equal axes with strips on top; only the outer ones have tick labels."""
        left, bottom, width, height = self.inner if place is None else place
        cell_w = (width - GAP_IN * (columns - 1)) / columns
        cell_h = (height - GAP_IN * (rows - 1)) / rows - STRIP_IN
        block = []
        for row in range(rows):
            y = bottom + (rows - 1 - row) * (cell_h + STRIP_IN + GAP_IN)
            block.append([self.axes(left + i * (cell_w + GAP_IN), y, cell_w, cell_h) for i in range(columns)])
            for column, axes in enumerate(block[-1]):
                axes.tick_params(labelsize=SMALL_SIZE, labelbottom=row == rows - 1, labelleft=column == 0)
        return block

    def headline(self, title: str, *facts: str) -> None:
        """The title in bold, and up to two lines of facts under it, all made to fit the width."""
        size = self.figure.get_size_inches()
        y = size[1] - 0.10
        for line, (text, points, weight) in enumerate(
            [(title, TITLE_SIZE, "bold"), *((fact, TEXT_SIZE, "normal") for fact in facts)]
        ):
            height = y / size[1]
            drawn = self.figure.text(0.5, height, text, ha="center", va="top", fontsize=points, fontweight=weight)
            shrink_to(drawn, size[0] - 0.2)
            y -= 0.245 if line == 0 else 0.19

    def colour_bar(self, scale: ColourScale) -> None:
        """A colour bar right of the cells."""
        left, bottom, width, height = self.inner
        self._bar(scale, self.axes(left + width + 0.14, bottom, 0.17, height), "vertical")

    def colour_bar_below(self, scale: ColourScale, place: tuple[float, float, float]) -> None:
        """A level colour bar at (left, bottom) with a width, all in inches; its labels stand below it."""
        left, bottom, width = place
        self._bar(scale, self.axes(left, bottom, width, 0.15), "horizontal")

    def _bar(self, scale: ColourScale, axes: Axes, orientation: str) -> None:
        mappable = ScalarMappable(norm=scale.norm, cmap=scale.cmap)
        bar = self.figure.colorbar(mappable, cax=axes, extend=scale.extend, extendfrac=0.04, orientation=orientation)
        bar.set_ticks(list(scale.ticks), labels=[f"{tick:g}" for tick in scale.ticks])
        bar.set_label(scale.label, fontsize=TEXT_SIZE, labelpad=2 if orientation == "horizontal" else 5)
        axes.tick_params(labelsize=SMALL_SIZE, length=2.5)

    def key(
        self,
        *,
        certain: bool = True,
        white: str = f"no echo (below {LEVELS_DBZ[0]} dBZ)",
        grey: str = "not observed",
    ) -> None:
        """In the lower right corner: what white and grey mean.

        ``certain=False`` is for volumes whose files do not tell "no echo" from "not observed".
        """
        white += "" if certain else ", or not observed: the files do not tell"
        told = ((NO_ECHO, white), (NOT_OBSERVED, grey))
        self.legend([Patch(facecolor=colour, edgecolor="0.3", label=label) for colour, label in told])

    def legend(self, handles: list[Artist]) -> None:
        """In the lower right corner: what stands for what, two in a line."""
        self.figure.legend(
            handles=handles, loc="lower right", ncols=2, fontsize=SMALL_SIZE, frameon=False, borderaxespad=0.4,
            columnspacing=1.2, handlelength=1.6,
        )  # fmt: skip

    def row_name(self, axes: Axes, text: str) -> None:
        """A name for a row of cells, left of its axis label."""
        box, width = axes.get_position(), self.figure.get_figwidth()
        self.figure.text(
            box.x0 - 0.72 / width, (box.y0 + box.y1) / 2, text, rotation=90, ha="right", va="center",
            multialignment="center", fontsize=TEXT_SIZE + 0.5, fontweight="bold",
        )  # fmt: skip


def new_sheet(
    inner_width: float,
    inner_height: float,
    *,
    left: float = LEFT_IN,
    right: float = RIGHT_IN,
    bottom: float = BOTTOM_IN,
    top: float = TOP_IN,
) -> Sheet:
    """A sheet whose block of cells has the given size in inches; the figure has its own Agg canvas."""
    size = (left + inner_width + right, bottom + inner_height + top)
    figure = Figure(figsize=size, dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return Sheet(figure, (left, bottom, inner_width, inner_height))


def columns_for(count: int) -> int:
    """How many columns show so many maps with few left blank."""
    if count <= 3:
        return max(count, 1)
    return 2 if count == 4 else 3 if count in (5, 6, 9) else 4 if count <= 8 else 5 if count == 10 else 6


def map_width(columns: int) -> float:
    """Width in inches of each of so many maps side by side."""
    return {1: 4.6, 2: 3.4, 3: 2.9}.get(columns, 2.35)


def block_size(rows: int, columns: int, cell_width: float, aspect: float) -> tuple[float, float]:
    """Width and height of a block of cells whose axes are ``cell_width`` wide and ``aspect`` times as high."""
    height = rows * (cell_width * aspect + STRIP_IN) + GAP_IN * (rows - 1)
    return columns * cell_width + GAP_IN * (columns - 1), height


class Strip:
    """The coloured strip that heads a cell; :meth:`say` changes what it says, and the axes' frame with it."""

    def __init__(self, axes: Axes, text: str, right: str = "", *, forecast: bool) -> None:
        height_in, self._width_in = size_in(axes)
        top = 1.0 + STRIP_IN / height_in
        self._axes = axes
        self._band = Rectangle((0, 1), 1, top - 1, transform=axes.transAxes, clip_on=False)
        axes.add_patch(self._band)
        style: dict[str, Any] = {"transform": axes.transAxes, "va": "center_baseline", "color": "white"}
        margin, y = 0.06 / self._width_in, (1.0 + top) / 2
        self._left = axes.text(margin, y, "", ha="left", fontweight="bold", **style)
        self._right = axes.text(1 - margin, y, "", ha="right", **style)
        self.say(text, right, forecast=forecast)

    def say(self, text: str, right: str = "", *, forecast: bool) -> None:
        """Show ``text`` on the left and ``right`` on the right, smaller where they would meet."""
        ink = FORECAST_INK if forecast else OBSERVED_INK
        self._band.set(facecolor=ink, edgecolor=ink)
        for spine in self._axes.spines.values():
            spine.set(color=ink, linewidth=1.5 if forecast else 0.8)
        self._left.set(text=text, fontsize=SMALL_SIZE)
        self._right.set(text=right, fontsize=SMALL_SIZE)
        taken = (width_of(self._left) + width_of(self._right)) / (self._width_in - 0.3)
        if taken > 1.0:
            self._left.set_fontsize(SMALL_SIZE / taken)
            self._right.set_fontsize(SMALL_SIZE / taken)


def size_in(axes: Axes) -> tuple[float, float]:
    """Height and width of axes in inches."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    box, (width, height) = axes.get_position(), figure.get_size_inches()
    return box.height * height, box.width * width


def width_of(text: Text) -> float:
    """Width of a drawn text in inches."""
    figure = text.get_figure()
    assert figure is not None
    return float(text.get_window_extent().width / figure.dpi)


def shrink_to(text: Text, width_in: float) -> None:
    """Make a text smaller where it is wider than ``width_in`` inches."""
    wide = width_of(text)
    if wide > width_in:
        text.set_fontsize(text.get_fontsize() * np.clip(width_in / wide, 0.5, 1.0))
