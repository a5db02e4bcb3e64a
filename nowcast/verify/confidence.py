"""Confidence intervals of the scores of a report."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nowcast.verify import bootstrap, categorical, continuous, ensemble
from nowcast.verify.report import Report

Array = NDArray[np.float64]


def intervals(report: Report, method: str) -> dict[str, Array]:
    """Bounds of MAE ``[L, 2]``, CSI ``[L, K, 2]`` and, of an ensemble, CRPS ``[L, 2]``; empty with one event.

    Empty too for a method that has no forecast in one of the events: its resamples would be those of fewer events.
    """
    return {name: bootstrap.interval(score) for name, score in resampled_scores(report, method).items()}


def resampled_scores(report: Report, method: str) -> dict[str, Array]:
    """The same scores at each draw of events, ``[DRAWS, L]`` or ``[DRAWS, L, K]``; draws agree between methods."""
    tallies = list(report.by_event[method].values())
    if len(report.events) < 2 or len(tallies) < len(report.events):
        return {}
    sums = bootstrap.resampled(np.stack([tally.sums.sum(axis=1) for tally in tallies]))
    counts = bootstrap.resampled(np.stack([tally.counts.sum(axis=1) for tally in tallies]))
    found = {"mae_dbz": continuous.mean_absolute_error(sums), "csi": categorical.csi(counts)}
    members = [tally.ensemble for tally in tallies if tally.ensemble is not None]
    if len(members) == len(tallies):
        sums = bootstrap.resampled(np.stack([each.sums.sum(axis=1) for each in members]))
        found["crps"] = ensemble.crps(sums, members[0].members)
    return found
