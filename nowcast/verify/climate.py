"""What the storms of an archive are like, in numbers by which simulated and real ones can be compared."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nowcast.baselines import extrapolation_levels
from nowcast.types import VolumeSequence

Float64 = NDArray[np.float64]

THRESHOLDS_DBZ = (20.0, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0)
PERCENT = (10, 25, 50, 75, 90)
LEADS_MINUTES = (10, 20, 30, 40, 50, 60)
CLASSES_DBZ = np.arange(5.0, 76.0, 5.0)
WAVELENGTHS_M = np.geomspace(120e3, 6e3, 12)
"""Bounds of the rings of the power spectrum, for grids that resolve them."""
SLOPE_M = (60e3, 7e3)
HISTORY = 4
LEAST_ECHO = 100
"""Volumes with fewer voxels of 20 dBZ count for neither spectrum nor correlation."""
LATE = np.timedelta64(2, "m")


@dataclass(frozen=True)
class StormStatistics:
    """Statistics of storms, each over all volumes of all events; what was not observed counts for none.

    Attributes
    ----------
    height_m
        ``[Z]`` levels.
    histogram
        ``[Z, B]`` share of a level's observed voxels in each class of ``CLASSES_DBZ``.
    profile
        ``[Q, Z]`` voxels of a level that reach each of ``THRESHOLDS_DBZ``, relative to those at 3 km.
    area
        ``[Q]`` share of columns whose maximum does.
    echo_top_m
        ``[5]`` heights of 20 dBZ that the shares ``PERCENT`` of columns with 35 dBZ stay below.
    spectrum, slope
        ``[K]`` power spectrum of the column maximum between ``WAVELENGTHS_M``, relative to its sum; the exponent with
        which it falls with wavenumber between ``SLOPE_M``.
    correlation, csi
        ``[L]`` by ``LEADS_MINUTES``, ``[Q, L]``: of what extrapolation level by level foretells with what came; it
        measures how fast storms change. NaN where no lead time of the kind is in the archive.
    area_change
        ``[L]`` mean of ``|log((A_L + 1) / (A_0 + 1))|``, A the number of voxels of 35 dBZ.
    """

    height_m: Float64
    histogram: Float64
    profile: Float64
    area: Float64
    echo_top_m: Float64
    spectrum: Float64
    slope: float
    correlation: Float64
    csi: Float64
    area_change: Float64


def storm_statistics(events: Iterable[VolumeSequence], *, every: int = 1) -> StormStatistics:
    """Statistics of events on the same levels; extrapolation starts from every ``every``-th volume that can.

    The motion that extrapolates comes from the four newest volumes at and before the start.
    """
    shape, lag = _Shape(), _Lag()
    for volumes in events:
        shape.add(volumes)
        for start in range(1, len(volumes), every):
            lag.add(volumes, start)
    return StormStatistics(**shape.result(), **lag.result())


class _Shape:
    """Sums of what needs one volume at a time."""

    def __init__(self) -> None:
        self.counts: Float64 | float = 0.0
        self.voxels: Float64 | float = 0.0
        self.columns, self.reach = 0.0, np.zeros(len(THRESHOLDS_DBZ))
        self.exceed: Float64 | float = 0.0
        self.tops: list[NDArray[np.floating]] = []
        self.spectra: list[Float64] = []
        self.heights = np.zeros(0)

    def add(self, volumes: VolumeSequence) -> None:
        self.heights = volumes.grid.z.astype(np.float64)
        for values, mask in zip(volumes.filled(), volumes.mask, strict=True):
            edges = np.append(CLASSES_DBZ, np.inf)
            self.counts = self.counts + np.stack(
                [np.histogram(v[m], edges)[0] for v, m in zip(values, mask, strict=True)]
            )
            self.voxels = self.voxels + mask.sum((1, 2))
            self.exceed = self.exceed + np.stack([(values >= q).sum((1, 2)) for q in THRESHOLDS_DBZ])
            composite = values.max(0)
            self.columns += mask.any(0).sum()
            self.reach += [(composite >= q).sum() for q in THRESHOLDS_DBZ]
            top = len(values) - 1 - (values[::-1] >= 20).argmax(0)
            self.tops.append(self.heights[top[composite >= 35]])
            if (values >= 20).sum() > LEAST_ECHO:
                self.spectra.append(_ring_power(composite, volumes.grid.spacing_m[2], WAVELENGTHS_M))

    def result(self) -> dict[str, Any]:
        low = int(np.abs(self.heights - 3000).argmin())
        exceed, tops = np.asarray(self.exceed), np.concatenate(self.tops)
        power = np.mean(self.spectra, 0) if self.spectra else np.full(len(WAVELENGTHS_M) - 1, np.nan)
        return {
            "height_m": self.heights,
            "histogram": self.counts / np.maximum(self.voxels, 1)[:, None],
            "profile": exceed / np.maximum(exceed[:, low : low + 1], 1),
            "area": self.reach / max(self.columns, 1),
            "echo_top_m": np.percentile(tops, PERCENT) if len(tops) else np.full(len(PERCENT), np.nan),
            "spectrum": power / power.sum(),
            "slope": _slope(power),
        }


def _ring_power(field: NDArray[np.floating], spacing_m: float, wavelengths_m: Float64) -> Float64:
    """Mean power in rings of wavenumber; a window keeps out what the edge of the grid cuts."""
    window = np.outer(np.hanning(field.shape[0]), np.hanning(field.shape[1]))
    power = np.abs(np.fft.fft2((field - field.mean()) * window)) ** 2
    k = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n, spacing_m) for n in field.shape), indexing="ij"))
    rings = itertools.pairwise(1 / wavelengths_m)
    return np.array([power[(k >= a) & (k < b)].mean() for a, b in rings])


def _slope(power: Float64) -> float:
    middle = np.sqrt(WAVELENGTHS_M[1:] * WAVELENGTHS_M[:-1])
    use = (middle <= SLOPE_M[0]) & (middle >= SLOPE_M[1])
    return float(-np.polyfit(np.log(middle[use]), np.log(power[use]), 1)[0])


class _Lag:
    """Sums of what extrapolation foretells and what came, by lead time."""

    def __init__(self) -> None:
        self.correlation: list[list[float]] = [[] for _ in LEADS_MINUTES]
        self.change: list[list[float]] = [[] for _ in LEADS_MINUTES]
        self.hits, self.either = np.zeros((2, len(THRESHOLDS_DBZ), len(LEADS_MINUTES)))

    def add(self, volumes: VolumeSequence, start: int) -> None:
        """The forecasts from one volume, where it has enough echo and later ones come at the right times."""
        observed, now = volumes.filled(), volumes.times[start]
        wanted = now + np.array(LEADS_MINUTES, "timedelta64[m]")
        nearest = np.abs(volumes.times[:, None] - wanted).argmin(0)
        leads = np.flatnonzero(np.abs(volumes.times[nearest] - wanted) <= LATE)
        if not len(leads) or (observed[start] >= 20).sum() <= LEAST_ECHO:
            return
        past = volumes.select(slice(max(start + 1 - HISTORY, 0), start + 1))
        forecasts = extrapolation_levels(past, volumes.times[nearest[leads]] - now)
        for lead, later, forecast in zip(leads, nearest[leads], forecasts, strict=True):
            seen = volumes.mask[later] & volumes.mask[start]
            told, came, was = forecast[seen], observed[later][seen], observed[start][seen]
            if told.std() > 0 and came.std() > 0:
                self.correlation[lead].append(float(np.corrcoef(told, came)[0, 1]))
            self.change[lead].append(float(abs(np.log(((came >= 35).sum() + 1) / ((was >= 35).sum() + 1)))))
            for q, threshold in enumerate(THRESHOLDS_DBZ):
                self.hits[q, lead] += ((told >= threshold) & (came >= threshold)).sum()
                self.either[q, lead] += ((told >= threshold) | (came >= threshold)).sum()

    def result(self) -> dict[str, Any]:
        mean = [np.array([np.mean(v) if v else np.nan for v in values]) for values in (self.correlation, self.change)]
        with np.errstate(invalid="ignore"):
            return {"correlation": mean[0], "csi": self.hits / self.either, "area_change": mean[1]}
