"""A Dask cluster: on this machine's cores, or wherever its workers are."""

from __future__ import annotations

import threading
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from nowcast.errors import InputError, UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Settings = TypeVar("Settings", bound="DataclassInstance")

LOCAL = "local"
ADDRESSES = ("tcp://", "tls://", "ucx://")
PATIENCE = "15s"
ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), 1)
"""Of local workers, in place of Dask's, which also has them give every freed array back: that doubles a fit's time."""
one_at_a_time = threading.Lock()
"""For the tasks of a worker that has several threads: each task uses what memory and compiled kernels there are."""
AHEAD = 3


def check_cluster(address: str | None) -> None:
    """Raise UsageError for an address that is none, and InputError where distributed is not installed."""
    if address is None:
        return
    if address != LOCAL and not address.startswith(ADDRESSES):
        raise UsageError(f"--dask takes {LOCAL} or a scheduler's address such as tcp://host:8786, got {address!r}")
    if find_spec("distributed") is None:
        raise InputError(
            "a Dask cluster needs distributed, which is not installed: `pip install 'gaussian-nowcast[archive]'`"
        )


def connect(address: str) -> Any:
    """A client of the cluster; raises InputError where no scheduler answers."""
    from distributed import Client

    try:
        if address != LOCAL:
            return Client(address, timeout=PATIENCE)
        import dask

        with dask.config.set({"distributed.nanny.pre-spawn-environ": ENVIRONMENT}):
            return Client(threads_per_worker=1, dashboard_address=None)
    except OSError as error:
        raise InputError(f"no Dask scheduler answers at {address}: {error}") from error


def ahead(client: Any) -> int:
    """How many tasks are to be under way or wait to be taken: ``AHEAD`` for each process, so that none is idle."""
    return AHEAD * max(sum(client.nthreads().values()), 1)


def result_of(future: Any, died: str) -> Any:
    """What a task gave; raises InputError, saying ``died``, where one worker after the other died of it."""
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise InputError(died) from error


def with_whole_paths(settings: Settings, *names: str) -> Settings:
    """The settings for workers in other folders: these paths, where they are told, from the root."""
    paths = {name: path.resolve() for name in names if (path := getattr(settings, name)) is not None}
    return replace(settings, **paths)
