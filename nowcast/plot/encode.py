"""Pictures to animation files."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from nowcast.errors import OutputError
from nowcast.plot.style import FORECAST_INK, OBSERVED_INK, ColourScale, class_colours


def write_gif(path: Path, pictures: Sequence[Image.Image], durations_ms: list[int], scale: ColourScale) -> None:
    """Write pictures drawn in ``scale`` as an endless GIF."""
    to_palette = _GifPalette(scale, pictures[-1])
    frames = [to_palette(picture) for picture in pictures]
    frames[0].save(path, format="GIF", save_all=True, append_images=frames[1:], duration=durations_ms, loop=0)


class _GifPalette:
    """256 colours for a whole animation: first those that carry meaning, exactly; then greys and what else is needed.

    Pillow's own mapping to a palette rounds colours before it compares them, and white comes out as light grey.
    """

    def __init__(self, scale: ColourScale, picture: Image.Image) -> None:
        greys = [f"#{level:02x}{level:02x}{level:02x}" for level in (*range(0, 255, 8), 255)]
        meant = list(dict.fromkeys([*class_colours(scale), FORECAST_INK, OBSERVED_INK, *greys]))
        fixed = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in meant]
        rest = picture.quantize(256 - len(fixed), method=Image.Quantize.FASTOCTREE).getpalette() or []
        self._colours = np.array([*fixed, *np.reshape(rest, (-1, 3))], np.int32)[:256]
        # Entry of each 24-bit colour; -1 where it has not been looked for yet.
        self._entries = np.full(1 << 24, -1, np.int16)

    def __call__(self, picture: Image.Image) -> Image.Image:
        """The picture with each colour replaced by the nearest one of the palette."""
        red, green, blue = np.moveaxis(np.asarray(picture, np.int32), -1, 0)
        codes = red << 16 | green << 8 | blue
        new = np.unique(codes[self._entries[codes] < 0])
        if new.size:
            parts = np.stack([new >> 16, new >> 8 & 255, new & 255], axis=-1)
            distance = ((parts[:, None, :] - self._colours[None]) ** 2).sum(axis=-1)
            self._entries[new] = distance.argmin(axis=1)
        mapped = Image.fromarray(self._entries[codes].astype(np.uint8))
        mapped.putpalette(self._colours.astype(np.uint8).tobytes())
        return mapped


def write_mp4(path: Path, pictures: Sequence[Image.Image], durations_ms: list[int]) -> None:
    """Pipe the pictures to ffmpeg, each repeated for as long as it stays; raises OutputError when that fails."""
    width, height = (side - side % 2 for side in pictures[0].size)  # H.264 wants even sides
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    command += ["-r", "20", "-i", "-", "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", "mp4", str(path)]
    frames = b"".join(
        picture.crop((0, 0, width, height)).tobytes() * max(round(duration / 50), 1)
        for picture, duration in zip(pictures, durations_ms, strict=True)
    )
    done = subprocess.run(command, input=frames, capture_output=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise OutputError(f"ffmpeg could not write {path.name}: {' '.join(reason)}; write a .gif instead")
