"""Room for the small labels of a map: each stands where it hides least echo, and none lies on another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from nowcast.plot.graticule import Place
from nowcast.plot.layout import size_in
from nowcast.plot.style import LEVELS_DBZ
from nowcast.types import Float32, GridSpec

Box = tuple[float, float, float, float]
CHARACTER_EM, LINE_EM = 0.74, 1.3


class Room:
    """A map whose axes are in km, with the boxes on it (west, east, south, north) that labels have taken so far."""

    def __init__(self, axes: Axes, field: Float32, grid: GridSpec) -> None:
        """``field [Y, X]`` dBZ is what the map shows, NaN where not observed."""
        self.x, self.y, self.echo = grid.x / 1e3, grid.y / 1e3, field >= LEVELS_DBZ[0]
        self.view: Box = (*axes.get_xlim(), *axes.get_ylim())
        self.km_per_point = (self.view[1] - self.view[0]) / (72 * size_in(axes)[1])
        self.taken: list[Box] = []

    def put(
        self, texts: Sequence[str], choices: Sequence[Sequence[Place | None]], points: float, *, shy: bool = True
    ) -> Sequence[Place | None]:
        """Take room for labels of so many points, all as one of the choices has them.

        Parameters
        ----------
        texts
            The labels.
        choices
            Of the centre of each, km, None for a label that is left out; the first that does best is taken.
        shy
            Whether to keep off echo; a label that belongs to it need not.

        Returns
        -------
        The centres, None also for a label that would leave the map or lie on another.
        """

        def cost(choice: Sequence[Place | None]) -> int:
            boxes = [
                None if at is None else self._box(text, at, points) for text, at in zip(texts, choice, strict=True)
            ]
            lost = sum(box is None or not self._free(box) for box in boxes)
            return lost * self.echo.size + sum(self._hidden(box) for box in boxes if box is not None and shy)

        chosen, out = min(choices, key=cost), []
        for text, at in zip(texts, chosen, strict=True):
            box = None if at is None else self._box(text, at, points)
            out.append(at if box is not None and self._free(box) else None)
            if box is not None and out[-1] is not None:
                self.taken.append(box)
        return out

    def _box(self, text: str, at: Place, points: float) -> Box:
        em = points * self.km_per_point
        wide, high = CHARACTER_EM * em * len(text) / 2, LINE_EM * em / 2
        return at[0] - wide, at[0] + wide, at[1] - high, at[1] + high

    def _free(self, box: Box) -> bool:
        west, east, south, north = self.view
        inside = west <= box[0] and box[1] <= east and south <= box[2] and box[3] <= north
        return inside and not any(_meet(box, other) for other in self.taken)

    def _hidden(self, box: Box) -> int:
        """Pixels of echo under a box."""
        columns = (self.x >= box[0]) & (self.x <= box[1])
        rows = (self.y >= box[2]) & (self.y <= box[3])
        return int(np.count_nonzero(self.echo[np.ix_(rows, columns)]))


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]
