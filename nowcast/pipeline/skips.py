"""Which volumes were left out, and why: told once in a run, however many sequences would have held them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

logger = logging.getLogger(__name__)

Skipped = dict[str, str]
"""The reason for each volume that was left out, by its name."""
_skipped: ContextVar[Skipped | None] = ContextVar("skipped", default=None)
_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


@contextmanager
def one_run(*, quiet: bool = False) -> Iterator[Skipped]:
    """Within, each volume that is left out is told once, or with ``quiet`` not at all; yields what was left out."""
    skipped: Skipped = {}
    tokens = _skipped.set(skipped), _quiet.set(quiet)
    try:
        yield skipped
    finally:
        _skipped.reset(tokens[0])
        _quiet.reset(tokens[1])


def skip(volume: str, reason: str) -> None:
    """Say that a volume is left out; ``reason`` is a sentence that names it."""
    known = _skipped.get()
    if not _quiet.get() and (known is None or volume not in known):
        logger.warning("skipped: %s", reason)
    if known is not None:
        known.setdefault(volume, reason)
