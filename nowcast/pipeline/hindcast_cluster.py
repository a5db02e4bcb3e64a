"""The initial times of a hindcast on a Dask cluster, or one after the other in this process."""

from __future__ import annotations

import pickle
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.errors import InputError, UsageError
from nowcast.io.atomic import told_as_output_error
from nowcast.pipeline.dask_client import (
    LOCAL,
    ahead,
    check_cluster,
    connect,
    one_at_a_time,
    result_of,
    with_whole_paths,
)
from nowcast.pipeline.hindcast_job import HindcastJob, Scored
from nowcast.types import VolumeSequence

Run = Callable[[HindcastJob, list[int]], Iterator[Scored]]
LARGE = "values", "mask"
"""Arrays of a volume sequence that a worker reads from disk as far as it needs them."""


def check_hindcast_cluster(address: str | None, shared: Path | None) -> None:
    """Raise UsageError or InputError where :func:`hindcasting` would."""
    check_cluster(address)
    if address not in (None, LOCAL) and shared is None:
        raise UsageError(f"--dask {address} needs a folder that its workers see too: give -o DIR")


@contextmanager
def hindcasting(address: str | None, shared: Path | None = None) -> Iterator[Run]:
    """What scores initial times, in the order given.

    Parameters
    ----------
    address
        As for :func:`nowcast.pipeline.fit_cluster.cluster`; None for this process.
    shared
        Folder that the workers see under the same name, for a copy of the volumes as long as this lasts; None for this
        machine's folder of temporary files.

    Raises
    ------
    UsageError
        No address, or a scheduler's without ``shared``.
    InputError
        The scheduler does not answer, or distributed is not installed.
    """
    check_hindcast_cluster(address, shared)
    if address is None:
        yield lambda job, indices: map(job.run, indices)
        return
    with (
        tempfile.TemporaryDirectory(prefix=".volumes-", dir=None if shared is None else shared.resolve()) as folder,
        closing(connect(address)) as client,
    ):

        def there(job: HindcastJob, indices: list[int]) -> Iterator[Scored]:
            _share(job.archive, Path(folder))
            request = with_whole_paths(job.request, "source", "clutter", "model", "keep_forecasts")
            settings = pickle.dumps((request, job.leads, job.history))
            rest, waiting = iter(indices), deque[Any]()
            while True:
                most = ahead(client)
                # A task is the number of a volume: all it needs lies on disk, so that any worker can do it again.
                for index in islice(rest, max(most - len(waiting), 0)):
                    waiting.append(client.submit(_run, settings, folder, index, pure=False))
                if not waiting:
                    return
                yield _result(waiting.popleft())

        # What still waits when this ends goes with the client.
        yield there


def _result(future: Any) -> Scored:
    try:
        scored: Scored = result_of(future, "the workers that made it died")
    except InputError as error:
        return {}, str(error)
    return scored


def _run(settings: bytes, folder: str, index: int) -> Scored:
    with one_at_a_time:
        return _job(settings, folder).run(index)


@lru_cache(maxsize=1)
def _job(settings: bytes, folder: str) -> HindcastJob:
    return HindcastJob(_shared(Path(folder)), *pickle.loads(settings))


def _share(archive: VolumeSequence, folder: Path) -> None:
    with told_as_output_error(folder / "volumes"):
        for name in LARGE:
            np.save(folder / f"{name}.npy", getattr(archive, name))
        rest = {f.name: getattr(archive, f.name) for f in fields(archive) if f.name not in LARGE}
        (folder / "rest").write_bytes(pickle.dumps(rest))


def _shared(folder: Path) -> VolumeSequence:
    large = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in LARGE}
    return VolumeSequence(**large, **pickle.loads((folder / "rest").read_bytes()))
