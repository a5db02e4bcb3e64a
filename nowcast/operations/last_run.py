"""How the last run of a job ended, also one that was killed before it could say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nowcast.operations.job import Job
from nowcast.operations.records import Published, Records
from nowcast.operations.status import FAILED, RUNNING, Status, utc_now


def as_left(job: Job, facts: dict[str, Any]) -> dict[str, Any]:
    """The status that the last run left; of one that was killed how it ended, as what it published tells."""
    if facts.get("state") != RUNNING:
        return facts
    run, started = facts.get("run"), str(facts.get("started") or "")
    # A run that caught up has published several cycles: of the last one, where it was killed at that.
    theirs = [r for r in Records(job).complete() if r.facts["run"] == run and str(r.facts["published"]) > started]
    if theirs:
        ended = published_facts(job, theirs[-1], facts.get("last_success") or {})
    else:
        ended = {"state": FAILED, "exit_code": 1, "reason": f"run {run} was killed", "finished": utc_now()}
    totals = dict(facts.get("totals") or {})
    totals[ended["state"]] = totals.get(ended["state"], 0) + 1
    return facts | ended | {"totals": totals}


def as_it_stands(job: Job, before: Mapping[str, Any], now: Status, *, looked: bool) -> dict[str, Any]:
    """The status after a run that found nothing new: of the cycle that is there, and what the run saw.

    Its warnings take the place of those ``before`` where it has ``looked`` at the files themselves.
    """
    facts = {**before, "checked": utc_now(), "newest_input": now.newest_input}
    facts["input_age_seconds"] = now.input_age_seconds
    if looked:
        worse = (facts.get("scores") or {}).get("warning")
        facts["warnings"] = [*now.warnings, *([worse] if worse else [])]
    newest = Records(job).newest()
    if newest and (facts.get("state"), facts.get("cycle")) != (newest.facts["state"], newest.cycle):
        facts |= published_facts(job, newest, {})
    return facts


def published_facts(job: Job, published: Published, last: Mapping[str, Any]) -> dict[str, Any]:
    """What a status says of a cycle after it was published, from its record; ``last`` success was the one before."""
    told = {name: published.facts[name] for name in ("cycle", "state", "reason", "method", "input_files")}
    finished = str(published.facts["published"])
    success = {name: told[name] for name in ("cycle", "state", "method")} | {"finished": finished}
    if str(last.get("cycle") or "") > published.cycle:
        success = dict(last)
    outputs = published.paths(job.output.root)
    code = 5 if told["reason"] else 0
    return told | {"exit_code": code, "finished": finished, "last_success": success, "outputs": outputs}
