"""Fields as small whole numbers, and these as text: what a page holds of the data.

Code 0 is not observed; code ``k`` is a value from ``(k - 1) * step`` up to the next step, so that 1 is nothing:
no echo, no rain. Rounded down, a value stays in the class of colours that other pictures draw it in.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

MISSING = 0
NOTHING = 1
ALMOST = 1e-4
"""Of a step: what 0.35 / 0.005 lacks to 70 is no reason to round down."""


@dataclass(frozen=True)
class Coding:
    """Whole numbers of ``bytes`` (1 or 2) bytes for a quantity that is never negative, in steps of ``step``."""

    step: float
    bytes: int

    @property
    def most(self) -> int:
        """The highest code, which stands for everything above it too."""
        return int(256**self.bytes - 1)

    def encode(self, values: ArrayLike) -> NDArray[np.unsignedinteger[Any]]:
        """Codes of values of any shape: NaN is missing, less than a step is nothing."""
        found = np.asarray(values, np.float64)
        known = np.isfinite(found)
        codes = np.floor(np.where(known, np.maximum(found, 0.0), 0.0) / self.step + ALMOST) + NOTHING
        return np.where(known, np.minimum(codes, self.most), MISSING).astype(np.uint8 if self.bytes == 1 else "<u2")

    def decode(self, codes: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.float32]:
        """The least values that codes stand for, NaN where missing."""
        values = (codes.astype(np.float64) - NOTHING) * self.step
        return np.where(codes == MISSING, np.nan, values).astype(np.float32)


DBZ = Coding(0.5, 1)
"""Reflectivity in a page, dBZ."""


def packed(codes: NDArray[np.unsignedinteger[Any]]) -> str:
    """Codes as text: zlib, then base64. A browser reads it with ``DecompressionStream('deflate')``."""
    return base64.b64encode(zlib.compress(codes.tobytes(), 6)).decode("ascii")


def unpacked(text: str, coding: Coding) -> NDArray[np.unsignedinteger[Any]]:
    """The codes of a text of :func:`packed`, in one row."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8 if coding.bytes == 1 else "<u2")
