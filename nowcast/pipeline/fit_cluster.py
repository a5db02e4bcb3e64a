"""The windows of an archive fitted by a Dask cluster: on this machine's cores, or wherever its workers are."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from nowcast.errors import NowcastError
from nowcast.pipeline.dask_client import check_cluster, connect, one_at_a_time, result_of, with_whole_paths
from nowcast.pipeline.fit_job import BrokenVolumes, FitJob
from nowcast.pipeline.fit_plan import Plan
from nowcast.pipeline.skips import Skipped, one_run, skip
from nowcast.types import FittedWindow

Fitted = tuple[FittedWindow, dict[str, Any]]
Outcome = tuple[Plan, Callable[[], Fitted]]
"""A window and what gives its fit, or raises why there is none."""


def fit_here(job: FitJob, plans: list[Plan]) -> Iterator[Outcome]:
    """Fit one window after the other, each when it is asked for."""
    for plan in plans:
        yield plan, lambda plan=plan: job.fit(plan)  # type: ignore[misc]


@contextmanager
def cluster(address: str | None) -> Iterator[Callable[[FitJob, list[Plan]], Iterator[Outcome]]]:
    """What fits windows: a Dask cluster, or this process for None.

    Parameters
    ----------
    address
        ``"local"`` for a worker process on each core, or the address of a running scheduler. Its workers see the
        same files under the same names and have this package. A process fits one window at a time.

    Raises
    ------
    UsageError, InputError
        As for :func:`check_cluster`; InputError too where the scheduler does not answer.
    """
    check_cluster(address)
    if address is None:
        yield fit_here
        return
    from distributed import as_completed

    with closing(connect(address)) as client:
        pending: dict[Any, Plan] = {}

        def fit_there(job: FitJob, plans: list[Plan]) -> Iterator[Outcome]:
            client.cancel(list(pending))
            pending.clear()
            settings = pickle.dumps(_for_workers(job))
            pending.update({client.submit(_fit, settings, plan, pure=False): plan for plan in plans})
            for future in as_completed(list(pending)):
                yield pending.pop(future), partial(_result, future)

        try:
            yield fit_there
        finally:
            client.cancel(list(pending))


def _for_workers(job: FitJob) -> FitJob:
    """The job for workers in other folders."""
    maps = {name: path.resolve() for name, path in job.mosaic.clutter.items()}
    job = replace(job, mosaic=replace(job.mosaic, clutter=maps))
    return with_whole_paths(job, "source", "clutter", "pictures")


def _fit(settings: bytes, plan: Plan) -> tuple[Fitted | Exception, Skipped]:
    """On a worker: the fit, and the volumes left out, for the run to tell.

    What is normal trouble with input is returned, so that no worker logs it as a failure of its own.
    """
    with one_at_a_time, one_run(quiet=True) as skipped:
        try:
            return _job(settings).fit(plan), skipped
        except (BrokenVolumes, NowcastError) as error:
            return error, skipped


def _result(future: Any) -> Fitted:
    found: Fitted | Exception
    found, skipped = result_of(future, "the workers that fitted it died")
    for volume, reason in skipped.items():
        skip(volume, reason)
    if isinstance(found, Exception):
        raise found
    return found


@lru_cache(maxsize=1)
def _job(settings: bytes) -> FitJob:
    """The job stays on the worker with the volumes that it gridded last."""
    job: FitJob = pickle.loads(settings)
    return job
