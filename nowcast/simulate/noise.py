"""Periodic random fields with a power-law spectrum: what makes simulated echo as ragged as real echo.

Radar reflectivity of rain is close to scale-invariant: its power spectrum falls as a power of wavenumber over scales
from about a kilometre to a hundred, and its small scales live shorter than its large ones
(doi:10.1175/1520-0493(2002)130<2859:SDOTPO>2.0.CO;2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


def power_law_noise(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    spacing_m: float,
    *,
    slope: float,
    longest_m: float,
    shortest_m: float,
    depth: float = 0.0,
) -> Float32:
    """Gaussian noise of zero mean and unit variance over its last two axes, periodic in them.

    Parameters
    ----------
    shape
        ``(..., ny, nx)``; leading axes are independent, except that ``depth`` ties together the third from last.
    slope
        Power density per unit wavenumber area falls as ``k**-slope``; flat beyond ``longest_m``, nothing below
        ``shortest_m``.
    depth
        Correlation length along the third axis from the end, in its steps; 0 for none.
    """
    ny, nx = shape[-2:]
    k = np.hypot(np.fft.fftfreq(ny, spacing_m)[:, None], np.fft.rfftfreq(nx, spacing_m)[None, :])
    amplitude = (k**2 + longest_m**-2) ** (-slope / 4) * np.exp(-0.5 * (k * shortest_m) ** 2)
    amplitude[0, 0] = 0.0
    white = rng.standard_normal(shape)
    if depth > 0:
        white = _tie(white, depth)
    field = np.fft.irfft2(np.fft.rfft2(white) * amplitude, s=(ny, nx))
    field /= field.std(axis=(-2, -1), keepdims=True)
    return np.ascontiguousarray(field, np.float32)


def _tie(white: Float64, depth: float) -> Float64:
    """Correlate white noise along the third axis from the end: an autoregression of first order."""
    keep = np.exp(-1.0 / depth)
    levels = np.moveaxis(white, -3, 0).copy()
    for level in range(1, len(levels)):
        levels[level] = keep * levels[level - 1] + np.sqrt(1 - keep**2) * levels[level]
    return np.moveaxis(levels, 0, -3)


@dataclass(frozen=True)
class Renewal:
    """How noise changes with time: members follow each other, each fading in and out, so that the variance stays.

    Member ``m`` is at full weight at ``m * period_s``. Its pattern is slot ``m % slots`` of a bank of noise fields,
    shifted by a random offset, so that no pattern returns in the same place.

    Attributes
    ----------
    period_s
        Time after which the pattern is another.
    offset_m
        ``[M, 2]`` shift (east, north) of each member, metres; repeats after M members.
    """

    period_s: float
    offset_m: Float64

    @staticmethod
    def draw(rng: np.random.Generator, period_s: float, extent_m: float, members: int = 64) -> Renewal:
        """Random offsets within a square of side ``extent_m``."""
        return Renewal(period_s, rng.uniform(0, extent_m, (members, 2)))

    def active(self, t_s: float) -> list[tuple[int, float, float]]:
        """The two members that make the noise at ``t_s``: number, weight, time of full weight in seconds."""
        first = int(np.floor(t_s / self.period_s))
        phase = t_s / self.period_s - first
        weights = np.cos(0.5 * np.pi * phase), np.sin(0.5 * np.pi * phase)
        return [(first + i, float(w), (first + i) * self.period_s) for i, w in enumerate(weights)]

    def offset(self, member: int) -> Float64:
        """``[2]`` shift of a member, metres."""
        return self.offset_m[member % len(self.offset_m)]
