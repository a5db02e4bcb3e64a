"""The volumes gridded last, for sequences that overlap."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nowcast.radar.channels import grid_channels
from nowcast.radar.polar import PolarVolume, Site
from nowcast.radar.quality import QualityConfig
from nowcast.radar.reader import read_volume
from nowcast.types import Bool, Float32, GridSpec

Gridded = tuple[Float32, Bool]
Channels = tuple[str, ...]
Key = tuple[Path, Site | None, Site | None, frozenset[str]]


@dataclass(frozen=True)
class GridWork:
    """What is done to each volume of one radar: the arguments of reading, cleaning and gridding."""

    grid: GridSpec
    site: Site | None
    fallback: Site | None
    quality: QualityConfig | None
    clutter: Path | None
    channels: Channels
    partial_volumes: bool


@dataclass
class ReadVolume:
    """A polar volume, of which only what was gridded is kept once it was."""

    site: Site
    defect: str
    again: Callable[[], PolarVolume]
    polar: PolarVolume | None
    gridded: dict[tuple[GridSpec, Channels], Gridded] = field(default_factory=dict)

    def on(self, grid: GridSpec, prepare: Callable[[PolarVolume], PolarVolume], channels: Channels) -> Gridded:
        """Values and mask on a grid, as of :func:`nowcast.radar.channels.grid_channels`."""
        key = grid, channels
        if key not in self.gridded:
            measured = self.polar or self.again()
            self.gridded[key] = grid_channels(measured, prepare(measured), grid, channels)
            self.polar = None
        return self.gridded[key]


class VolumeCache:
    """The polar volumes used last, at most ``size`` of each of ``radars``; for one quality control and clutter map."""

    def __init__(self, size: int = 1) -> None:
        self.size = size
        self.radars = 1
        self._kept: OrderedDict[Key, ReadVolume] = OrderedDict()

    def expect(self, *radars: tuple[GridWork, Sequence[Path]]) -> None:
        """Be told which volumes of each radar will be asked for, in this order; some may not be."""

    def reading(self, path: Path) -> None:
        """Be told of a file, polar or gridded, that it is read now."""

    def read(
        self, path: Path, *, site: Site | None, fallback: Site | None, also: frozenset[str] = frozenset()
    ) -> ReadVolume:
        """A volume, read where it is not at hand; arguments and errors as of :func:`nowcast.radar.read_volume`."""
        key = path, site, fallback, also
        if key not in self._kept:

            def again() -> PolarVolume:
                self.reading(path)
                return read_volume(path, site=site, fallback=fallback, also=also)

            volume = again()
            self.keep(key, ReadVolume(volume.site, volume.defect, again, volume))
        self._kept.move_to_end(key)
        return self._kept[key]

    def keep(self, key: Key, volume: ReadVolume) -> ReadVolume:
        """Keep a volume as the one used last."""
        self._kept[key] = volume
        while len(self._kept) > self.size * self.radars:
            self._kept.popitem(last=False)
        return volume
