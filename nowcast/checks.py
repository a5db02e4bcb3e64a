"""Checks that the settings classes share, so that a senseless number is told the same way everywhere."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from nowcast.errors import ConfigError


def check_numbers(
    settings: Any,
    what: str,
    *,
    positive: Iterable[str] = (),
    not_negative: Iterable[str] = (),
    share: Iterable[str] = (),
) -> None:
    """Check the numbers of a settings dataclass; those in tuples too, each for itself.

    Parameters
    ----------
    settings, what
        The dataclass, whose numbers must all be finite, and its name for the message.
    positive, not_negative, share
        Names of the fields that must be above 0 (counts: at least 1), 0 or more, and within 0..1.

    Raises
    ------
    ConfigError
        A number is none of that.
    """
    rules = (
        ({f.name for f in fields(settings)}, math.isfinite, "a finite number"),
        (set(positive), lambda x: x > 0, "above 0"),
        (set(not_negative), lambda x: x >= 0, "0 or more"),
        (set(share), lambda x: 0 <= x <= 1, "a share within 0..1"),
    )
    for names, fits, expected in rules:
        for name in sorted(names):
            value = getattr(settings, name)
            numbers = value if isinstance(value, tuple) else (value,)
            if not all(fits(x) for x in numbers if isinstance(x, (int, float))):
                raise ConfigError(f"{what} {name} is {value}: expected {expected}")
