"""A report as one JSON answer: keys by method, then score, then a value for each lead time."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nowcast.verify import bootstrap, categorical, continuous, ensemble
from nowcast.verify.confidence import intervals
from nowcast.verify.ensemble import EnsembleTally
from nowcast.verify.report import Report
from nowcast.verify.structure import wavelengths_m
from nowcast.verify.summary import best_methods
from nowcast.verify.tally import Tally

Array = NDArray[np.float64]

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


def report_answer(report: Report) -> dict[str, Any]:
    """See :meth:`nowcast.verify.Report.answer`."""
    return {
        "initial_times": list(report.initial_times),
        "lead_minutes": report.lead_minutes,
        "scored_on": report.scored_on,
        "events": [
            {"first": times[0], "last": times[-1], "initial_times": len(times)}
            for times in map(report.times_of, report.events)
        ],
        "confidence": {
            "events": len(report.events),
            "level": bootstrap.LEVEL,
            "draws": bootstrap.DRAWS,
            "note": bootstrap.note(len(report.events)),
        },
        "best": [asdict(best) for best in best_methods(report)],
        "methods": {name: _scores(tally) | _over_events(report, name) for name, tally in report.tallies.items()},
        "failures": [{"initial_time": time, "reason": reason} for time, reason in report.failures.items()],
    }


def _over_events(report: Report, method: str) -> dict[str, Any]:
    keys = _keys(report.thresholds_dbz)
    answer: dict[str, Any] = {"by_event": [_event(report.by_event[method].get(e), keys) for e in report.events]}
    bounds = intervals(report, method)
    if bounds:
        answer["intervals"] = {name: bound.tolist() for name, bound in bounds.items() if name != "csi"}
        answer["intervals"]["csi"] = {key: bounds["csi"][:, k].tolist() for k, key in enumerate(keys)}
    return answer


def _event(tally: Tally | None, keys: list[str]) -> dict[str, Any] | None:
    if tally is None:
        return None
    answer: dict[str, Any] = {"mae_dbz": tally.mae().tolist(), "csi": _by_key(keys, tally.csi())}
    if tally.ensemble is not None:
        answer["crps"] = tally.ensemble.crps().tolist()
    return answer


def _scores(tally: Tally) -> dict[str, Any]:
    """All scores of a method, per lead time."""
    keys = _keys(tally.config.thresholds_dbz)
    counts, sums = tally.counts.sum(axis=1), tally.sums.sum(axis=1)
    answer: dict[str, Any] = {name: score(sums).tolist() for name, score in CONTINUOUS.items()}
    for name, of_counts in CATEGORICAL.items():
        answer[name] = _by_key(keys, of_counts(counts))
    answer["counts"] = {key: counts[:, k].tolist() for k, key in enumerate(keys)}
    widths = [f"{w / 1000:g}" for w in tally.window_m]
    fss = tally.fss()
    answer["fss"] = {
        key: {width: fss[:, k, w].tolist() for w, width in enumerate(widths)} for k, key in enumerate(keys)
    }
    answer["fields"] = tally.cases.tolist()
    answer["by_height"] = _by_height(tally, keys)
    spectrum, area = tally.spectrum(), tally.area_km2()
    answer["spectrum"] = {
        "wavelength_km": (wavelengths_m(tally.grid) / 1000).tolist(),
        "forecast": spectrum[:, 0].tolist(),
        "observed": spectrum[:, 1].tolist(),
    }
    answer["area_km2"], answer["observed_area_km2"] = (_by_key(keys, area[..., i]) for i in range(2))
    return answer if tally.ensemble is None else answer | _ensemble(tally.ensemble, tally, keys)


def _by_height(tally: Tally, keys: list[str]) -> dict[str, Any]:
    """Scores by level, all lead times together."""
    counts, sums = tally.counts.sum(axis=0), tally.sums.sum(axis=0)
    answer: dict[str, Any] = {"height_m": tally.grid.z.tolist()}
    answer |= {name: score(sums).tolist() for name, score in CONTINUOUS.items()}
    answer["csi"] = _by_key(keys, categorical.csi(counts))
    if tally.ensemble is not None:
        answer["crps"] = ensemble.crps(tally.ensemble.sums.sum(axis=0), tally.ensemble.members).tolist()
    return answer


def _ensemble(found: EnsembleTally, tally: Tally, keys: list[str]) -> dict[str, Any]:
    """Scores of the members, per lead time."""
    forecasts = found.exceeded.sum(axis=-1)
    reliability = {
        key: {"forecasts": forecasts[:, k].tolist(), "events": found.exceeded[:, k, :, 1].tolist()}
        for k, key in enumerate(keys)
    }
    return {
        "members": found.members,
        "crps": found.crps().tolist(),
        "crps_fair": found.crps(fair=True).tolist(),
        "spread_dbz": found.spread().tolist(),
        "spread_skill": tally.spread_skill().tolist(),
        "brier": _by_key(keys, ensemble.brier(found.exceeded)),
        "brier_fair": _by_key(keys, ensemble.brier(found.exceeded, fair=True)),
        "brier_skill": _by_key(keys, ensemble.brier_skill(found.exceeded)),
        "reliability": reliability,
        "rank_histogram": found.ranks.tolist(),
    }


def _keys(thresholds_dbz: tuple[float, ...]) -> list[str]:
    return [f"{t:g}" for t in thresholds_dbz]


def _by_key(keys: list[str], scores: Array) -> dict[str, list[float]]:
    """``[L, K]`` by threshold."""
    return dict(zip(keys, scores.T.tolist(), strict=True))
