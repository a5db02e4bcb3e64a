"""A corpus: any number of simulated events straight to grids, for training, each a volume-sequence file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np

import nowcast
from nowcast.errors import UsageError
from nowcast.io.volumes import write_volumes
from nowcast.radar.gridding import GridConfig
from nowcast.simulate.archive import refuse_strangers
from nowcast.simulate.grids import simulate_volumes
from nowcast.simulate.kinds import MIX, check_kinds, draw_scene
from nowcast.simulate.radar import Radar
from nowcast.simulate.scene import Scene
from nowcast.simulate.truth import truth_dataset, write_truth
from nowcast.types import GridSpec, Progress, Times, VolumeSequence
from nowcast.units import seconds

R = TypeVar("R")

_SCENE, _SETTING, _KIND = 0, 2, 3
GOLDEN = (np.sqrt(5.0) - 1) / 2
STEPS_MINUTES, STEP_SHARES = (5.0, 6.0, 7.5, 10.0, 12.0), (0.25, 0.15, 0.1, 0.4, 0.1)
SPACINGS_M = (1500.0, 2000.0, 2500.0, 2500.0, 3000.0)
BEAMS_DEG = (0.9, 1.0, 1.0, 1.3, 1.9)
DROPPED = 0.04
"""Share of volumes that a diverse event lacks; its first is always there."""


@dataclass(frozen=True)
class CorpusPlan:
    """Events to simulate on grids.

    Attributes
    ----------
    events, volumes, step_minutes
        How many events of how many volumes each, and the minutes from volume to volume.
    mix
        Share of each kind of weather, in any unit. The first events of a larger corpus have these shares too.
    seed
        Decides everything that is left to chance. An event follows from the seed, its number and the rest of the
        plan except ``events``.
    start
        Valid time of the first volume of the first event, UTC; each further event is a day later.
    grid
        Around the radar.
    radar
        Through whose beam, sensitivity and coverage the weather is seen; None for the exact field, observed everywhere.
    diverse
        Lets step, horizontal spacing (at the same number of voxels), beam width and sensitivity differ from event to
        event, and drops single volumes. ``step_minutes`` is not used then.
    """

    events: int = 200
    volumes: int = 13
    step_minutes: float = 10.0
    mix: Mapping[str, float] = field(default_factory=lambda: dict(MIX))
    seed: int = 1
    start: np.datetime64 = field(default_factory=lambda: np.datetime64("2001-01-15T04:00:00", "ns"))
    grid: GridConfig = field(default_factory=GridConfig)
    radar: Radar | None = field(default_factory=lambda: Radar(clutter=False))
    diverse: bool = False

    def __post_init__(self) -> None:
        if self.events < 1 or self.volumes < 1 or self.step_minutes < 0.5 or self.seed < 0:
            raise UsageError(
                f"{self.events} events of {self.volumes} volumes every {self.step_minutes:g} minutes from seed "
                f"{self.seed}: expected at least 1, 1, 0.5 and 0"
            )
        check_kinds(self.mix)
        if min(self.mix.values()) < 0 or sum(self.mix.values()) <= 0:
            raise UsageError(f"shares of kinds of weather {dict(self.mix)}: expected none below 0 and one above")

    def kind(self, number: int) -> str:
        """Kind of an event: the shares are kept as evenly as possible by every stretch of events."""
        begin = np.random.default_rng(np.random.SeedSequence([self.seed, _KIND])).random()
        shares = np.cumsum(list(self.mix.values()))
        at = (begin + number * GOLDEN) % 1.0 * shares[-1]
        return list(self.mix)[int(np.searchsorted(shares, at, side="right").clip(max=len(shares) - 1))]

    def event(self, number: int) -> CorpusEvent:
        """What an event is, not yet evaluated.

        Raises
        ------
        UsageError
            The plan has no such event.
        """
        if not 0 <= number < self.events:
            raise UsageError(f"event {number}: the plan has {self.events}, counted from 0")
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, number, _SETTING]))
        radar, grid, step = self.radar, self.grid, self.step_minutes
        kept = np.arange(self.volumes)
        if self.diverse:
            step = float(rng.choice(STEPS_MINUTES, p=STEP_SHARES))
            spacing = float(rng.choice(SPACINGS_M))
            grid = replace(grid, spacing_m=spacing, extent_m=spacing * round(grid.extent_m / grid.spacing_m))
            if radar is not None:
                floor = radar.floor_dbz + float(rng.uniform(-3, 8))
                radar = replace(radar, beam_width_deg=float(rng.choice(BEAMS_DEG)), floor_dbz=floor)
            kept = np.flatnonzero((rng.random(self.volumes) >= DROPPED) | (kept == 0))
        begin = (self.start + np.timedelta64(number, "D")).astype("datetime64[ns]")
        times = begin + np.round(60.0 * step * kept).astype("timedelta64[s]")
        kind = self.kind(number)
        scene_seed = np.random.SeedSequence([self.seed, number, _SCENE])
        scene = draw_scene(kind, scene_seed, 60.0 * step * max(self.volumes - 1, 1))
        site = (radar or Radar()).site
        return CorpusEvent(f"event{number:04d}_{kind}", number, scene, times, begin, grid.around(site), radar)


@dataclass(frozen=True)
class CorpusEvent:
    """One event of a corpus: its weather, when it is seen, and how."""

    name: str
    number: int
    scene: Scene
    times: Times
    start: np.datetime64
    grid: GridSpec
    radar: Radar | None

    @property
    def kind(self) -> str:
        return self.scene.kind

    def volumes(self) -> VolumeSequence:
        """The event on its grid; see :func:`simulate_volumes`."""
        return simulate_volumes(self.scene, self.grid, self.times, start=self.start, radar=self.radar)


def simulate_corpus(
    plan: CorpusPlan, directory: Path, *, jobs: int | None = None, progress: Progress | None = None
) -> list[Path]:
    """Write ``eventNNNN_KIND.nc`` for each event into ``directory``, and its truth into ``truth/`` there.

    Parameters
    ----------
    jobs
        Processes; as many as there are processors by default. The files do not depend on it. A script that calls this
        with more than one must do so below ``if __name__ == "__main__":``.

    Returns
    -------
    The volume-sequence files in order of the events.

    Raises
    ------
    InputError
        ``directory`` holds NetCDF files that are not part of the plan.
    OutputError
        A file cannot be written.
    """
    from nowcast_kernels.parallel import thread_count

    names = [f"event{n:04d}_{plan.kind(n)}.nc" for n in range(plan.events)]
    paths = [directory / name for name in names]
    refuse_strangers({*paths, *(directory / "truth" / name for name in names)}, directory)
    for_each_event(plan, partial(_write, plan, directory), jobs or thread_count(), progress)
    return paths


def for_each_event(plan: CorpusPlan, work: Callable[[int], R], jobs: int, progress: Progress | None = None) -> list[R]:
    """What ``work`` returns for the number of each event, in their order, computed by ``jobs`` processes.

    ``work`` can be pickled; with one job it runs in this process. ``progress`` is called with (events done, events).
    """
    told = progress or (lambda done, total: None)
    workers = min(jobs, plan.events)
    if workers == 1:
        found: list[R] = []
        for number in range(plan.events):
            found.append(work(number))
            told(number + 1, plan.events)
        return found
    # Forked processes would inherit locks that the threads of this one may hold.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(work, number) for number in range(plan.events)]
        try:
            for done, finished in enumerate(as_completed(waiting), 1):
                finished.result()
                told(done, plan.events)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        return [finished.result() for finished in waiting]


def _write(plan: CorpusPlan, directory: Path, number: int) -> None:
    event = plan.event(number)
    history = f"nowcast {nowcast.__version__} simulate, seed {plan.seed}, {event.name}"
    write_volumes(event.volumes(), directory / f"{event.name}.nc", history=history)
    times_s = np.array([seconds(t - event.start) for t in event.times])
    truth = truth_dataset(event.scene, event.start, times_s, seed=plan.seed, event=number)
    write_truth(truth, directory / "truth" / f"{event.name}.nc")
