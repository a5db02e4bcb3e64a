"""Answers as JSON, which knows neither not-a-number nor infinity, nor times."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from nowcast import units


def json_text(answer: Any, *, indent: int | None = None) -> str:
    """The answer as JSON text.

    Numbers that are not finite become null, times ISO 8601 UTC, arrays lists, and what JSON has no word for (a path)
    its text.
    """
    return json.dumps(_plain(answer), indent=indent, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.datetime64):
        return units.iso_utc(value)
    if isinstance(value, np.ndarray | np.generic) and not isinstance(value, np.timedelta64):
        return _plain(list(np.asarray(value)) if np.ndim(value) else value.item())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if isinstance(value, str | int | None) else str(value)
