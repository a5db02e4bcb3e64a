"""What a page shows: frames over time, of each the volume observed and forecast, and the products of these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nowcast.ensemble import THRESHOLDS_DBZ, ensemble_statistics
from nowcast.errors import UsageError
from nowcast.plot.frames import frames_of, match_tolerance_s
from nowcast.products import ProductConfig, column_maximum, make_products
from nowcast.times import nearest
from nowcast.types import Float32, Forecast, GridSpec, Times, VolumeSequence
from nowcast.units import minutes, seconds
from nowcast.view.layers import BEST, MEAN, PRODUCTS, Layer, chance_layers, volume_layers

OBSERVED = "observed"
CONFIG = ProductConfig()


@dataclass(frozen=True)
class Source:
    """Volumes of one origin.

    Attributes
    ----------
    name
        For people.
    frames
        Which frame of the page each volume belongs to.
    volumes
        ``[T, Z, Y, X]`` dBZ, NaN where not observed.
    planes
        By the key of a layer ``[T, Y, X]``, NaN where missing.
    """

    name: str
    frames: tuple[int, ...]
    volumes: Float32
    planes: dict[str, Float32]


@dataclass(frozen=True)
class Contents:
    """All that a page shows.

    Attributes
    ----------
    title, notes
        For people; the notes say what is wrong or missing.
    grid
        The voxels of all volumes.
    times
        ``[F]`` valid times of the frames, UTC, rising.
    init_time
        Of the forecast; None where there is none.
    method
        Of the forecast, empty where there is none.
    certain
        False where the files do not tell "no echo" from "not observed".
    layers
        What there is to choose from.
    sources
        ``observed``, ``forecast``, ``mean`` as far as there are such.
    """

    title: str
    grid: GridSpec
    times: Times
    init_time: np.datetime64 | None
    method: str
    certain: bool
    layers: list[Layer]
    sources: dict[str, Source]
    notes: list[str] = field(default_factory=list)

    @property
    def leads(self) -> list[float | None]:
        """Minutes from the initial time for each frame, None where there is no forecast."""
        if self.init_time is None:
            return [None] * len(self.times)
        return [minutes(time - self.init_time) for time in self.times]


def contents_of(
    title: str, forecast: Forecast | None, observed: VolumeSequence | None, notes: list[str] | None = None
) -> Contents:
    """What a page of a forecast, of observed volumes, or of both shows.

    A frame is a valid time; an observation near a lead time shares its frame. Of an ensemble the page shows the one
    best forecast (the control or, without one, the first member), the members' mean, and how many members reach a
    threshold.

    Raises
    ------
    UsageError
        There is neither, or they are on different grids.
    """
    if forecast is None and observed is None:
        raise UsageError("a page needs a forecast or observed volumes")
    if forecast is not None and observed is not None and not forecast.grid.matches(observed.grid):
        raise UsageError("the observed volumes are on another grid than the forecast: leave them out or grid them anew")
    times = np.empty(0, "datetime64[ns]") if forecast is None else forecast.valid_times
    seen: tuple[int, ...] = ()
    if observed is not None:
        times, seen = _with_observed(times, observed, forecast)
    many = forecast is not None and len(forecast.values) > 1
    layers = [*volume_layers(), *_products_for(forecast)]
    if many:
        layers += [*volume_layers(MEAN), *chance_layers()]
    sources: dict[str, Source] = {}
    if observed is not None:
        sources[OBSERVED] = _observed(observed, seen, forecast is not None, many)
    if forecast is not None:
        ahead = tuple(int(i) for i in np.searchsorted(times, forecast.valid_times))
        sources |= _forecast(forecast, ahead)
    known = forecast if forecast is not None else observed
    assert known is not None
    return Contents(
        title=title,
        grid=known.grid,
        times=times,
        init_time=None if forecast is None else forecast.init_time,
        method="" if forecast is None else forecast.method,
        certain=observed is None or observed.coverage is None,
        layers=layers,
        sources=sources,
        notes=notes or [],
    )


def _with_observed(leads: Times, observed: VolumeSequence, forecast: Forecast | None) -> tuple[Times, tuple[int, ...]]:
    """The times of all frames, and the frame of each observed volume: that of a lead where there is one near."""
    own = observed.times.copy()
    if forecast is not None:
        limit = np.timedelta64(round(match_tolerance_s(forecast) * 1e9), "ns")
        taken = set()
        for i, time in enumerate(observed.times):
            at = nearest(leads, time, limit)
            if at is not None and at not in taken:
                taken.add(at)
                own[i] = leads[at]
    times = np.unique(np.concatenate([leads, own]))
    return times, tuple(int(i) for i in np.searchsorted(times, own))


def _products_for(forecast: Forecast | None) -> list[Layer]:
    return [layer for layer in PRODUCTS if forecast is not None or layer.product != "rain_accumulation"]


def _observed(volumes: VolumeSequence, frames: tuple[int, ...], beside: bool, many: bool) -> Source:
    dbz = volumes.reflectivity
    names = {layer.product for layer in PRODUCTS} - {"rain_accumulation"}
    planes = _planes(dbz, volumes.grid, seconds(volumes.times - volumes.times[0]), names)
    if many:
        top = column_maximum(dbz)
        for layer, threshold in zip(chance_layers(), THRESHOLDS_DBZ, strict=True):
            planes[layer.key] = np.where(np.isnan(top), np.nan, top >= threshold).astype(np.float32)
    return Source("observed", frames, dbz, planes)


def _forecast(forecast: Forecast, frames: tuple[int, ...]) -> dict[str, Source]:
    shown, many = frames_of(forecast), len(forecast.values) > 1
    best = np.stack([frame.field for frame in shown])
    names = {layer.product for layer in PRODUCTS}
    planes = _planes(best, forecast.grid, seconds(forecast.lead_times), names)
    sources = {
        BEST: Source(
            "" if not many else "first member" if forecast.control is None else "best forecast", frames, best, planes
        )
    }
    if many:
        said = ensemble_statistics(column_maximum(forecast.values), THRESHOLDS_DBZ, ())
        planes |= {layer.key: said.probability[k] for k, layer in enumerate(chance_layers())}
        mean = ensemble_statistics(forecast.values, (), ()).mean
        sources[MEAN] = Source(f"mean of {len(forecast.values)} members", frames, mean, {})
    return sources


def _planes(dbz: Float32, grid: GridSpec, at_s: Any, names: set[str]) -> dict[str, Float32]:
    made = make_products(dbz, grid, at_s, 0.0, CONFIG, sorted(names))
    layers = [layer for layer in PRODUCTS if layer.product in names]
    return {
        layer.key: made[layer.product] if layer.plane is None else made[layer.product][:, layer.plane]
        for layer in layers
    }
