"""Volumes of a NEXRAD radar from the open archive: what ``nowcast fetch`` does.

Only what is not here yet is asked for. Each volume is checked by its size and by opening it before it gets its name.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.errors import InputError, PartialFailure, UsageError
from nowcast.io.bucket import Bucket, BucketConfig, StoredObject
from nowcast.radar.nexrad import read_end
from nowcast.radar.nexrad_archive import checked_site, day_prefixes, volume_time
from nowcast.types import Progress
from nowcast.units import iso_utc

logger = logging.getLogger(__name__)

STRIKES = 8
"""After so many failures without a success between them the rest is not tried: something is wrong with them all."""
LOOK_BACK = np.timedelta64(1, "h")
"""Volumes may come into the archive so much later than newer ones."""
LONGEST_PAUSE_S = 300.0
QUIET_S = 5.0
"""After so long a silence of the archive it is said that it is waited for, and again each time that has doubled."""
MANY_DAYS = 60


@dataclass(frozen=True)
class FetchRequest:
    """Which volumes to fetch, and where to.

    Attributes
    ----------
    site
        ICAO name of the radar.
    start, end
        Volumes that began from ``start`` on and before ``end``, UTC.
    folder
        Where the files go, under the archive's names.
    jobs
        How many are fetched at the same time.
    bucket
        The bucket that holds the archive.
    newest
        Only so many of the newest volumes of that time; None for all.
    refused
        Objects that are known to hold no volume: they are not asked for again.
    """

    site: str
    start: np.datetime64
    end: np.datetime64
    folder: Path
    jobs: int = 8
    bucket: BucketConfig = field(default_factory=BucketConfig)
    newest: int | None = None
    refused: frozenset[StoredObject] = frozenset()

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise UsageError(f"{self.jobs} jobs: expected at least 1")


@dataclass(frozen=True)
class FetchedVolume:
    """A volume that has come; ``defect`` is what it lacks in the archive, too."""

    path: Path
    time: np.datetime64
    size: int
    defect: str = ""


@dataclass(frozen=True)
class FetchReport:
    """What was fetched; ``kept`` counts the volumes that were here already, ``failures`` give key and reason.

    ``refused`` are the objects that hold no volume, those that the request names with them.
    """

    request: FetchRequest
    fetched: tuple[FetchedVolume, ...]
    kept: int
    failures: tuple[dict[str, str], ...]
    seconds: float
    refused: frozenset[StoredObject] = frozenset()

    def answer(self) -> dict[str, Any]:
        """The command's JSON answer."""
        shown = [
            {"path": str(v.path), "time": v.time, "bytes": v.size} | ({"defect": v.defect} if v.defect else {})
            for v in self.fetched
        ]
        return {
            "site": self.request.site,
            "start": self.request.start,
            "end": self.request.end,
            "output": str(self.request.folder),
            "fetched": shown,
            "kept": self.kept,
            "failures": list(self.failures),
            "bytes": sum(v.size for v in self.fetched),
            "seconds": round(self.seconds, 3),
        }

    def raise_failures(self) -> None:
        """Raise PartialFailure (exit code 4) where a volume did not come that may yet, InputError (3) without any."""
        refused = {stored.key for stored in self.refused}
        lacking = [failure for failure in self.failures if failure["key"] not in refused]
        count, there = len(lacking), len(self.fetched) + self.kept
        if not lacking:
            if self.failures and not there:
                raise InputError(f"none of the objects is a volume, the first because: {self.failures[0]['reason']}")
            return
        told = (
            f"{count} of {count + there} volumes did not come, the first because: {lacking[0]['reason']}; "
            "run the same command again for the rest"
        )
        raise PartialFailure(told) if there else InputError(told)


def fetch_volumes(request: FetchRequest, *, progress: Progress | None = None) -> FetchReport:
    """Fetch the volumes of a radar that began within a time and are not in the folder yet.

    Parameters
    ----------
    request
        What to fetch.
    progress
        Called with (volumes done, volumes to do).

    Returns
    -------
    FetchReport
        Its :meth:`FetchReport.raise_failures` tells what did not come.

    Raises
    ------
    UsageError
        The site is no name of a radar, or the end is not after the start.
    InputError
        The bucket cannot be listed, or holds no such volume.
    OutputError
        A file cannot be written.
    """
    if not request.start < request.end:
        raise UsageError(f"the end, {iso_utc(request.end)}, is not after the start, {iso_utc(request.start)}")
    session = _Session(request)
    report = asyncio.run(session.fetch(request.start, request.end, progress))
    if not report.fetched and not report.kept and not report.failures:
        span = f"from {iso_utc(request.start)} to {iso_utc(request.end)}"
        raise InputError(f"{request.bucket} holds no volume of {session.site} that began {span}")
    return report


def follow_volumes(
    request: FetchRequest, tell: Callable[[FetchReport], None], *, every_s: float = 30.0, polls: int | None = None
) -> None:
    """Fetch the volumes from the start on, then again and again those that are new, until interrupted.

    An outage is warned of and waited for.

    Parameters
    ----------
    request
        What to fetch; its ``end`` does not count.
    tell
        Called with what came, or did not, whenever there is something to tell.
    every_s
        Seconds between looks into the archive; more while it does not answer.
    polls
        Only so many looks.

    Raises
    ------
    UsageError, OutputError
        As for :func:`fetch_volumes`.
    """
    asyncio.run(_Session(request).follow(tell, every_s, polls))


class _Session:
    """The fetching of one radar's volumes; must not outlive its event loop."""

    def __init__(self, request: FetchRequest) -> None:
        self.site = checked_site(request.site)
        self.request = replace(request, site=self.site)
        self.bucket = Bucket(request.bucket)
        self.refused = set(request.refused)

    async def fetch(self, start: np.datetime64, end: np.datetime64, progress: Progress | None = None) -> FetchReport:
        telling = asyncio.create_task(self._tell_of_silence())
        try:
            return await self._fetch(start, end, progress)
        finally:
            telling.cancel()

    async def _tell_of_silence(self) -> None:
        self.bucket.heard = time.monotonic()
        next_s = QUIET_S
        while True:
            await asyncio.sleep(QUIET_S / 5)
            silent_s = time.monotonic() - self.bucket.heard
            if silent_s < QUIET_S:
                next_s = QUIET_S
            elif silent_s >= next_s:
                logger.info("%s has sent nothing for %.0f s: still waiting", self.bucket.config, silent_s)
                next_s = 2 * next_s

    async def _fetch(self, start: np.datetime64, end: np.datetime64, progress: Progress | None) -> FetchReport:
        began = time.perf_counter()
        found = await self._list(start, end)
        listed = [o for o in found if o not in self.refused][-(self.request.newest or 0) :]
        missing = [o for o in listed if not self._is_here(o)]
        fetched: list[FetchedVolume] = []
        failures: list[dict[str, str]] = []
        # The newest first: whoever is stopped on the way has those that matter most.
        queue, strikes = deque(reversed(missing)), 0

        async def work() -> None:
            nonlocal strikes
            while queue:
                stored = queue.popleft()
                try:
                    if strikes >= STRIKES:
                        raise InputError(f"{stored.key} was not tried: {STRIKES} others before it failed")
                    fetched.append(await self._fetch_one(stored))
                    strikes = 0
                except InputError as error:
                    # The transfer of what is no volume has worked.
                    strikes = 0 if stored in self.refused else strikes + 1
                    failures.append({"key": stored.key, "reason": str(error)})
                if progress is not None:
                    progress(len(fetched) + len(failures), len(missing))

        await asyncio.gather(*(work() for _ in range(self.request.jobs)))
        kept = len(listed) - len(missing)
        fetched.sort(key=lambda v: v.time)
        took = time.perf_counter() - began
        return FetchReport(self.request, tuple(fetched), kept, tuple(failures), took, frozenset(self.refused))

    async def follow(self, tell: Callable[[FetchReport], None], every_s: float, polls: int | None) -> None:
        since, pause, told = self.request.start, every_s, ""
        while polls is None or polls > 0:
            polls = None if polls is None else polls - 1
            try:
                report = await self.fetch(since, max(_now(), since + np.timedelta64(1, "s")))
                pause, told = every_s, ""
                if report.fetched or report.failures:
                    tell(report)
                since = self._next_start(since, report)
            except InputError as error:
                pause = min(2.0 * pause, max(LONGEST_PAUSE_S, every_s))
                if str(error) != told:
                    logger.warning("%s; it is tried again until it answers", error)
                told = str(error)
            if polls != 0:
                await asyncio.sleep(pause)

    def _next_start(self, since: np.datetime64, report: FetchReport) -> np.datetime64:
        """From when on to look again: no later than the oldest volume that may yet come."""
        newest = max((v.time for v in report.fetched), default=since)
        refused = {stored.key for stored in report.refused}
        failed = (volume_time(f["key"], self.site) for f in report.failures if f["key"] not in refused)
        return min([max(since, newest - LOOK_BACK), *(t for t in failed if t is not None)])

    async def _list(self, start: np.datetime64, end: np.datetime64) -> list[StoredObject]:
        limit = asyncio.Semaphore(self.request.jobs)

        async def listed(prefix: str) -> list[StoredObject]:
            async with limit:
                return await self.bucket.listing(prefix)

        prefixes = day_prefixes(self.site, start, end)
        if len(prefixes) > MANY_DAYS:
            logger.info("listing %d days of %s before anything is fetched", len(prefixes), self.site)
        days = await asyncio.gather(*map(listed, prefixes))
        times = ((t, o) for day in days for o in day if (t := volume_time(o.key, self.site)) is not None)
        found = sorted(((t, o) for t, o in times if start <= t < end), key=lambda one: one[0])
        return [o for _, o in found]

    def _target(self, stored: StoredObject) -> Path:
        return self.request.folder / stored.name

    def _is_here(self, stored: StoredObject) -> bool:
        target = self._target(stored)
        return target.is_file() and target.stat().st_size == stored.size

    async def _fetch_one(self, stored: StoredObject) -> FetchedVolume:
        target, when = self._target(stored), volume_time(stored.key, self.site)
        assert when is not None  # it was listed as a volume

        def check(path: Path) -> str:
            try:
                return read_end(path)
            except InputError:
                self.refused.add(stored)
                raise

        defect = await self.bucket.fetch(stored, target, check)
        if defect:
            logger.warning("%s is a partial volume in the archive, too: %s", target.name, defect)
        return FetchedVolume(target, when, stored.size, defect)


def _now() -> np.datetime64:
    return np.datetime64(time.time_ns(), "ns")
