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
from nowcast.verify.ensemble import EnsembleTally
from nowcast.verify.fractions import fractions_skill, window_voxels
from nowcast.verify.kernels import count_levels, fraction_sums
from nowcast.verify.structure import StructureTally


@dataclass(frozen=True)
class TallyConfig:
    """What forecasts are scored at.

    Attributes
    ----------
    thresholds_dbz
        Thresholds of the events, dBZ.
    scales_m
        Widths of the windows of the fractions skill score, m.
    """

    thresholds_dbz: tuple[float, ...] = (20.0, 30.0, 35.0, 40.0, 45.0)
    scales_m: tuple[float, ...] = (10e3, 20e3, 40e3)

    def __post_init__(self) -> None:
        check_numbers(self, "tally", positive=("scales_m",))
        if not self.thresholds_dbz:
            raise ConfigError("tally thresholds_dbz is empty: expected at least one")


class Tally:
    """Counts and sums of errors by lead time and level, pooled over the forecasts added.

    Of an ensemble the mean is counted here, its members in ``ensemble`` and ``structure``.

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
    structure
        Power spectra and areas.
    ensemble
        Sums over the members, None where there was one.
    """

    def __init__(self, leads: int, grid: GridSpec, config: TallyConfig | None = None) -> None:
        self.config = config or TallyConfig()
        self.grid = grid
        nz, k, w = grid.shape[0], len(self.config.thresholds_dbz), len(self.config.scales_m)
        self.counts = np.zeros((leads, nz, k, 3), np.int64)
        self.sums = np.zeros((leads, nz, 4), np.float64)
        self.fractions = np.zeros((leads, nz, k, w, 2), np.float64)
        self.cases = np.zeros(leads, np.int64)
        self.structure = StructureTally(leads, grid, self.config.thresholds_dbz)
        self.ensemble: EnsembleTally | None = None

    @property
    def windows(self) -> NDArray[np.int64]:
        """Widths of the windows of the fractions skill score, voxels."""
        return np.array([window_voxels(s, self.grid.spacing_m[2]) for s in self.config.scales_m], np.int64)

    @property
    def window_m(self) -> list[float]:
        """The same in metres."""
        return [float(n * self.grid.spacing_m[2]) for n in self.windows]

    def add(
        self, lead: int, forecast: Float32, observed: Float32, scored: Bool, control: Float32 | None = None
    ) -> None:
        """Score one field.

        Parameters
        ----------
        lead
            Index of the lead time.
        forecast
            ``[Z, Y, X]`` dBZ, or the members ``[M, Z, Y, X]`` of an ensemble; limited to 0..80 first.
        observed
            ``[Z, Y, X]`` dBZ; limited likewise.
        scored
            ``[Z, Y, X]`` voxels that count: they must be the same for all methods that are compared.
        control
            ``[Z, Y, X]`` dBZ, the one best forecast beside an ensemble: the scores of one forecast are then its,
            otherwise the mean's of the members.

        Raises
        ------
        InputError
            A shape differs, also the number of members from an earlier one, or a voxel that counts has no value: not
            observed is not zero.
        """
        members = np.ascontiguousarray(forecast if forecast.ndim == 4 else forecast[None], np.float32)
        one = members.mean(axis=0) if control is None else np.ascontiguousarray(control, np.float32)
        for name, field in (("forecast", members[0]), ("control", one), ("observed", observed), ("scored", scored)):
            if field.shape != self.grid.shape:
                raise InputError(f"{name} field has shape {field.shape}, the grid {self.grid.shape}")
        counted = np.ascontiguousarray(scored, np.bool_)
        observation = np.ascontiguousarray(observed, np.float32)
        for name, field in (*(("forecast", member) for member in (*members, one)), ("observed", observation)):
            if not np.isfinite(field[counted]).all():
                raise InputError(f"the {name} field has no value at some of the voxels to be scored")
        self._check_members(len(members))
        self._count(lead, one, observation, counted)
        self.structure.add(lead, members, observation, counted)
        if len(members) > 1:
            if self.ensemble is None:
                self.ensemble = self._new_ensemble(len(members))
            self.ensemble.add(lead, members, observation, counted)
        self.cases[lead] += 1

    def merge(self, other: Tally) -> None:
        """Add what another tally of the same lead times, grid and settings holds."""
        if not other.cases.any():
            return
        self._check_members(1 if other.ensemble is None else other.ensemble.members)
        for name in ("counts", "sums", "fractions", "cases"):
            getattr(self, name)[...] += getattr(other, name)
        self.structure.merge(other.structure)
        if other.ensemble is not None:
            self.ensemble = self.ensemble or self._new_ensemble(other.ensemble.members)
            self.ensemble.merge(other.ensemble)

    def _count(self, lead: int, forecast: Float32, observed: Float32, scored: Bool) -> None:
        thresholds = np.array(self.config.thresholds_dbz, np.float32)
        counts, sums = count_levels(forecast, observed, scored, thresholds, ECHO_FLOOR_DBZ, MAX_DBZ)
        self.counts[lead] += counts
        self.sums[lead] += sums
        self.fractions[lead] += fraction_sums(forecast, observed, scored, thresholds, self.windows)

    def _check_members(self, members: int) -> None:
        """Raises InputError when an earlier forecast had another number of members."""
        earlier = 1 if self.ensemble is None else self.ensemble.members
        if self.cases.any() and members != earlier:
            raise InputError(
                f"a forecast has {members} members, an earlier one of the same method {earlier}: score ensembles of "
                "one size together"
            )

    def _new_ensemble(self, members: int) -> EnsembleTally:
        return EnsembleTally(len(self.cases), self.grid.shape[0], members, self.config.thresholds_dbz)

    def csi(self) -> NDArray[np.float64]:
        """``[L, K]`` critical success index by lead time and threshold, all levels together."""
        return categorical.csi(self.counts.sum(axis=1))

    def mae(self) -> NDArray[np.float64]:
        """``[L]`` mean absolute error by lead time, dBZ, all levels together."""
        return continuous.mean_absolute_error(self.sums.sum(axis=1))

    def fss(self) -> NDArray[np.float64]:
        """``[L, K, W]`` fractions skill score by lead time, threshold and window, all levels together."""
        return fractions_skill(self.fractions.sum(axis=1))

    def rmse(self) -> NDArray[np.float64]:
        """``[L]`` root mean square error by lead time, dBZ, all levels together."""
        return continuous.root_mean_square_error(self.sums.sum(axis=1))

    def spread_skill(self) -> NDArray[np.float64]:
        """``[L]`` spread of the members over the error of their mean, best 1; NaN without members or without error."""
        error = self.rmse()
        if self.ensemble is None:
            return np.full_like(error, np.nan)
        return np.where(error > 0, self.ensemble.spread() / np.where(error > 0, error, 1.0), np.nan)

    def spectrum(self) -> NDArray[np.float64]:
        """``[L, 2, B]`` mean power spectrum by lead time, dBZ^2, forecast and observed."""
        return self._mean(self.structure.power)

    def area_km2(self) -> NDArray[np.float64]:
        """``[L, K, 2]`` mean area by lead time where the column maximum reaches a threshold, forecast and observed."""
        return self._mean(self.structure.area) / 1e6

    def _mean(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        count = self.cases[:, None, None]
        return np.where(count > 0, sums / np.maximum(count, 1), np.nan)
