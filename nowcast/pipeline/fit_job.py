"""The fit of one window of an archive."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import nowcast
from nowcast.errors import InputError
from nowcast.gaussians import (
    FitConfig,
    coherence_voxels,
    compressed_bytes,
    equal_error_bytes,
    extend_fit,
    fit_sequence,
    reconstruction_scores,
)
from nowcast.io.atomic import file_digest
from nowcast.io.gaussians import as_stored
from nowcast.io.volumes import is_volume_file, read_volumes
from nowcast.pipeline.failed_scans import without_failed_scans
from nowcast.pipeline.fit_plan import Plan
from nowcast.pipeline.inputs import GridConfig, NoneUsable, VolumeCache, list_inputs, load_sequence
from nowcast.pipeline.radars import clutter_digests
from nowcast.radar import Site
from nowcast.radar.mosaic import MosaicConfig
from nowcast.radar.quality import QualityConfig
from nowcast.types import REFLECTIVITY, FittedWindow, VolumeSequence
from nowcast.units import iso_utc


class BrokenVolumes(Exception):
    """Some volumes of a window cannot be used."""

    def __init__(self, times: list[np.datetime64]) -> None:
        super().__init__(times)
        self.times = times


@dataclass
class FitJob:
    """What is the same for every window."""

    source: Path
    config: FitConfig
    frames: int
    future: int
    grid: GridConfig | None
    quality: QualityConfig
    site: Site | None
    clutter: Path | None
    keep_volumes: bool | None
    pictures: Path | None
    channels: tuple[str, ...] = (REFLECTIVITY,)
    mosaic: MosaicConfig = field(default_factory=MosaicConfig)

    def __post_init__(self) -> None:
        self.times = list_inputs(self.source, mosaic=self.mosaic)
        self.whole = None
        if is_volume_file(self.source):
            self.whole = without_failed_scans(read_volumes(self.source, self.channels))
        self.cache = VolumeCache(self.frames + self.future + 1)

    def __reduce__(self) -> tuple[Any, ...]:
        return FitJob, tuple(getattr(self, f.name) for f in fields(self))  # volumes are read again where they are used

    def fingerprint(self) -> str:
        """Of everything that a finished window depends on besides its volumes; a device changes its rounding alone."""
        settings = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "pictures"}
        settings |= {"config": replace(self.config, device=FitConfig.device)}
        settings |= {"source": self.source.resolve(), "version": nowcast.__version__}
        if self.clutter is not None:
            settings["clutter"] = file_digest(self.clutter) or self.clutter
        settings["clutter_maps"] = clutter_digests(self.mosaic)
        return hashlib.sha256(json.dumps(settings, default=_plain, sort_keys=True).encode()).hexdigest()

    def fit(self, plan: Plan) -> tuple[FittedWindow, dict[str, Any]]:
        """The window and its record; draws the picture, if one is wanted."""
        volumes = self._load(plan)
        start = time.perf_counter()
        inputs = min(self.frames, len(volumes))
        fitted = fit_sequence(volumes.select(slice(0, inputs)), self.config)
        if self.future:
            fitted = extend_fit(fitted, volumes, self.config)
        fitted = as_stored(fitted)
        seconds = time.perf_counter() - start
        scores = reconstruction_scores(fitted, volumes)
        dense = zip(volumes.reflectivity, volumes.mask, scores["psnr_db"], strict=True)
        record: dict[str, Any] = {
            "times": [iso_utc(t) for t in volumes.times],
            "inputs": inputs,
            "event": plan.event,
            "gaussians": len(fitted.ids),
            **scores,
            "volume_bytes": [compressed_bytes(fitted.at(t), fitted.grid) for t in range(len(fitted))],
            "equal_error_bytes": [equal_error_bytes(*volume) for volume in dense],
            "coherence_voxels": coherence_voxels(fitted),
            "seconds": round(seconds, 3),
        }
        window = FittedWindow(fitted, inputs, plan.event, volumes)
        if self.pictures is not None:
            from nowcast.plot import plot_gaussians, save_figure

            record["picture"] = str(save_figure(plot_gaussians(fitted, volumes, inputs - 1), self._picture(plan)))
        keep = self.future > 0 if self.keep_volumes is None else self.keep_volumes
        return window if keep else replace(window, volumes=None), record

    def drawn(self, plan: Plan) -> bool:
        """Whether the window's picture is there, if one is wanted."""
        return self.pictures is None or self._picture(plan).is_file()

    def _picture(self, plan: Plan) -> Path:
        assert self.pictures is not None
        return self.pictures / f"{plan.name}.png"

    def _load(self, plan: Plan) -> VolumeSequence:
        if self.whole is not None:
            chosen = self.whole.select(np.flatnonzero(np.isin(self.whole.times, plan.times)))
            failed = np.setdiff1d(plan.times, chosen.times)
            if len(failed):
                raise BrokenVolumes(list(failed))
            return chosen
        try:
            volumes = self._over(plan)
            volumes = volumes.select(np.flatnonzero(np.isin(volumes.times, plan.times)))
            missing = np.setdiff1d(plan.times, volumes.times)
        except NoneUsable:
            missing = plan.times
        if len(missing) == 0:
            return volumes
        broken = [time for time in missing if not self._usable(time)]
        if broken:
            raise BrokenVolumes(broken)
        raise InputError(f"{len(missing)} of {len(plan.times)} volumes of {plan.name} do not go with its newest one")

    def _over(self, plan: Plan) -> VolumeSequence:
        """The usable volumes from the first time of a window to its last; some of them may be planned around."""
        first, last = plan.times[0], plan.times[-1]
        return self._newest(last, int(((self.times >= first) & (self.times <= last)).sum()))

    def _newest(self, at: np.datetime64, frames: int) -> VolumeSequence:
        return load_sequence(
            self.source,
            at=at,
            frames=frames,
            grid=self.grid,
            quality=self.quality,
            site=self.site,
            clutter=self.clutter,
            cache=self.cache,
            channels=self.channels,
            mosaic=self.mosaic,
        )

    def _usable(self, time: np.datetime64) -> bool:
        """Whether the volume of a time can be used, and is no failed scan.

        It is loaded with the one before it: a mosaic to which its newest volume adds nothing is that one again.
        """
        try:
            recent = self._newest(time, 2)
            return bool(recent.times[-1] == time)
        except NoneUsable:
            return False


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)
