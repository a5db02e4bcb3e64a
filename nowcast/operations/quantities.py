"""Durations and sizes as people write them: ``5min``, ``1h30min``, ``500MB``."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)")


def seconds_of(value: Any) -> float:
    """A duration in seconds from ``90``, ``"90s"``, ``"5min"``, ``"1h30min"`` or ``"7d"``; raises ValueError."""
    return _sum(value, _SECONDS, "a duration such as 90s, 5min, 2h or 7d")


def bytes_of(value: Any) -> int:
    """A size in bytes from ``1000000``, ``"500MB"`` or ``"2GiB"``; raises ValueError."""
    return round(_sum(value, _BYTES, "a size such as 500MB or 2GiB"))


def duration_text(seconds: float) -> str:
    """``40 seconds``, ``35 minutes``, ``3 hours`` or ``12 days``: as exact as one needs it."""
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} seconds"


def age_text(seconds: float) -> str:
    """``35 minutes old``; of a time that has not come, for the clock was put back, how far off it is."""
    return (
        f"{duration_text(max(seconds, 0.0))} old" if seconds > -30 else f"{duration_text(-seconds)} ahead of the clock"
    )


def _sum(value: Any, units: dict[str, int], expected: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return float(value)
    text = str(value).strip()
    parts = _PART.findall(text)
    if not parts or _PART.sub("", text).strip() or any(unit not in units for _, unit in parts):
        raise ValueError(f"expected {expected}")
    return sum(float(number) * units[unit] for number, unit in parts)


Duration = Annotated[float, BeforeValidator(seconds_of)]
"""Seconds."""
Size = Annotated[int, BeforeValidator(bytes_of)]
"""Bytes."""
