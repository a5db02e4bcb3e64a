"""``nowcast status``: how a scheduled job stands."""

from __future__ import annotations

from nowcast.cli.batch import JobFile
from nowcast.cli.console import ending_with, print_json, print_result
from nowcast.cli.options import Json


def status(job: JobFile, as_json: Json = False) -> None:
    """Say how a scheduled job stands; the exit code is a health check.

    0: the newest forecast is fresh; 5: it is a fallback; 3: it is too old or there is none; 1: the last run failed.

    Example: nowcast status job.yaml
    """
    from nowcast.operations.job import read_job
    from nowcast.operations.status import health, health_text

    found = health(read_job(job))
    with ending_with(found.exit_code):
        if as_json:
            told = {"state": found.state, "exit_code": found.exit_code, "summary": found.summary}
            print_json(dict(found.facts) | told)
        else:
            print_result(health_text(found))
