"""The scores of several methods side by side, as one answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nowcast import units
from nowcast.errors import PartialFailure
from nowcast.types import Times
from nowcast.verify import categorical, continuous
from nowcast.verify.tally import Tally

CATEGORICAL = {
    "csi": categorical.csi,
    "pod": categorical.probability_of_detection,
    "far": categorical.false_alarm_ratio,
    "bias": categorical.frequency_bias,
}
CONTINUOUS = {
    "mae_dbz": continuous.mean_absolute_error,
    "rmse_dbz": continuous.root_mean_square_error,
    "bias_dbz": continuous.mean_error,
}


@dataclass(frozen=True)
class Report:
    """Scores by method and lead time, and what they rest on.

    Attributes
    ----------
    initial_times
        ``[I]`` times of the forecasts that were scored, UTC.
    lead_times
        ``[L]`` timedelta64[ns].
    tallies
        By name of method, all on the same voxels.
    scored_on
        Which voxels were scored, in words.
    failures
        Why forecasts from other initial times could not be made; they count for no method.
    """

    initial_times: Times
    lead_times: NDArray[np.timedelta64]
    tallies: Mapping[str, Tally]
    scored_on: str
    failures: Mapping[np.datetime64, str] = field(default_factory=dict)

    @property
    def lead_minutes(self) -> list[float]:
        return [units.minutes(lead) for lead in self.lead_times]

    @property
    def thresholds_dbz(self) -> tuple[float, ...]:
        """Thresholds of the categorical scores, the same for every method."""
        return next(iter(self.tallies.values())).config.thresholds_dbz

    @property
    def heights_m(self) -> list[float]:
        """Heights of the levels."""
        return [float(z) for z in next(iter(self.tallies.values())).grid.z]

    def answer(self) -> dict[str, Any]:
        """The JSON answer; a score that is not defined is NaN."""
        return {
            "initial_times": list(self.initial_times),
            "lead_minutes": self.lead_minutes,
            "scored_on": self.scored_on,
            "methods": {name: _scores(tally) for name, tally in self.tallies.items()},
            "failures": [{"initial_time": time, "reason": reason} for time, reason in self.failures.items()],
        }

    def raise_failures(self) -> None:
        """Raise PartialFailure (exit code 4) where an initial time failed."""
        if self.failures:
            first = next(iter(self.failures.values()))
            total = len(self.failures) + len(self.initial_times)
            raise PartialFailure(f"forecasts from {len(self.failures)} of {total} initial times failed: {first}")


def _scores(tally: Tally) -> dict[str, Any]:
    """All scores of a method, per lead time."""
    keys = [f"{t:g}" for t in tally.config.thresholds_dbz]
    counts, sums = tally.counts.sum(axis=1), tally.sums.sum(axis=1)
    answer: dict[str, Any] = {name: score(sums).tolist() for name, score in CONTINUOUS.items()}
    for name, of_counts in CATEGORICAL.items():
        answer[name] = dict(zip(keys, of_counts(counts).T.tolist(), strict=True))
    answer["counts"] = {key: counts[:, k].tolist() for k, key in enumerate(keys)}
    widths = [f"{w / 1000:g}" for w in tally.window_m]
    fss = tally.fss()
    answer["fss"] = {
        key: {width: fss[:, k, w].tolist() for w, width in enumerate(widths)} for k, key in enumerate(keys)
    }
    answer["fields"] = tally.cases.tolist()
    answer["by_height"] = _by_height(tally, keys)
    return answer


def _by_height(tally: Tally, keys: list[str]) -> dict[str, Any]:
    """Scores by level, all lead times together."""
    counts, sums = tally.counts.sum(axis=0), tally.sums.sum(axis=0)
    answer: dict[str, Any] = {"height_m": tally.grid.z.tolist()}
    answer |= {name: score(sums).tolist() for name, score in CONTINUOUS.items()}
    answer["csi"] = dict(zip(keys, categorical.csi(counts).T.tolist(), strict=True))
    return answer
