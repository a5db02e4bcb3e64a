"""Simulated archives: events, each a folder of polar volumes with its truth beside them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

import nowcast
from nowcast.errors import InputError, OutputError, UsageError
from nowcast.radar.polar import PolarVolume
from nowcast.simulate.cfradial import write_cfradial
from nowcast.simulate.clutter import Clutter, draw_clutter
from nowcast.simulate.kinds import check_kinds, draw_scene
from nowcast.simulate.polar import simulate_volume
from nowcast.simulate.radar import Radar
from nowcast.simulate.scene import Scene
from nowcast.simulate.truth import truth_dataset, write_truth
from nowcast.types import Progress
from nowcast.units import compact_utc
from nowcast_kernels.parallel import thread_count

A = TypeVar("A")
B = TypeVar("B")

TRUTH = Path("truth") / "truth.nc"
"""Where an event's truth lies in its folder: one folder down, where nobody looks for volumes."""
_SCENE, _NOISE = 0, 1


@dataclass(frozen=True)
class ArchivePlan:
    """What to simulate.

    Attributes
    ----------
    events, volumes, step_minutes
        How many events of how many volumes each, and the minutes from volume to volume.
    kinds
        Kinds of weather, taken in turn.
    seed
        Decides everything that is left to chance. The same seed gives the same files; the ground is the same in all
        events of a seed.
    start
        Valid time of the first volume of the first event, UTC; each further event is a day later.
    radar
        Its antenna is sped up where a volume would take longer than ``step_minutes``.
    """

    events: int = 1
    volumes: int = 12
    step_minutes: float = 10.0
    kinds: tuple[str, ...] = ("cells", "line", "stratiform")
    seed: int = 1
    start: np.datetime64 = field(default_factory=lambda: np.datetime64("2024-01-15T04:00:00", "ns"))
    radar: Radar = field(default_factory=Radar)

    def __post_init__(self) -> None:
        if self.events < 1 or self.volumes < 1 or self.step_minutes < 0.5 or self.seed < 0:
            raise UsageError(
                f"{self.events} events of {self.volumes} volumes every {self.step_minutes:g} minutes from seed "
                f"{self.seed}: expected at least 1, 1, 0.5 and 0"
            )
        check_kinds(self.kinds)

    @property
    def times_s(self) -> NDArray[np.float64]:
        """Start of each volume in whole seconds from the start of its event."""
        return np.round(60.0 * self.step_minutes * np.arange(self.volumes))

    @property
    def scanner(self) -> Radar:
        """The radar, turning fast enough to finish a volume before the next one begins."""
        longest_s = 0.95 * 60.0 * self.step_minutes
        return replace(self.radar, turn_s=min(self.radar.turn_s, longest_s / len(self.radar.elevations_deg)))

    def kind(self, event: int) -> str:
        return self.kinds[event % len(self.kinds)]

    def scene(self, event: int) -> Scene:
        """The weather of an event; depends on the seed, the event and its kind alone, and on how long it lasts."""
        seeds = np.random.SeedSequence([self.seed, event, _SCENE])
        return draw_scene(self.kind(event), seeds, float(self.times_s[-1]) + self.scanner.volume_s)

    def event_start(self, event: int) -> np.datetime64:
        return (self.start + np.timedelta64(event, "D")).astype("datetime64[ns]")


@dataclass(frozen=True)
class SimulatedEvent:
    """The files of an event: ``volumes`` in order of time, and ``truth``."""

    name: str
    kind: str
    directory: Path
    volumes: tuple[Path, ...]
    truth: Path


def plan_files(plan: ArchivePlan, directory: Path) -> list[SimulatedEvent]:
    """Where the files of a plan go: into folders ``event00_KIND``, or right into ``directory`` for a single event."""
    events = []
    for event in range(plan.events):
        name = f"event{event:02d}_{plan.kind(event)}"
        folder = directory if plan.events == 1 else directory / name
        stamps = plan.event_start(event) + (plan.times_s * 1000).astype("timedelta64[ms]")
        files = (f"{plan.radar.name}_{_stamp(t)}.nc" for t in stamps)
        paths = tuple(folder / f for f in files)
        events.append(SimulatedEvent(name, plan.kind(event), folder, paths, folder / TRUTH))
    return events


def simulate_archive(
    plan: ArchivePlan,
    directory: Path,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> list[SimulatedEvent]:
    """Write a plan's volumes and truths below ``directory``.

    Parameters
    ----------
    jobs
        Volumes simulated at the same time, in threads; as many as there are processors by default. The files do not
        depend on it.

    Raises
    ------
    InputError
        ``directory`` holds NetCDF files that are not part of the plan: they would be mixed up with it.
    OutputError
        A file cannot be written.
    """
    events = plan_files(plan, directory)
    refuse_strangers({path for e in events for path in (*e.volumes, e.truth)}, directory)
    radar, total = plan.scanner, plan.events * plan.volumes
    clutter = draw_clutter(radar, plan.seed)
    done = 0
    # No time and no path: the same plan gives the same bytes wherever and whenever it is made.
    history = f"nowcast {nowcast.__version__} simulate, seed {plan.seed}"
    for number, event in enumerate(events):
        scene, start = plan.scene(number), plan.event_start(number)
        scan = partial(_scan, plan, number, scene, clutter)
        # Only this thread writes: the NetCDF library is not safe to use from several.
        for path, volume in zip(event.volumes, _ahead(scan, range(plan.volumes), jobs), strict=True):
            write_cfradial(volume, radar, path, history=f"{history}, {event.name}")
            done += 1
            if progress is not None:
                progress(done, total)
        write_truth(truth_dataset(scene, start, plan.times_s, seed=plan.seed, event=number), event.truth)
    return events


def _scan(plan: ArchivePlan, event: int, scene: Scene, clutter: Clutter, index: int) -> PolarVolume:
    """One volume of an event; its noise depends on the seed, the event and its index alone."""
    rng = np.random.default_rng(np.random.SeedSequence([plan.seed, event, _NOISE, index]))
    t = float(plan.times_s[index])
    when = plan.event_start(event) + np.timedelta64(round(t), "s")
    return simulate_volume(scene, plan.scanner, clutter, start=when, t_s=t, rng=rng)


def _stamp(time: np.datetime64) -> str:
    return compact_utc(time).replace("T", "_")


def refuse_strangers(ours: set[Path], directory: Path) -> None:
    """Raise InputError where a folder to write into holds NetCDF files that are not ``ours``."""
    if directory.exists() and not directory.is_dir():
        raise OutputError(f"{directory} is a file: give the name of a folder to write the archive into")
    found = {p for p in directory.rglob("*.nc") if not p.name.startswith(".")}
    strangers = sorted(found - ours)
    if strangers:
        raise InputError(
            f"{directory} already holds {len(strangers)} other NetCDF files, such as {strangers[0].name}: "
            "remove them or give another folder with -o"
        )


def _ahead(function: Callable[[A], B], items: Iterable[A], jobs: int | None) -> Iterator[B]:
    """``map(function, items)``, computed by threads up to two turns ahead of whoever takes the results."""
    workers = max(1, jobs or thread_count())
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[B]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
