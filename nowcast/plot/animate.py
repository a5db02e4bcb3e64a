"""Animations: the observed volumes, then the forecast, on one time line that says which is which."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from PIL import Image

from nowcast.errors import UsageError
from nowcast.io.atomic import atomic_path
from nowcast.plot.encode import write_gif, write_mp4
from nowcast.plot.frames import Frame, clock, frame_at, frames_of, match_tolerance_s, peak_of, place_text, utc
from nowcast.plot.layout import BOTTOM_IN, Sheet, Strip, block_size, new_sheet
from nowcast.plot.maps import draw_map, extent_km, field_name, horizontal, label_axes, map_aspect
from nowcast.plot.style import (
    FORECAST_INK,
    OBSERVED_INK,
    SMALL_SIZE,
    ColourScale,
    Palette,
    reflectivity_scale,
)
from nowcast.types import Forecast, Progress, VolumeSequence

FORMATS = (".gif", ".mp4")
FRAME_MS = 350
PAUSE_MS = 1200
"""How long the last observed and the last forecast frame stay."""
TIMELINE_IN = 0.42


@dataclass(frozen=True)
class Track:
    """What one map of an animation shows, moment by moment; None where there is no volume."""

    frames: tuple[Frame | None, ...]


def write_animation(
    path: Path | str,
    *,
    observed: VolumeSequence | None = None,
    forecast: Forecast | None = None,
    level_m: float | None = None,
    palette: Palette = "standard",
    progress: Progress | None = None,
) -> Path:
    """Write an animated map of observed volumes, or of a forecast after the observations that led to it.

    Where observations valid at the lead times are given too, they run in a second map beside the forecast.

    Parameters
    ----------
    path
        Ends in ``.gif``, or in ``.mp4`` where the program ffmpeg is installed.
    observed
        Volumes; with a forecast those before and, where there are, after its initial time.
    forecast
        What to show after them; None to show the volumes alone.
    level_m
        Height in metres; None for the column maximum.

    Raises
    ------
    UsageError
        Nothing to show, another suffix, MP4 without ffmpeg, or no such level.
    OutputError
        The file cannot be written.
    """
    target = Path(path)
    _check_format(target)
    tracks = _tracks(observed, forecast)
    scale = reflectivity_scale(palette)
    movie = _Movie(tracks, level_m, scale)
    pictures = []
    for moment in range(len(tracks[0].frames)):
        pictures.append(movie.draw(moment))
        if progress is not None:
            progress(moment + 1, len(tracks[0].frames))
    with atomic_path(target) as temporary:
        if target.suffix.lower() == ".gif":
            write_gif(temporary, pictures, movie.durations_ms(), scale)
        else:
            write_mp4(temporary, pictures, movie.durations_ms())
    return target


def _check_format(target: Path) -> None:
    kind = target.suffix.lower()
    if kind not in FORMATS:
        raise UsageError(f"cannot animate {target.name!r}: the name must end in {' or '.join(FORMATS)}")
    if kind == ".mp4" and shutil.which("ffmpeg") is None:
        raise UsageError("an MP4 needs the program ffmpeg, which is not installed: write a .gif instead")


def _tracks(observed: VolumeSequence | None, forecast: Forecast | None) -> list[Track]:
    seen = [] if observed is None else frames_of(observed)
    if forecast is None:
        if not seen:
            raise UsageError("there is nothing to animate: give observed volumes, a forecast, or both")
        return [Track(tuple(seen))]
    past = [frame for frame in seen if frame.valid_time <= forecast.init_time]
    ahead = frames_of(forecast)
    tracks = [Track((*past, *ahead))]
    truth = [frame_at(observed, frame.valid_time, match_tolerance_s(forecast)) for frame in ahead]
    if any(frame is not None for frame in truth):
        tracks.insert(0, Track((*past, *truth)))
    return tracks


class _Movie:
    """One figure that is drawn again and again with other contents."""

    def __init__(self, tracks: Sequence[Track], level_m: float | None, scale: ColourScale) -> None:
        self.tracks, self.level_m = tracks, level_m
        first = next(frame for frame in tracks[-1].frames if frame is not None)
        self.sheet = _sheet(len(tracks), first)
        cells = self.sheet.cells(1, len(tracks))[0]
        blank = np.full(first.grid.shape[1:], np.nan, np.float32)
        view = extent_km(first.grid)
        self.images = [draw_map(cell, blank, first.grid, scale, view=view, detail=len(tracks) == 1) for cell in cells]
        self.strips = [Strip(cell, "", forecast=False) for cell in cells]
        label_axes([cells])
        last = tracks[-1].frames[-1]
        self.sheet.headline(f"Reflectivity, {field_name(first.grid, level_m)}", _facts(first, last))
        self.sheet.colour_bar(scale)
        certain = all(f.certain for track in tracks for f in track.frames if f is not None)
        self.sheet.key(certain=certain)
        self.hand = _draw_timeline(self.sheet, tracks[-1].frames)
        self.moving = [artist for cell in cells for artist in _contents(cell)] + [self.hand]
        self.background: Any = None

    def draw(self, moment: int) -> Image.Image:
        """The picture of one moment."""
        for image, head, track in zip(self.images, self.strips, self.tracks, strict=True):
            self._show(image, head, track, moment)
        self.hand.set_xdata([moment, moment])
        canvas = self.sheet.figure.canvas
        assert isinstance(canvas, FigureCanvasAgg)
        if self.background is None:
            self.hand.set_visible(False)
            canvas.draw()
            self.background = canvas.copy_from_bbox(self.sheet.figure.bbox)
            self.hand.set_visible(True)
        # Only what changes, and what lies on it, is drawn again: the axes' ticks, titles and colour bar stay.
        canvas.restore_region(self.background)
        renderer = canvas.get_renderer()
        for artist in self.moving:
            artist.draw(renderer)
        pixels: NDArray[np.uint8] = np.asarray(canvas.buffer_rgba())
        return Image.fromarray(pixels[..., :3].copy())

    def _show(self, image: AxesImage, head: Strip, track: Track, moment: int) -> None:
        shown = track.frames[moment]
        if shown is None:
            image.set_data(np.full_like(image.get_array(), np.nan))
            head.say("OBSERVED", "no volume", forecast=False)
            return
        field = horizontal(shown, self.level_m)
        image.set_data(field)
        image.set_extent(extent_km(shown.grid))
        head.say(f"{shown.mark} · {clock(shown.valid_time)}", peak_of(field), forecast=shown.is_forecast)

    def durations_ms(self) -> list[int]:
        """How long each moment stays; longer at the last observed and at the last one."""
        marks = [frame is not None and frame.is_forecast for frame in self.tracks[-1].frames]
        times = [FRAME_MS] * len(marks)
        times[-1] = PAUSE_MS
        if True in marks and marks.index(True) > 0:
            times[marks.index(True) - 1] = PAUSE_MS
        return times


def _contents(cell: Axes) -> list[Artist]:
    """What is drawn within axes and on their frame, from bottom to top; not their ticks and labels."""
    fixed = {id(cell.xaxis), id(cell.yaxis), id(cell.patch)}
    return sorted((a for a in cell.get_children() if id(a) not in fixed), key=lambda artist: artist.zorder)


def _sheet(maps: int, first: Frame) -> Sheet:
    size = block_size(1, maps, 5.6 if maps == 1 else 4.4, map_aspect(first.grid))
    return new_sheet(*size, bottom=BOTTOM_IN + TIMELINE_IN)


def _facts(first: Frame, last: Frame | None) -> str:
    origin = place_text(first.grid, first.radars)
    if last is not None and last.init_time is not None:
        return f"init {utc(last.init_time)} · method {last.method} · {origin}"
    until = "" if last is None else f" to {utc(last.valid_time)}"
    return f"{utc(first.valid_time)}{until} · {origin}"


def _draw_timeline(sheet: Sheet, frames: Sequence[Frame | None]) -> Line2D:
    """A line of time below the maps, grey for observed and blue for forecast; returns its hand."""
    left, _, width, _ = sheet.inner
    axes: Axes = sheet.axes(left, 0.42, width, 0.13)
    for moment, shown in enumerate(frames):
        ink = FORECAST_INK if shown is not None and shown.is_forecast else OBSERVED_INK
        axes.axvspan(moment - 0.5, moment + 0.5, color=ink, alpha=0.55, linewidth=0)
    axes.set_xlim(-0.5, len(frames) - 0.5)
    every = -(-len(frames) // 9)
    ticks = list(range(0, len(frames), every))
    names = [clock(f.valid_time)[:5] if (f := frames[i]) is not None else "" for i in ticks]
    axes.set_xticks(ticks, names, fontsize=SMALL_SIZE - 1)
    axes.tick_params(length=2, pad=1)
    axes.set_yticks([])
    (hand,) = axes.plot([0, 0], [0, 1], color="black", linewidth=3, transform=axes.get_xaxis_transform())
    return hand
