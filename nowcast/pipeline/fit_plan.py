"""How an archive is cut into windows of consecutive volumes to fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nowcast.errors import InputError, UsageError
from nowcast.times import EVENT_GAP, breaks
from nowcast.types import Times
from nowcast.units import compact_utc


@dataclass(frozen=True)
class Plan:
    """One window to fit: the valid times to use, and the event that they belong to."""

    times: Times
    event: str

    @property
    def name(self) -> str:
        """For files: first and last time."""
        return f"{compact_utc(self.times[0])}_{compact_utc(self.times[-1])}"


def plan_windows(times: Times, frames: int, future: int, every: int | None, archive: str) -> list[Plan]:
    """Cut the valid times of an archive into windows, oldest first; see :func:`fit_archive`.

    Raises
    ------
    UsageError
        ``frames`` or ``every`` is below 1, or ``future`` below 0.
    InputError
        No stretch of the archive is long enough.
    """
    if frames < 1 or future < 0 or (every is not None and every < 1):
        raise UsageError(f"frames {frames}, future {future}, every {every}: expected at least 1, 0 and 1")
    if len(times) == 0:
        raise InputError(f"{archive} holds no volumes to fit")
    length = frames + future
    stretches = np.split(times, breaks(times))
    events = _event_names(times, archive)
    if future == 0 and max(map(len, stretches)) < length:
        newest = stretches[-1]
        return [Plan(newest, events[newest[0]])]
    plans = []
    for stretch in stretches:
        ends = range(len(stretch), length - 1, -(every or length))
        plans += [Plan(stretch[end - length : end], events[stretch[0]]) for end in reversed(ends)]
    if not plans:
        raise InputError(
            f"{archive} holds no {length} volumes in a row without a gap: its longest stretch has "
            f"{max(map(len, stretches))}; ask for fewer --frames or --future"
        )
    return plans


def _event_names(times: Times, archive: str) -> dict[np.datetime64, str]:
    """The event of each time: the archive's name and the start of the unbroken run."""
    names, start = {}, times[0]
    for previous, now in zip([times[0], *times[:-1]], times, strict=True):
        start = now if now - previous > EVENT_GAP else start
        names[now] = f"{archive}_{compact_utc(start, 'm')}"
    return names
