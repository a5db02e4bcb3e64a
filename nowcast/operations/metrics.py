"""The status as a text file for the textfile collector of Prometheus' node exporter."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from nowcast.errors import OutputError
from nowcast.io.atomic import atomic_write_text
from nowcast.operations.job import Job
from nowcast.operations.status import RUNNING, STATES, epoch_seconds

logger = logging.getLogger(__name__)

Sample = tuple[dict[str, object], float | None]


def write_metrics(job: Job, facts: Mapping[str, Any]) -> None:
    """Write the metrics file, if the job wants one; a failure is told in the log."""
    if job.metrics is None:
        return
    try:
        atomic_write_text(job.metrics, metrics_text(job.name, facts))
    except OutputError as error:
        logger.error("the metrics are not written: %s", error)


def metrics_text(job: str, facts: Mapping[str, Any]) -> str:
    """The content of a status file in Prometheus' text exposition format 0.0.4; what is not known is left out."""
    lines: list[str] = []
    for name, kind, text, samples in _metrics(facts):
        known = [(labels, value) for labels, value in samples if value is not None]
        if not known:
            continue
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{{{_labels({'nowcast_job': job} | labels)}}} {float(value):.10g}" for labels, value in known]
    return "\n".join(lines) + "\n"


def _metrics(facts: Mapping[str, Any]) -> Iterator[tuple[str, str, str, list[Sample]]]:
    last = facts.get("last_success") or {}
    once: list[tuple[str, str, float | None]] = [
        (
            "last_run_timestamp_seconds",
            "When the last run ended.",
            _epoch(facts.get("checked") or facts.get("finished")),
        ),
        ("last_success_timestamp_seconds", "When a forecast was last published.", _epoch(last.get("finished"))),
        ("last_cycle_timestamp_seconds", "Initial time of the newest forecast.", _epoch(last.get("cycle"))),
        ("input_age_seconds", "Age of the newest volume when the last run looked.", facts.get("input_age_seconds")),
        ("output_free_bytes", "Room left on the disk of the output.", facts.get("disk_free_bytes")),
        ("warnings", "Warnings of the last run.", float(len(facts.get("warnings") or ()))),
    ]
    for name, text, value in once:
        yield f"nowcast_{name}", "gauge", text, [({}, value)]
    states: list[Sample] = [({"state": s}, float(facts.get("state") == s)) for s in (RUNNING, *STATES)]
    yield "nowcast_run_state", "gauge", "1 for the state of the last run.", states
    stages: list[Sample] = [({"stage": s}, seconds) for s, seconds in (facts.get("stages") or {}).items()]
    yield "nowcast_stage_duration_seconds", "gauge", "What each stage of the last run took.", stages
    totals: list[Sample] = [({"state": s}, n) for s, n in (facts.get("totals") or {}).items()]
    yield "nowcast_runs_total", "counter", "Runs by how they ended.", totals
    yield from _scores(facts.get("scores") or {})


def _scores(scores: Mapping[str, Any]) -> Iterator[tuple[str, str, str, list[Sample]]]:
    for part, text in (("latest", "the forecasts that became verifiable last"), ("running", "the running table")):
        table = scores.get(part) or {}
        csi: list[Sample] = []
        mae: list[Sample] = []
        for method, found in (table.get("methods") or {}).items():
            for i, minutes in enumerate(table["lead_minutes"]):
                at = {"method": method, "lead_minutes": f"{minutes:g}"}
                mae.append((at, found["mae_dbz"][i]))
                csi += [(at | {"threshold_dbz": key}, values[i]) for key, values in found["csi"].items()]
        yield f"nowcast_{part}_csi", "gauge", f"Critical success index of {text}.", csi
        yield f"nowcast_{part}_mae_dbz", "gauge", f"Mean absolute error of {text}.", mae


def _labels(labels: Mapping[str, object]) -> str:
    return ",".join(f'{name}="{_escaped(str(value))}"' for name, value in labels.items())


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _epoch(moment: str | None) -> float | None:
    return None if moment is None else epoch_seconds(moment)
