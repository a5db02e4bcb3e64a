"""From a folder of radar files to a volume sequence: the newest good volumes at or before a time.

Nothing valid later than the requested time is read, nor does it influence what is said of earlier volumes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from nowcast import units
from nowcast.channels import moments_of
from nowcast.errors import InputError, UsageError
from nowcast.io.cf import one_radar
from nowcast.io.gridded import read_gridded
from nowcast.io.volumes import read_volumes
from nowcast.pipeline.archive import (
    VOLUMES,
    Entry,
    Unread,
    list_archive,
    list_newest,
    read_entries,
)
from nowcast.pipeline.cache import GridWork, VolumeCache
from nowcast.pipeline.failed_scans import Scan, enough, without_failed_scans
from nowcast.pipeline.layout import layout
from nowcast.pipeline.place import home_of
from nowcast.pipeline.polar_volumes import NoneUsable, Places, good_volumes, preparation, refuse_mixture, skip_entry
from nowcast.pipeline.radars import cycle_files, listed, load_mosaic, radar_folders
from nowcast.pipeline.skips import skip
from nowcast.radar.content import plain_file, sniff
from nowcast.radar.gridding import GridConfig
from nowcast.radar.mosaic import MosaicConfig
from nowcast.radar.polar import PolarVolume, Site
from nowcast.radar.quality import QualityConfig
from nowcast.radar.reader import read_volume
from nowcast.types import REFLECTIVITY, Bool, Float32, GridSpec, Progress, VolumeSequence

__all__ = [
    "GridConfig",
    "NoneUsable",
    "VolumeCache",
    "check_files",
    "list_files",
    "list_inputs",
    "load_sequence",
    "refuse_polar_options",
]

logger = logging.getLogger(__name__)

QUALITY = QualityConfig()
MOSAIC = MosaicConfig()


def load_sequence(
    source: Path | str,
    *,
    at: np.datetime64 | None = None,
    frames: int | None = None,
    grid: GridConfig | GridSpec | None = None,
    site: Site | None = None,
    clutter: Path | None = None,
    quality: QualityConfig | None = QUALITY,
    progress: Progress | None = None,
    cache: VolumeCache | None = None,
    channels: tuple[str, ...] = (REFLECTIVITY,),
    partial_volumes: bool = False,
    mosaic: MosaicConfig = MOSAIC,
) -> VolumeSequence:
    """Load gridded radar volumes, newest last.

    Parameters
    ----------
    source
        A folder of polar radar files, a folder of gridded files, one such file, or a volume-sequence file. Or a folder
        of several folders, each with the polar files of one radar: see :mod:`nowcast.pipeline.radars`.
    at
        Only volumes valid at or before this time, UTC; default: all.
    frames
        Only so many newest volumes; default: all. Volumes that cannot be used are skipped with a warning and older ones
        taken instead; volumes that lost all their echo at once are left out of them.
    grid
        The grid for polar volumes: settings of one around the radar, or the very voxels. Gridded input keeps its own
        grid and is cropped to these levels.
    site
        Position of the radar in place of the one in the files.
    clutter
        A clutter map of ``nowcast clutter`` for this radar. Volumes valid before the last one that the map was learnt
        from are cleaned without it: it would know their future.
    quality
        How echo that is not weather is removed from polar volumes; None leaves it in.
    progress
        Called with (done, total).
    cache
        Polar volumes that other calls with the same ``grid``, ``quality`` and ``clutter`` have gridded. It is told of
        each file that is read.
    channels
        What to load, reflectivity first; a channel is NaN where a volume does not have it.
    partial_volumes
        Whether polar volumes count that lack sweeps; what they lack is not observed.
    mosaic
        How the volumes of several radars are brought together.

    Raises
    ------
    NoneUsable
        There are volumes, but none that can be used.
    InputError
        There is nothing to load, or the files come from several radars.
    """
    source, grid, cache = Path(source), grid or GridConfig(), cache or VolumeCache()
    one_place = {"--site": site, "--clutter": clutter}
    if not source.exists():
        raise InputError(f"{source} does not exist: expected a folder of radar files or a volume-sequence file")
    if source.is_file() and sniff(source) == VOLUMES:
        refuse_polar_options(source, one_place)
        return without_failed_scans(_until(read_volumes(source, channels), source, at), frames)
    laid = layout(source.iterdir() if source.is_dir() else ())
    if laid.unlooked:
        logger.warning("not looked at: %s", laid.unlooked)
    if laid.folders:
        _refuse_one_place(one_place)
        return load_mosaic(
            {folder.name: folder for folder in laid.folders},
            at=at,
            frames=frames,
            grid=grid,
            quality=quality,
            progress=progress,
            cache=cache,
            channels=channels,
            partial_volumes=partial_volumes,
            config=mosaic,
        )
    wanted = frames if source.is_dir() else None
    (found,) = list_newest({"": source}, at, wanted, lambda times: len(set(times)), _entries).values()
    past = found.past
    if not past:
        raise _nothing(source, found.earliest, found.unread, at)
    refuse_mixture(source, past)
    if past[0].head is None:
        refuse_polar_options(source, one_place)
        sequence = _load_gridded(past, frames, grid, progress, cache, channels)
    else:
        places = Places(site, site or home_of(found.first))
        if isinstance(grid, GridSpec) or places.home is not None:
            spec = grid if isinstance(grid, GridSpec) else grid.around(places.home)  # type: ignore[arg-type]
            work = GridWork(spec, places.given, places.home, quality, clutter, channels, partial_volumes)
            cache.expect((work, [entry.path for entry in reversed(past)]))
        prepare = preparation(clutter, quality)
        sequence = _load_polar(past, frames, grid, places, prepare, progress, cache, channels, partial_volumes)
    sequence = without_failed_scans(sequence, frames)
    _tell_unread(found.unread, sequence.times[0], at)
    return sequence


def refuse_polar_options(source: Path, given: dict[str, Any]) -> None:
    """Raise UsageError where options for polar volumes are given, by name, with volumes that are gridded."""
    for option, value in given.items():
        if value is not None:
            raise UsageError(f"{option} is for polar volumes, and those of {source} are gridded: leave it out")


def _refuse_one_place(given: dict[str, Any]) -> None:
    for option, value in given.items():
        if value is not None:
            where = f"mosaic.{'sites' if option == '--site' else 'clutter'} of the settings file"
            raise UsageError(f"{option} is of one radar, and here are several: name them under {where}")


def list_inputs(
    source: Path | str,
    *,
    at: np.datetime64 | None = None,
    near: np.datetime64 | None = None,
    mosaic: MosaicConfig = MOSAIC,
) -> np.ndarray:
    """Valid times of all volumes of a source at or before ``at``, rising, without reading them.

    With ``near``, files whose names tell a time more than a day from it are left out.
    """
    times = np.array(list(list_files(source, near=near, mosaic=mosaic)), "datetime64[ns]")
    return times if at is None else times[times <= at]


def list_files(
    source: Path | str, *, near: np.datetime64 | None = None, mosaic: MosaicConfig = MOSAIC
) -> dict[np.datetime64, list[Path]]:
    """The files of each valid time of a source, in order of time, without reading the volumes."""
    if folders := radar_folders(Path(source)):
        return cycle_files(folders, mosaic, near)
    files: dict[np.datetime64, list[Path]] = {}
    for entry in sorted(_entries(Path(source), near)[0], key=lambda e: (e.time, e.path)):
        files.setdefault(entry.time.astype("datetime64[ns]"), []).append(entry.path)
    return files


def check_files(source: Path) -> list[Unread]:
    """The files of a source that are no volumes; raises InputError for several kinds or radars in one folder."""
    folders = radar_folders(source)
    unread: list[Unread] = []
    for folder in folders.values() or [source]:
        entries, bad, _ = listed(folder) if folders else _entries(folder)
        unread += bad
        if entries:
            refuse_mixture(folder, entries)
    return unread


def _entries(source: Path, near: np.datetime64 | None = None) -> tuple[list[Entry], list[Unread], bool]:
    return list_archive(source, near) if source.is_dir() else (read_entries(source), [], True)


def _until(sequence: VolumeSequence, source: Path, at: np.datetime64 | None) -> VolumeSequence:
    past = sequence if at is None else sequence.until(at)
    if len(past) == 0:
        raise _too_early(source, sequence.times[0], at)
    return past


def _nothing(
    source: Path, earliest: np.datetime64 | None, unread: list[Unread], at: np.datetime64 | None
) -> InputError:
    if earliest is not None:
        return _too_early(source, earliest, at)
    reason = f": {unread[0].reason}" if len(unread) == 1 else f"; the first: {unread[0].reason}"
    return InputError(f"{source} holds no radar volume among its {len(unread)} files{reason}")


def _too_early(source: Path, first: np.datetime64, at: np.datetime64 | None) -> InputError:
    asked, there = ("" if t is None else units.iso_utc(t) for t in (at, first))
    return InputError(f"{source} holds no volume at or before {asked}; its first is {there}")


def _tell_unread(unread: list[Unread], first: np.datetime64, at: np.datetime64 | None) -> None:
    for file in unread:
        known = file.time
        if known is None or (known >= first and (at is None or known <= at)):
            skip(str(file.path), file.reason)


def _none_usable(entries: list[Entry], skipped: list[str]) -> NoneUsable:
    if len(entries) == 1:
        return NoneUsable(f"no volume can be used: {skipped[0]}")
    folder = entries[-1].path.parent
    return NoneUsable(f"{folder}: none of {len(entries)} volumes can be used; the newest: {skipped[0]}")


def _load_gridded(
    entries: list[Entry],
    frames: int | None,
    grid: GridConfig | GridSpec,
    progress: Progress | None,
    cache: VolumeCache,
    channels: tuple[str, ...],
) -> VolumeSequence:
    levels = _levels(grid)
    own_file = lru_cache(maxsize=1)(partial(read_volumes, channels=channels))  # the times of a file follow one another
    found: list[VolumeSequence] = []
    scans: list[Scan] = []
    skipped: list[str] = []
    total = len(entries) if frames is None else min(frames, len(entries))
    for entry in reversed(entries):
        if found and entry.time == found[-1].times[0]:
            skip_entry(skipped, entry, f"{entry.path.name} has the same time as {found[-1].sources[0]}")
            continue
        cache.reading(entry.path)
        try:
            volume = _read_own(own_file(entry.path), entry) if entry.kind == VOLUMES else _read_foreign(entry, levels)
        except InputError as error:
            skip_entry(skipped, entry, str(error))
            continue
        if found and not volume.grid.matches(found[0].grid):
            skip_entry(skipped, entry, f"{entry.path.name} is on another grid than {found[0].sources[0]}")
            continue
        found.append(volume.with_channels(channels))
        scans.append(Scan(entry.time, volume.reflectivity[0], volume.mask[0]))
        if progress is not None:
            progress(min(len(found), total), total)
        if enough(scans, frames, volume.grid):
            break
    if not found:
        raise _none_usable(entries, skipped)
    return _joined(found[::-1])


def _levels(grid: GridConfig | GridSpec) -> dict[str, float]:
    if isinstance(grid, GridSpec):
        return {"bottom_m": grid.z[0], "top_m": grid.z[-1], "level_spacing_m": grid.spacing_m[0]}
    return {"bottom_m": grid.bottom_m, "top_m": grid.top_m, "level_spacing_m": grid.level_spacing_m}


def _read_own(volumes: VolumeSequence, entry: Entry) -> VolumeSequence:
    volume = volumes.select(np.flatnonzero(volumes.times == entry.time))
    return replace(volume, sources=(entry.path.name,))


def _read_foreign(entry: Entry, levels: dict[str, float]) -> VolumeSequence:
    with plain_file(entry.path) as plain:
        return read_gridded(plain, **levels, times=[entry.time])


def _joined(volumes: list[VolumeSequence]) -> VolumeSequence:
    """One sequence of several in order of time on the same grid."""
    coverages = [v.coverage for v in volumes if v.coverage is not None]
    return replace(
        volumes[0],
        radars=tuple(dict.fromkeys(name for v in volumes for name in v.radars)),
        missing=tuple(names for v in volumes for names in v.missing) if all(v.missing for v in volumes) else (),
        values=np.concatenate([v.values for v in volumes]),
        mask=np.concatenate([v.mask for v in volumes]),
        times=np.concatenate([v.times for v in volumes]),
        sources=tuple(s for v in volumes for s in v.sources),
        coverage=np.logical_or.reduce(coverages) if coverages else None,
    )


def _load_polar(
    entries: list[Entry],
    frames: int | None,
    wanted: GridConfig | GridSpec,
    places: Places,
    prepare: Callable[[PolarVolume], PolarVolume],
    progress: Progress | None,
    cache: VolumeCache,
    channels: tuple[str, ...],
    partial_volumes: bool,
) -> VolumeSequence:
    grid = wanted if isinstance(wanted, GridSpec) else None
    found: list[tuple[Entry, Float32, Bool]] = []
    scans: list[Scan] = []
    skipped: list[str] = []
    total = len(entries) if frames is None else min(frames, len(entries))
    read = partial(cache.read, also=moments_of(channels))
    for entry, volume in good_volumes(entries, places, skipped, read, partial_volumes):
        if grid is None:
            assert isinstance(wanted, GridConfig)
            grid = wanted.around(places.home or volume.site)
        values, mask = volume.on(grid, prepare, channels)
        if not mask.any():
            skip_entry(skipped, entry, f"{entry.path.name} observed nothing within the grid")
            continue
        found.append((entry, values, mask))
        scans.append(Scan(entry.time, values[0], mask))
        if progress is not None:
            progress(min(len(found), total), total)
        if enough(scans, frames, grid):
            break
    if not found or grid is None:
        raise _none_usable(entries, skipped)
    found.reverse()
    values = np.stack([f[1] for f in found])
    mask = np.stack([f[2] for f in found])
    times = np.array([f[0].time for f in found], "datetime64[ns]")
    sources = tuple(f[0].path.name for f in found)
    head = found[-1][0].head
    assert head is not None  # these are polar
    return VolumeSequence(values, mask, times, grid, channels, sources, radars=one_radar(head.radar))


def polar_volumes(
    source: Path | str,
    *,
    at: np.datetime64 | None = None,
    site: Site | None = None,
    progress: Progress | None = None,
) -> Iterator[PolarVolume]:
    """The good polar volumes of a folder at or before a time, newest first, as they were measured.

    Raises InputError as :func:`load_sequence` does.
    """
    source = Path(source)
    if not source.exists():
        raise InputError(f"{source} does not exist: expected a folder of radar files")
    entries, unread, _ = _entries(source)
    polar = [e for e in entries if e.head is not None]
    past = [e for e in polar if at is None or e.time <= at]
    if not past:
        raise _nothing(source, polar[0].time if polar else None, unread, at)
    refuse_mixture(source, past)
    for done, (_, volume) in enumerate(good_volumes(past, Places(site, site or home_of(past)), [], read_volume)):
        if progress is not None:
            progress(done + 1, len(past))
        yield volume
