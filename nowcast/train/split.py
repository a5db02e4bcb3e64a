"""Which events train and which are held out. Windows share frames: only a split by event does not leak."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from nowcast.errors import InputError
from nowcast.types import FittedWindow


def split_events(events: Sequence[str], fraction: float, seed: int) -> tuple[list[str], list[str]]:
    """Names of the training and of the held-out events, sorted; at least one each.

    Chosen by a hash of seed and name, so that more events of an archive do not reshuffle the others much.
    Raises InputError when there are fewer than two events.
    """
    names = sorted(set(events))
    if len(names) < 2:
        raise InputError(
            f"training found {len(names)} event ({', '.join(names) or 'none'}), expected at least 2, one of them to "
            "be held out: fit another storm, or one day apart from the next, and give all the files together"
        )
    held = min(max(1, round(fraction * len(names))), len(names) - 1)
    by_hash = sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())
    return sorted(by_hash[held:]), sorted(by_hash[:held])


def split_windows(
    windows: Sequence[FittedWindow], fraction: float, seed: int
) -> tuple[list[FittedWindow], list[FittedWindow]]:
    """The windows that train and those held out; no event is in both."""
    train, held = split_events([window.event for window in windows], fraction, seed)
    return [w for w in windows if w.event in train], [w for w in windows if w.event in held]
