"""Animations: how many frames, what marks a forecast, exact colours."""

from __future__ import annotations

from pathlib import Path

import helpers
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from nowcast.errors import UsageError
from nowcast.plot import animate, write_animation
from nowcast.plot.style import FORECAST_INK, NOT_OBSERVED, OBSERVED_INK, drawn_colours, reflectivity_scale
from nowcast.types import Forecast, VolumeSequence


def cells(steps: int = 6) -> VolumeSequence:
    return helpers.moving_cells(helpers.small_grid((3, 16, 16)), steps=steps, velocity_ms=(12.0, 6.0))


def forecast_of(sequence: VolumeSequence, at: int, leads: int = 3) -> Forecast:
    values = np.repeat(sequence.reflectivity[at : at + 1], leads, axis=0)[None]
    times = np.timedelta64(600_000_000_000, "ns") * np.arange(1, leads + 1)
    return Forecast(sequence.times[at], times, values, sequence.grid, "persistence")


def frames_of_gif(path: Path) -> tuple[list[np.ndarray], list[int]]:
    pictures, durations = [], []
    with Image.open(path) as gif:
        for index in range(gif.n_frames):  # type: ignore[attr-defined]
            gif.seek(index)
            pictures.append(np.asarray(gif.convert("RGB")))
            durations.append(gif.info["duration"])
    return pictures, durations


def share(picture: np.ndarray, colour: str) -> float:
    wanted = np.round(np.array(to_rgb(colour)) * 255)
    return float((picture == wanted).all(axis=-1).mean())


def test_observed_frames_come_first_and_forecast_frames_are_marked(tmp_path: Path) -> None:
    sequence = cells()
    path = write_animation(tmp_path / "a.gif", observed=sequence.select(slice(0, 3)), forecast=forecast_of(sequence, 2))
    pictures, durations = frames_of_gif(path)
    assert len(pictures) == 3 + 3
    # The strip over the map is in the colour of what is shown.
    assert [share(p, OBSERVED_INK) > 0.01 for p in pictures] == [True] * 3 + [False] * 3
    assert [share(p, FORECAST_INK) > 0.01 for p in pictures] == [False] * 3 + [True] * 3
    assert durations[2] == durations[-1] == animate.PAUSE_MS and durations[0] == animate.FRAME_MS
    assert [p.name for p in tmp_path.iterdir()] == ["a.gif"]


def test_later_observations_run_beside_the_forecast(tmp_path: Path) -> None:
    sequence = cells()
    alone = write_animation(tmp_path / "a.gif", forecast=forecast_of(sequence, 2))
    seen = sequence.select([1, 2, 3, 4])
    beside = write_animation(tmp_path / "b.gif", observed=seen, forecast=forecast_of(sequence, 2))
    one, two = frames_of_gif(alone)[0], frames_of_gif(beside)[0]
    assert len(one) == 3 and len(two) == 5  # the last lead was not observed, yet has its frame
    assert two[0].shape[1] > 1.4 * one[0].shape[1]
    assert share(two[2], OBSERVED_INK) > 0.01 and share(two[2], FORECAST_INK) > 0.01


def test_animated_colours_are_exactly_those_of_the_scale(tmp_path: Path) -> None:
    sequence = cells(2)
    sequence.values[..., :8], sequence.mask[..., :8] = np.nan, False
    sequence.values[..., 8:] = 62.0
    pictures, _ = frames_of_gif(write_animation(tmp_path / "a.gif", observed=sequence, palette="safe"))
    [strongest] = drawn_colours(reflectivity_scale("safe"), 62.0)
    for picture in pictures:
        assert share(picture, NOT_OBSERVED) > 0.15
        assert share(picture, strongest) > 0.15


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write_animation(tmp_path / "a.gif", observed=cells(3), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_what_cannot_be_animated_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="nothing to animate"):
        write_animation(tmp_path / "a.gif")
    with pytest.raises(UsageError, match=r"\.gif or \.mp4"):
        write_animation(tmp_path / "a.png", observed=cells(2))
    monkeypatch.setattr(animate.shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match=r"ffmpeg, which is not installed: write a \.gif"):
        write_animation(tmp_path / "a.mp4", observed=cells(2))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(animate.shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_mp4(tmp_path: Path) -> None:
    path = write_animation(tmp_path / "a.mp4", observed=cells(3))
    assert path.read_bytes()[4:8] == b"ftyp"
