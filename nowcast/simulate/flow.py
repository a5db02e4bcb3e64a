"""The wind that steers the simulated weather: sheared with height, slowly changing with time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nowcast.errors import InputError

Float64 = NDArray[np.float64]

STEERING_LAYER_M = (1500.0, 6000.0)
"""Cells move with the mean wind of this layer, the lower and middle troposphere."""


@dataclass(frozen=True)
class SteeringFlow:
    """Horizontal wind ``wind(z, t) = wind_ms(z) + trend_ms2(z) * t``, linear in height between its levels.

    Being linear in time, it can be integrated exactly, so that what drifts in it is where the truth says it is.

    Attributes
    ----------
    height_m
        ``[K]`` rising heights above mean sea level, metres; the wind is constant below and above them.
    wind_ms
        ``[K, 2]`` wind (east, north) at t = 0, m/s.
    trend_ms2
        ``[K, 2]`` change of the wind, m/s per second.
    """

    height_m: Float64
    wind_ms: Float64
    trend_ms2: Float64

    def __post_init__(self) -> None:
        levels = len(self.height_m)
        if levels < 1 or np.any(np.diff(self.height_m) <= 0):
            raise InputError(f"the flow's heights {self.height_m} m do not rise")
        for name in ("wind_ms", "trend_ms2"):
            if getattr(self, name).shape != (levels, 2):
                raise InputError(f"the flow's {name} has shape {getattr(self, name).shape}, not {(levels, 2)}")

    @staticmethod
    def uniform(east_ms: float, north_ms: float) -> SteeringFlow:
        """The same wind at all heights and times."""
        return SteeringFlow(np.zeros(1), np.array([[east_ms, north_ms]]), np.zeros((1, 2)))

    def _at(self, z_m: ArrayLike, values: Float64) -> Float64:
        z = np.asarray(z_m, np.float64)
        return np.stack([np.interp(z, self.height_m, values[:, i]) for i in (0, 1)], axis=-1)

    def wind(self, z_m: ArrayLike, t_s: ArrayLike) -> Float64:
        """Wind ``[..., 2]`` (east, north) in m/s at heights ``z_m`` ``[...]`` and time ``t_s`` (one, or ``[...]``)."""
        t = np.asarray(t_s, np.float64)[..., None]
        return self._at(z_m, self.wind_ms) + self._at(z_m, self.trend_ms2) * t

    def drift(self, z_m: ArrayLike, from_s: ArrayLike, to_s: ArrayLike) -> Float64:
        """Way ``[..., 2]`` in metres that the wind carries a particle at constant height between two times."""
        t0, t1 = (np.asarray(t, np.float64)[..., None] for t in (from_s, to_s))
        return self._at(z_m, self.wind_ms) * (t1 - t0) + self._at(z_m, self.trend_ms2) * (t1**2 - t0**2) / 2

    @property
    def steering(self) -> SteeringFlow:
        """The mean of the steering layer as a flow that is the same at all heights."""
        z = np.linspace(*STEERING_LAYER_M, 31)
        wind, trend = (self._at(z, v).mean(0, keepdims=True) for v in (self.wind_ms, self.trend_ms2))
        return SteeringFlow(np.zeros(1), wind, trend)
