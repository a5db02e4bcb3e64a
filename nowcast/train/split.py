"""Which events train and which are held out. Windows share frames: only a split by event does not leak."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from nowcast.errors import InputError
from nowcast.times import EVENT_GAP
from nowcast.types import FittedWindow

SAME_PLACE_DEG = 0.02
"""Grids whose origins differ by no more are of one radar; files round its position differently."""


def split_events(events: Sequence[str], fraction: float, seed: int) -> tuple[list[str], list[str]]:
    """Names of the training and of the held-out events, sorted; at least one each.

    Chosen by a hash of seed and name, so that more events of an archive do not reshuffle the others much.
    Raises InputError when there are fewer than two events.
    """
    names = sorted(set(events))
    if len(names) < 2:
        raise InputError(
            f"training found {len(names)} event ({', '.join(names) or 'none'}), expected at least 2, one of them to "
            "be held out; what one radar saw less than 6 hours apart is one event: fit another storm as well, and give "
            "all the files together"
        )
    held = min(max(1, round(fraction * len(names))), len(names) - 1)
    by_hash = sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())
    return sorted(by_hash[held:]), sorted(by_hash[:held])


def split_windows(
    windows: Sequence[FittedWindow], fraction: float, seed: int
) -> tuple[list[FittedWindow], list[FittedWindow]]:
    """The windows that train and those held out; no event is in both.

    An event is what carries one name, and what one radar saw less than ``EVENT_GAP`` apart whatever it is called: the
    halves of an archive, or its raw and its gridded copy, may have been fitted separately.
    """
    events = event_names(windows)
    train, held = split_events(events, fraction, seed)
    pairs = list(zip(windows, events, strict=True))
    return [w for w, event in pairs if event in train], [w for w, event in pairs if event in held]


def event_names(windows: Sequence[FittedWindow]) -> list[str]:
    """For each window the names, joined, of all windows of its event."""
    links = [*_same_name(windows), *_same_storm(windows)]
    rows, columns = np.array(links, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(windows), len(windows)))
    _, group = connected_components(graph, directed=False)
    members: dict[int, set[str]] = {}
    for window, number in zip(windows, group, strict=True):
        members.setdefault(int(number), set()).add(window.event)
    return [" + ".join(sorted(members[int(number)])) for number in group]


def _same_name(windows: Sequence[FittedWindow]) -> list[tuple[int, int]]:
    first: dict[str, int] = {}
    return [(first.setdefault(window.event, i), i) for i, window in enumerate(windows)]


def _same_storm(windows: Sequence[FittedWindow]) -> list[tuple[int, int]]:
    """Pairs of windows of one place that follow each other within ``EVENT_GAP``."""
    places = _places(windows)
    order = sorted(range(len(windows)), key=lambda i: (places[i], windows[i].gaussians.times[0]))
    links, last = [], None
    for i in order:
        times = windows[i].gaussians.times
        if last is None or places[i] != places[last]:
            last = i
            continue
        end = windows[last].gaussians.times[-1]
        if times[0] - end <= EVENT_GAP:
            links.append((last, i))
        last = i if times[-1] > end else last
    return links


def _places(windows: Sequence[FittedWindow]) -> NDArray[np.int64]:
    """The number of each window's radar."""
    grids = [window.gaussians.grid for window in windows]
    origins, which = np.unique([(g.origin_lat, g.origin_lon) for g in grids], axis=0, return_inverse=True)
    apart = np.abs((origins[:, None] - origins[None] + 180.0) % 360.0 - 180.0)
    _, place = connected_components((apart <= SAME_PLACE_DEG).all(axis=-1), directed=False)
    return np.asarray(place[which.reshape(-1)], np.int64)
