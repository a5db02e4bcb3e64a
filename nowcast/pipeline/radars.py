"""Archives of several radars, one folder each, brought together in mosaics.

Time is cut into steps with the round times (12:00, 12:05) in their middle, and each step with a new volume gives one
mosaic, at the time of its newest volume. Every other radar gives the newest volume that it has at or before that time,
also where a later one is nearer: so no mosaic knows the future.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nowcast.channels import moments_of
from nowcast.errors import InputError, UsageError
from nowcast.io.atomic import file_digest
from nowcast.pipeline.archive import Entry, Unread, list_archive, list_newest
from nowcast.pipeline.cache import GridWork, ReadVolume, VolumeCache
from nowcast.pipeline.failed_scans import MEMORY, Scan, enough, faults_of
from nowcast.pipeline.layout import layout
from nowcast.pipeline.place import home_of
from nowcast.pipeline.polar_volumes import NoneUsable, Places, good_volumes, preparation, refuse_mixture
from nowcast.pipeline.skips import skip
from nowcast.radar.gridding import GridConfig
from nowcast.radar.mosaic import MosaicConfig, Part, combine, common_grid, radar_weight
from nowcast.radar.polar import SAME_PLACE_M, PolarVolume, Site
from nowcast.radar.quality import QualityConfig
from nowcast.radar.reader import PositionUnknown
from nowcast.types import Bool, Float32, GridSpec, Progress, Times, VolumeSequence, radars_seen
from nowcast.units import iso_utc, minutes

logger = logging.getLogger(__name__)


class Seen(NamedTuple):
    """A volume of one radar on the grid."""

    entry: Entry
    site: Site
    values: Float32
    mask: Bool

    @property
    def scan(self) -> Scan:
        return Scan(self.entry.time, self.values[0], self.mask)


@dataclass(frozen=True)
class Look:
    """How volumes are read and gridded, the same for all radars."""

    read: Callable[..., ReadVolume]
    grid: GridSpec
    channels: tuple[str, ...]
    partial_volumes: bool


@dataclass
class Radar:
    """The volumes of one radar, rising in time; of ``end`` on none is of use any more."""

    name: str
    entries: list[Entry]
    home: Site | None
    given: Site | None
    prepare: Callable[[PolarVolume], PolarVolume]
    times: Times = field(init=False)
    end: int = field(init=False)
    seen: dict[np.datetime64, Seen] = field(init=False, default_factory=dict)
    failed: dict[np.datetime64, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.times = np.array([e.time for e in self.entries], "datetime64[ns]")
        self.end = len(self.entries)

    def newest(self, at: np.datetime64, since: np.datetime64, look: Look) -> Seen | None:
        """The newest usable volume from ``since`` to ``at``; must be asked for falling times."""
        stop = min(self.end, int(np.searchsorted(self.times, at, "right")))
        for seen in self._usable(stop, since, look):
            if fault := self._fault(seen, look):
                skip(f"{self.name} {iso_utc(seen.entry.time)}", f"{self.name}: {fault}")
                continue
            self.end = self.entries.index(seen.entry) + 1
            return seen
        self.end = min(stop, int(np.searchsorted(self.times, since, "left")))
        return None

    def _usable(self, stop: int, since: np.datetime64, look: Look) -> Iterator[Seen]:
        """The volumes before that of index ``stop`` that can be read, newest first."""
        places = Places(self.given, self.given or self.home)
        for entry, volume in good_volumes(self.entries[:stop], places, [], look.read, look.partial_volumes, since):
            if entry.time not in self.seen:
                values, mask = volume.on(look.grid, self.prepare, look.channels)
                self.seen[entry.time] = Seen(entry, volume.site, values, mask)
            yield self.seen[entry.time]

    def _fault(self, seen: Seen, look: Look) -> str:
        """Why a volume is a failed scan, if it is one, which those before it tell."""
        time = seen.entry.time
        if time not in self.failed:
            scans = [seen.scan]
            before = self._usable(self.entries.index(seen.entry), time - MEMORY, look)
            while not enough(scans, 1, look.grid) and (one := next(before, None)) is not None:
                scans.append(one.scan)
            self.failed[time] = faults_of(scans[::-1], look.grid)[-1]
        return self.failed[time]


def radar_folders(source: Path) -> dict[str, Path]:
    """The folders of radars, by name, in a folder that holds no data of its own; empty where it is none such."""
    if not source.is_dir():
        return {}
    return {folder.name: folder for folder in layout(source.iterdir()).folders}


def clutter_digests(config: MosaicConfig) -> dict[str, str | None]:
    """What the clutter maps of the radars hold, to tell whether they have changed."""
    return {name: file_digest(path) for name, path in sorted(config.clutter.items())}


def listed(folder: Path, near: np.datetime64 | None = None) -> tuple[list[Entry], list[Unread], bool]:
    """What :func:`nowcast.pipeline.archive.list_archive` gives; nothing for an empty folder: its radar is missing."""
    try:
        return list_archive(folder, near)
    except InputError:
        return [], [], True


def cycle_files(
    folders: dict[str, Path], config: MosaicConfig, near: np.datetime64 | None = None
) -> dict[np.datetime64, list[Path]]:
    """The times of the mosaics of an archive, rising, and the files that each may be made of."""
    entries = sorted(
        (e for folder in folders.values() for e in listed(folder, near)[0]), key=lambda e: (e.time, e.path)
    )
    found: dict[np.datetime64, list[Path]] = {}
    for cycle in mosaic_times((e.time for e in entries), config):
        found[cycle] = [e.path for e in entries if cycle - config.within <= e.time <= cycle]
    return found


def mosaic_times(times: Iterable[np.datetime64], config: MosaicConfig) -> Times:
    """When there are mosaics of volumes at these times: the newest in each step, rising."""
    began = np.sort(np.array(list(times), "datetime64[ns]"))
    return began[np.append(np.diff(mosaic_steps(began, config)) > 0, True)] if len(began) else began


def mosaic_steps(times: Times, config: MosaicConfig) -> NDArray[np.int64]:
    """The number of the step that each time lies in; one in the middle of two belongs to the earlier."""
    step = config.step.astype(np.int64)
    return -((step // 2 - times.astype("datetime64[ns]").astype(np.int64)) // step)


def load_mosaic(
    folders: dict[str, Path],
    *,
    at: np.datetime64 | None,
    frames: int | None,
    grid: GridConfig | GridSpec,
    quality: QualityConfig | None,
    progress: Progress | None,
    cache: VolumeCache,
    channels: tuple[str, ...],
    partial_volumes: bool,
    config: MosaicConfig,
) -> VolumeSequence:
    """Mosaics of several radars, newest last.

    Parameters and errors as of :func:`nowcast.pipeline.inputs.load_sequence`. A radar without a usable volume for a
    time is left out of its mosaic and named in ``missing``.
    """
    radars, unread = _radars(folders, at, frames, config, quality)
    cycles = mosaic_times((t for radar in radars for t in radar.times), config)
    if len(cycles) == 0:
        raise _nothing(folders, unread, at)
    _warn_of_step(radars, config)
    if isinstance(grid, GridConfig):
        grid = common_grid(_sites(radars), grid, config.centre)
    cache.radars = len(radars)
    cache.expect(*(_work(radar, grid, quality, channels, partial_volumes, config) for radar in radars))
    read = lru_cache(maxsize=None)(partial(cache.read, also=moments_of(channels)))  # what is dry is looked at twice
    look = Look(read, grid, channels, partial_volumes)
    total = len(cycles) if frames is None else min(frames, len(cycles))
    chosen: list[tuple[np.datetime64, dict[str, np.datetime64]]] = []
    for cycle in cycles[::-1]:
        found = {radar.name: radar.newest(cycle, cycle - config.within, look) for radar in radars}
        here = {name: seen.entry.time for name, seen in found.items() if seen is not None}
        if chosen and chosen[-1][1] == here:
            chosen.pop()  # nothing usable has come between the two
        elif len(chosen) == frames:
            break
        if here:
            chosen.append((cycle, here))
        if progress is not None:
            progress(len(chosen), total)
        if len(chosen) == frames and cycle in here.values():
            break  # else the newest of its volumes may be that of an older mosaic, whose time is the right one
    return _mosaics(radars, chosen[::-1], look, config)


def _work(
    radar: Radar,
    grid: GridSpec,
    quality: QualityConfig | None,
    channels: tuple[str, ...],
    partial_volumes: bool,
    config: MosaicConfig,
) -> tuple[GridWork, list[Path]]:
    """What is done to the volumes of a radar, and these in the order in which they are asked for."""
    clutter = config.clutter.get(radar.name)
    work = GridWork(grid, radar.given, radar.given or radar.home, quality, clutter, channels, partial_volumes)
    return work, [entry.path for entry in reversed(radar.entries)]


def _mosaics(
    radars: list[Radar],
    chosen: list[tuple[np.datetime64, dict[str, np.datetime64]]],
    look: Look,
    config: MosaicConfig,
) -> VolumeSequence:
    values, masks, times, sources, missing = [], [], [], [], []
    for cycle, here in chosen:
        seen = {radar.name: radar.seen[here[radar.name]] for radar in radars if radar.name in here}
        if not any(s.mask.any() for s in seen.values()):
            continue
        scales = config.distance_m, config.height_m
        parts = [Part(s.values, s.mask, radar_weight(s.site, look.grid, *scales)) for s in seen.values()]
        value, mask = combine(parts, config.combine)
        values.append(value)
        masks.append(mask)
        times.append(cycle)
        sources.append("; ".join(f"{name}: {s.entry.path.name}" for name, s in seen.items()))
        missing.append(tuple(radar.name for radar in radars if radar.name not in seen))
    if not values:
        names = ", ".join(radar.name for radar in radars)
        raise NoneUsable(f"none of the volumes of {names} can be used within the grid")
    _warn_of_missing(radars, times, missing)
    return VolumeSequence(
        np.stack(values),
        np.stack(masks),
        np.array(times, "datetime64[ns]"),
        look.grid,
        look.channels,
        tuple(sources),
        radars=radars_seen([radar.name for radar in radars], missing),
        missing=tuple(missing),
    )


def _radars(
    folders: dict[str, Path],
    at: np.datetime64 | None,
    frames: int | None,
    config: MosaicConfig,
    quality: QualityConfig | None,
) -> tuple[list[Radar], list[Unread]]:
    """The radars with their volumes at or before ``at``, of the last day where these are enough."""
    unknown = (config.sites.keys() | config.clutter.keys()) - folders.keys()
    if unknown:
        raise UsageError(f"mosaic names {', '.join(sorted(unknown))}: expected some of {', '.join(folders)}")
    found = list_newest(folders, at, frames, lambda times: len(mosaic_times(times, config)), listed)
    radars = []
    for name, here in found.items():
        refuse_mixture(folders[name], here.past)
        if here.past and here.past[0].head is None:
            raise InputError(f"{folders[name]} holds gridded files: a mosaic is made of polar volumes")
        given = Site(*config.sites[name]) if name in config.sites else None
        prepare = preparation(config.clutter.get(name), quality)
        radars.append(Radar(name, here.past, home_of(here.first), given, prepare))
    return radars, [u for here in found.values() for u in here.unread]


def _sites(radars: list[Radar]) -> list[Site]:
    """Where the radars stand that have volumes; raises InputError for one in two folders or without a place."""
    known = {radar.name: site for radar in radars if (site := radar.given or radar.home) is not None}
    for a, b in combinations(known, 2):
        if known[a].distance_m(known[b]) <= SAME_PLACE_M:
            raise InputError(f"{a} and {b} are folders of one radar, at {known[a]}: a mosaic takes one folder a radar")
    lost = [radar.name for radar in radars if radar.entries and radar.name not in known]
    if lost:
        raise PositionUnknown(f"the files of {lost[0]} do not tell where it stands: name it under mosaic.sites")
    return list(known.values())


def _nothing(folders: dict[str, Path], unread: list[Unread], at: np.datetime64 | None) -> InputError:
    when = "" if at is None else f" at or before {iso_utc(at)}"
    first = f"; the first file: {unread[0].reason}" if unread else ""
    return InputError(f"{', '.join(folders)} hold no radar volume{when}{first}")


def _warn_of_missing(radars: list[Radar], times: list[np.datetime64], missing: list[tuple[str, ...]]) -> None:
    for radar in radars:
        without = [time for time, names in zip(times, missing, strict=True) if radar.name in names]
        if without:
            told = "%s is missing from %d of %d mosaics, last from that of %s"
            logger.warning(told, radar.name, len(without), len(times), iso_utc(without[-1]))


def _warn_of_step(radars: list[Radar], config: MosaicConfig) -> None:
    # The lower of two medians: an outage among a few volumes is no step.
    steps = sorted(step for radar in radars for step in np.diff(radar.times[-12:]))
    usual = steps[(len(steps) - 1) // 2] if len(steps) > len(radars) else config.step
    if usual > 1.4 * config.step:
        told = "the radars scan every %.0f minutes, mosaics are made every %g: set mosaic.step_minutes"
        logger.warning(told, minutes(usual), config.step_minutes)
