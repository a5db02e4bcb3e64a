"""What is kept of many forecasts of one method, whatever their number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nowcast.checks import check_numbers
from nowcast.errors import ConfigError, InputError
from nowcast.types import Bool, Float32, GridSpec
from nowcast.units import ECHO_FLOOR_DBZ, MAX_DBZ
from nowcast.verify import categorical, continuous
from nowcast.verify.fractions import fractions_skill, window_voxels
from nowcast.verify.kernels import count_levels, fraction_sums


@dataclass(frozen=True)
class TallyConfig:
    """Thresholds of the events, dBZ, and widths of the windows of the fractions skill score, metres."""

    thresholds_dbz: tuple[float, ...] = (20.0, 30.0, 35.0, 40.0, 45.0)
    scales_m: tuple[float, ...] = (10e3, 20e3, 40e3)

    def __post_init__(self) -> None:
        check_numbers(self, "tally", positive=("scales_m",))
        if not self.thresholds_dbz:
            raise ConfigError("tally thresholds_dbz is empty: expected at least one")


class Tally:
    """Counts and sums of errors by lead time and level, pooled over the forecasts added.

    Attributes
    ----------
    counts
        ``[L, Z, K, 3]`` int64 hits, misses, false alarms at K thresholds; an event is a value at or above one.
    sums
        ``[L, Z, 4]`` voxels, sums of error, absolute error and squared error, dBZ.
    fractions
        ``[L, Z, K, W, 2]`` sums of the fractions skill score for W windows.
    cases
        ``[L]`` number of fields added.
    """

    def __init__(self, leads: int, grid: GridSpec, config: TallyConfig | None = None) -> None:
        self.config = config or TallyConfig()
        self.grid = grid
        nz, k, w = grid.shape[0], len(self.config.thresholds_dbz), len(self.config.scales_m)
        self.counts = np.zeros((leads, nz, k, 3), np.int64)
        self.sums = np.zeros((leads, nz, 4), np.float64)
        self.fractions = np.zeros((leads, nz, k, w, 2), np.float64)
        self.cases = np.zeros(leads, np.int64)

    @property
    def windows(self) -> NDArray[np.int64]:
        """Widths of the windows of the fractions skill score, voxels."""
        return np.array([window_voxels(s, self.grid.spacing_m[2]) for s in self.config.scales_m], np.int64)

    @property
    def window_m(self) -> list[float]:
        """The same in metres."""
        return [float(n * self.grid.spacing_m[2]) for n in self.windows]

    def add(self, lead: int, forecast: Float32, observed: Float32, scored: Bool) -> None:
        """Score one field.

        Parameters
        ----------
        lead
            Index of the lead time.
        forecast, observed
            ``[Z, Y, X]`` dBZ; limited to 0..80 first.
        scored
            ``[Z, Y, X]`` voxels that count: they must be the same for all methods that are compared.

        Raises
        ------
        InputError
            A shape differs, or a voxel that counts has no value: not observed is not zero.
        """
        for name, field in (("forecast", forecast), ("observed", observed), ("scored", scored)):
            if field.shape != self.grid.shape:
                raise InputError(f"{name} field has shape {field.shape}, the grid {self.grid.shape}")
        thresholds = np.array(self.config.thresholds_dbz, np.float32)
        fields = (
            np.ascontiguousarray(forecast, np.float32),
            np.ascontiguousarray(observed, np.float32),
            np.ascontiguousarray(scored, np.bool_),
        )
        for name, field in (("forecast", fields[0]), ("observed", fields[1])):
            if not np.isfinite(field[fields[2]]).all():
                raise InputError(f"the {name} field has no value at some of the voxels to be scored")
        counts, sums = count_levels(*fields, thresholds, ECHO_FLOOR_DBZ, MAX_DBZ)
        self.counts[lead] += counts
        self.sums[lead] += sums
        self.fractions[lead] += fraction_sums(*fields, thresholds, self.windows)
        self.cases[lead] += 1

    def csi(self) -> NDArray[np.float64]:
        """``[L, K]`` critical success index by lead time and threshold, all levels together."""
        return categorical.csi(self.counts.sum(axis=1))

    def mae(self) -> NDArray[np.float64]:
        """``[L]`` mean absolute error by lead time, dBZ, all levels together."""
        return continuous.mean_absolute_error(self.sums.sum(axis=1))

    def fss(self) -> NDArray[np.float64]:
        """``[L, K, W]`` fractions skill score by lead time, threshold and window, all levels together."""
        return fractions_skill(self.fractions.sum(axis=1))
