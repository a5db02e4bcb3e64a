"""Whether a forecast looks like weather: variance by scale, and how much area strong echo covers."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from nowcast.types import Bool, Float32, GridSpec
from nowcast.units import clip_dbz

Array = NDArray[np.float64]


class StructureTally:
    """Power spectra and areas by lead time, pooled over the fields added; of an ensemble the mean over its members.

    Attributes
    ----------
    power
        ``[L, 2, B]`` sums of the radially averaged power spectra, forecast and observed, dBZ^2.
    area
        ``[L, K, 2]`` sums of the area where the column maximum is at or above a threshold, forecast and observed, m^2.
    """

    def __init__(self, leads: int, grid: GridSpec, thresholds_dbz: tuple[float, ...]) -> None:
        self.grid = grid
        self.thresholds = thresholds_dbz
        self.power = np.zeros((leads, 2, len(wavelengths_m(grid))), np.float64)
        self.area = np.zeros((leads, len(thresholds_dbz), 2), np.float64)

    def add(self, lead: int, members: Float32, observed: Float32, scored: Bool) -> None:
        """Take in the members ``[M, Z, Y, X]`` at one lead time; voxels that are not scored hold no echo in either."""
        for column, fields in enumerate((members, observed[None])):
            for field in fields:
                shown = np.where(scored, clip_dbz(field), np.float32(0.0))
                self.power[lead, column] += power_spectrum(shown, self.grid) / len(fields)
                self.area[lead, :, column] += self._areas(shown) / len(fields)

    def merge(self, other: StructureTally) -> None:
        """Add what another tally holds."""
        self.power += other.power
        self.area += other.area

    def _areas(self, field: Float32) -> Array:
        column_maximum = field.max(axis=0)
        cell = self.grid.spacing_m[1] * self.grid.spacing_m[2]
        return np.array([cell * (column_maximum >= threshold).sum() for threshold in self.thresholds], np.float64)


def power_spectrum(field: Float32, grid: GridSpec) -> Array:
    """Radially averaged power spectrum ``[B]`` of the levels of a field ``[Z, Y, X]``, mean over levels, dBZ^2.

    ``|FFT|^2 / (Ny Nx)``, averaged over the wave vectors of each ring (Ruzanski and Chandrasekar 2011,
    doi:10.1109/TGRS.2011.2132147; on a square grid as in pysteps), rings as in :func:`wavelengths_m`. No window is
    applied: echo that the edge of the grid cuts adds power at short waves.
    """
    ring, weight = _rings(grid)
    echo = field[field.any(axis=(1, 2))]
    power = (np.abs(scipy.fft.rfft2(echo)) ** 2).sum(axis=0, dtype=np.float64) / (field.shape[1] * field.shape[2])
    count = len(wavelengths_m(grid))
    inside = (ring >= 1) & (ring <= count)
    total = np.bincount(ring[inside], (power * weight)[inside], count + 1)
    return total[1:] / np.bincount(ring[inside], weight[inside], count + 1)[1:] / len(field)


def wavelengths_m(grid: GridSpec) -> Array:
    """``[B]`` wavelengths of the rings of :func:`power_spectrum`, from the grid's longer side down to two voxels."""
    longest, shortest = _longest_m(grid), 2 * max(grid.spacing_m[1:])
    return longest / np.arange(1, int(longest / shortest) + 1)


def _longest_m(grid: GridSpec) -> float:
    return max(n * d for n, d in zip(grid.shape[1:], grid.spacing_m[1:], strict=True))


def _rings(grid: GridSpec) -> tuple[NDArray[np.int64], Array]:
    """For each wave vector of a real FFT, its ring and how many vectors of the whole FFT it stands for."""
    (_, ny, nx), (_, dy, dx) = grid.shape, grid.spacing_m
    per_m = np.hypot(scipy.fft.fftfreq(ny, dy)[:, None], scipy.fft.rfftfreq(nx, dx)[None])
    weight = np.full(per_m.shape, 2.0)
    weight[:, 0] = 1.0
    if nx % 2 == 0:
        weight[:, -1] = 1.0
    return np.rint(per_m * _longest_m(grid)).astype(np.int64), weight
