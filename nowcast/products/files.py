"""Product files: each product by time, or by lead time and member, as CF NetCDF-4."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.ensemble import ensemble_statistics
from nowcast.io import cf
from nowcast.products.catalogue import PRODUCTS
from nowcast.products.config import ProductConfig
from nowcast.products.make import make_products, planes_of
from nowcast.types import Float32, Forecast, GridSpec, Times, VolumeSequence
from nowcast.units import seconds

logger = logging.getLogger(__name__)

KIND = "products"
PACKED = {"zlib": True, "complevel": 2, "shuffle": True, "_FillValue": np.float32(np.nan)}


def write_products(
    source: VolumeSequence | Forecast,
    path: Path | str,
    config: ProductConfig,
    *,
    facts: Mapping[str, Any] | None = None,
    history: str = "",
) -> tuple[str, ...]:
    """Make the products of observed volumes or of a forecast and write them, compressed and atomically.

    Dims are ``(time, y, x)`` or ``(lead_time, y, x)``, with ``cappi_height`` or ``echo_top_dbz`` before ``y``. Of an
    ensemble ``NAME`` has ``member`` before these, and beside it stand ``NAME_control`` (of the one best forecast),
    ``NAME_mean``, ``NAME_quantile(quantile, ...)`` and ``NAME_probability(NAME_threshold, ...)``, the share of
    the members at or above each threshold. ``facts`` go into the attribute ``provenance``, with the settings.

    Returns
    -------
    The names of the variables.

    Raises
    ------
    UsageError
        A CAPPI is asked for at a height where the grid has none.
    OutputError
        The file cannot be written.
    """
    import xarray as xr

    contents = _Contents(source, config)
    for name in config.chosen():
        if PRODUCTS[name].over and not planes_of(name, source.grid, config):
            logger.warning("no %s: the grid has none of the usual heights", name)
        else:
            contents.add(name)
    attributes = cf.global_attributes(KIND, "Products of radar reflectivity", history)
    attributes["provenance"] = json.dumps({**(facts or {}), "products": asdict(config)}, default=str)
    attributes |= cf.radar_attributes(source.radars, ())
    if isinstance(source, Forecast):
        attributes["method"] = source.method
        attributes |= {name: source.provenance[name] for name in ("fallback_reason",) if name in source.provenance}
    made = tuple(contents.variables)
    contents.variables[cf.GRID_MAPPING] = cf.grid_mapping(source.grid)
    dataset = xr.Dataset(contents.variables, contents.coordinates, attributes)
    times = cf.FORECAST_TIME_ENCODING if isinstance(source, Forecast) else cf.OBSERVED_TIME_ENCODING
    cf.write_dataset(dataset, path, {**{name: dict(PACKED) for name in made}, **times})
    return made


@dataclass(frozen=True)
class ProductField:
    """One product, or one plane of it, over time.

    Attributes
    ----------
    product
        Its name in :data:`~nowcast.products.catalogue.PRODUCTS`.
    plane
        The height in m of a CAPPI, the reflectivity in dBZ of an echo top; None for a product that has one plane.
    values
        ``[T, Y, X]`` in the product's unit, NaN where missing: of an ensemble the one best forecast's or, where the
        file has none, the mean of the members.
    """

    product: str
    plane: float | None
    values: Float32


@dataclass(frozen=True)
class ProductFile:
    """What a file of products holds: ``fields``, at ``valid_times [T]``; ``init_time`` and ``method`` of a forecast;
    names of the ``radars``, as far as known."""

    grid: GridSpec
    valid_times: Times
    init_time: np.datetime64 | None
    method: str
    fields: tuple[ProductField, ...]
    radars: tuple[str, ...] = ()


def read_products(path: Path | str) -> ProductFile:
    """Read a file of :func:`write_products`; its grid has one level, at 0. Raises InputError when it is not one."""
    with cf.own_dataset(path, KIND, "a file of products") as dataset:
        forecast = "forecast_reference_time" in dataset
        times = dataset.variables["valid_time" if forecast else "time"].values.astype("datetime64[ns]")
        fields = []
        for name in PRODUCTS:
            which = [v for v in (f"{name}_control", f"{name}_mean", name) if v in dataset]
            if not which:
                continue
            values = dataset[which[0]].values.astype(np.float32)
            over = PRODUCTS[name].over
            planes = [float(plane) for plane in dataset[over].values] if over else [None]
            split = [values[:, k] for k in range(len(planes))] if over else [values]
            fields += [ProductField(name, plane, part) for plane, part in zip(planes, split, strict=True)]
        init = None
        if forecast:
            init = np.datetime64(dataset["forecast_reference_time"].values.astype("datetime64[ns]").item(), "ns")
        grid = cf.grid_of(dataset.assign_coords(z=[0.0]))
        method = str(dataset.attrs.get("method", "observed"))
        return ProductFile(grid, times, init, method, tuple(fields), cf.radars_of(dataset.attrs))


class _Contents:
    """What goes into a file of products: variables and coordinates, one product after the other."""

    def __init__(self, source: VolumeSequence | Forecast, config: ProductConfig) -> None:
        self.source, self.config, self.grid = source, config, source.grid
        axes = cf.grid_coordinates(source.grid)
        self.coordinates: dict[str, Any] = {"y": axes["y"], "x": axes["x"]}
        self.variables: dict[str, Any] = {}
        if isinstance(source, Forecast):
            self.members, self.control, self.time = source.values, source.control, "lead_time"
            self.seconds, self.since = seconds(source.lead_times), 0.0
            self.coordinates |= cf.forecast_times(source)
        else:
            self.members, self.control, self.time = source.reflectivity[None], None, "time"
            self.seconds, self.since = seconds(source.times - source.times[0]), 0.0
            self.coordinates |= cf.observed_times(source.times)

    def add(self, name: str) -> None:
        """Make a product and put it in, of an ensemble with what its members say together."""
        dims = (self.time, *self._planes(name), "y", "x")
        members = np.stack([self._made(name, member) for member in self.members])
        if len(members) == 1:
            self._put(name, dims, members[0], name)
            return
        self.coordinates["member"] = cf.member_coordinate(len(members))
        self.coordinates["quantile"] = cf.quantile_coordinate(self.config.quantiles)
        self._put(name, ("member", *dims), members, name)
        if self.control is not None:
            self._put(f"{name}_control", dims, self._made(name, self.control), name, "of the one best forecast")
        thresholds = self.config.thresholds_of(name)
        said = ensemble_statistics(members, thresholds, self.config.quantiles)
        self._put(f"{name}_mean", dims, said.mean, name, "mean of the members")
        self._put(f"{name}_quantile", ("quantile", *dims), said.quantiles, name, "quantiles of the members")
        reached = {"long_name": f"{PRODUCTS[name].long_name} reached", "units": PRODUCTS[name].unit}
        self.coordinates[f"{name}_threshold"] = (f"{name}_threshold", np.array(thresholds), reached)
        share = {"long_name": "share of the members that reach the threshold", "units": "1"}
        chance = (f"{name}_threshold", *dims), said.probability, {**share, "grid_mapping": cf.GRID_MAPPING}
        self.variables[f"{name}_probability"] = chance

    def _made(self, name: str, volumes: Float32) -> Float32:
        return make_products(volumes, self.grid, self.seconds, self.since, self.config, (name,))[name]

    def _planes(self, name: str) -> tuple[str, ...]:
        """The dimension of a product that has several planes, with its coordinate put in."""
        over = PRODUCTS[name].over
        if not over:
            return ()
        planes = np.array(planes_of(name, self.grid, self.config))
        self.coordinates[over] = (over, planes, _plane_attributes(over, self.grid))
        return (over,)

    def _put(self, variable: str, dims: tuple[str, ...], values: Float32, name: str, of: str = "") -> None:
        product = PRODUCTS[name]
        attributes = {
            "long_name": f"{product.long_name}, {of}" if of else product.long_name,
            "units": product.unit,
            "comment": product.comment,
            "grid_mapping": cf.GRID_MAPPING,
        }
        if product.standard_name:
            attributes["standard_name"] = product.standard_name
        self.variables[variable] = (dims, values, attributes)


def _plane_attributes(over: str, grid: GridSpec) -> dict[str, str]:
    if over == "cappi_height":
        return cf.grid_coordinates(grid)["z"][2]
    return {"long_name": "reflectivity of the echo top", "units": "dBZ"}
