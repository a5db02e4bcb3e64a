"""The volumes of an archive read, cleaned and gridded by a Dask cluster, ahead of who asks for them."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from nowcast.channels import moments_of
from nowcast.errors import NowcastError
from nowcast.pipeline.cache import Gridded, GridWork, ReadVolume, VolumeCache
from nowcast.pipeline.dask_client import ahead, check_cluster, connect, one_at_a_time, result_of, with_whole_paths
from nowcast.pipeline.polar_volumes import preparation
from nowcast.radar.channels import grid_channels
from nowcast.radar.polar import PolarVolume, Site
from nowcast.radar.reader import read_volume


@contextmanager
def gridding(address: str | None) -> Iterator[VolumeCache]:
    """What reads and grids volumes: a cluster as of :func:`~nowcast.pipeline.fit_cluster.cluster`, or this process."""
    check_cluster(address)
    if address is None:
        yield VolumeCache()
        return
    with closing(connect(address)) as client:
        cache = ClusterCache(client)
        try:
            yield cache
        finally:
            cache.forget()


@dataclass
class Queue:
    """The files of one radar in the order in which they will be asked for, each with what grids it, or None."""

    work: GridWork
    waiting: OrderedDict[Path, Any]
    settings: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.settings = pickle.dumps(with_whole_paths(self.work, "clutter"))

    def serves(self, path: Path, site: Site | None, fallback: Site | None, also: frozenset[str]) -> bool:
        work = self.work
        return path in self.waiting and (site, fallback, also) == (work.site, work.fallback, moments_of(work.channels))


class ClusterCache(VolumeCache):
    """Volumes that a cluster grids in the order in which they will be asked for, a few of each radar ahead.

    A task is one file: seconds of work, against which the scheduler's millisecond does not count. Work that a worker
    takes with it when it dies is done again; a file over which one worker after the other dies is left out.
    """

    def __init__(self, client: Any) -> None:
        super().__init__()
        self.client = client
        self.queues: list[Queue] = []

    def expect(self, *radars: tuple[GridWork, Sequence[Path]]) -> None:
        self.forget()
        self.queues = [Queue(work, OrderedDict.fromkeys(paths)) for work, paths in radars]

    def forget(self) -> None:
        """Give up what has not been asked for."""
        held = [future for queue in self.queues for future in queue.waiting.values() if future is not None]
        self.client.cancel(held)
        self.queues = []

    def read(
        self, path: Path, *, site: Site | None, fallback: Site | None, also: frozenset[str] = frozenset()
    ) -> ReadVolume:
        queue = next((q for q in self.queues if q.serves(path, site, fallback, also)), None)
        if queue is None:
            return super().read(path, site=site, fallback=fallback, also=also)
        while next(iter(queue.waiting)) != path:  # passed over by their headers
            _, passed = queue.waiting.popitem(last=False)
            if passed is not None:
                self.client.cancel([passed])
        self._submit()
        place, defect, gridded = self._result(path, queue.waiting.pop(path))
        self._submit()

        def again() -> PolarVolume:
            return read_volume(path, site=site, fallback=fallback, also=also)

        held = {} if gridded is None else {(queue.work.grid, queue.work.channels): gridded}
        return self.keep((path, site, fallback, also), ReadVolume(place, defect, again, None, held))

    def _submit(self) -> None:
        most = ahead(self.client)
        for queue in self.queues:
            for path in list(islice(queue.waiting, max(most // len(self.queues), 1))):
                if queue.waiting[path] is None:
                    task = self.client.submit(grid_file, queue.settings, str(path.resolve()), pure=False)
                    queue.waiting[path] = task

    def _result(self, path: Path, future: Any) -> tuple[Site, str, Gridded | None]:
        found = result_of(future, f"{path} is left out: the workers that read it died")
        if isinstance(found, Exception):
            raise found
        place, defect, gridded = found
        return place, defect, gridded


def grid_file(settings: bytes, path: str) -> tuple[Site, str, Gridded | None] | Exception:
    """On a worker: position and defect of a volume, and its values and mask where it counts."""
    with one_at_a_time:
        work, prepare = _prepared(settings)
        try:
            also = moments_of(work.channels)
            volume = read_volume(Path(path), site=work.site, fallback=work.fallback, also=also)
            if volume.defect and not work.partial_volumes:
                return volume.site, volume.defect, None
            gridded = grid_channels(volume, prepare(volume), work.grid, work.channels)
            return volume.site, volume.defect, gridded
        except NowcastError as error:
            return error


@lru_cache(maxsize=16)
def _prepared(settings: bytes) -> tuple[GridWork, Any]:
    work: GridWork = pickle.loads(settings)
    return work, preparation(work.clutter, work.quality)
