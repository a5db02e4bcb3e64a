"""Maps and volumes of one time as ODIM_H5 Cartesian files, version 2.4 (https://www.eumetnet.eu/opera).

Fields with levels make a Cartesian volume (CVOL), others a composite (COMP) with a dataset for each product.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np

import nowcast
from nowcast.errors import UsageError
from nowcast.io import cf
from nowcast.io.atomic import atomic_path
from nowcast.io.reproject import Plan
from nowcast.types import Float32
from nowcast.units import minutes

if TYPE_CHECKING:
    import xarray as xr

NODATA, UNDETECT = -9999000.0, -8888000.0
"""Not observed, and observed without an echo; beyond any quantity, and exact as 32-bit floats."""
SOURCE = "ORG:65535,CMT:nowcast"
"""ORG:65535 is an originating centre that is not told."""


class Quantity(NamedTuple):
    """What ODIM calls a variable: quantity and product, our unit in its unit, and whether 0 says that there is none."""

    name: str
    product: str
    scale: float = 1.0
    none_is_zero: bool = True


QUANTITIES = {
    "reflectivity": Quantity("DBZH", "CAPPI"),
    "zdr": Quantity("ZDR", "CAPPI", none_is_zero=False),
    "kdp": Quantity("KDP", "CAPPI", none_is_zero=False),
    "rhohv": Quantity("RHOHV", "CAPPI", none_is_zero=False),
    "spectrum_width": Quantity("WRADH", "CAPPI", none_is_zero=False),
    "cappi": Quantity("DBZH", "CAPPI"),
    "low_level_reflectivity": Quantity("DBZH", "PCAPPI"),
    "column_maximum": Quantity("DBZH", "MAX"),
    "height_of_maximum": Quantity("HGHT", "MAX", 1e-3),
    "echo_top": Quantity("HGHT", "ETOP", 1e-3),
    "vil": Quantity("VIL", "VIL"),
    "rain_rate": Quantity("RATE", "COMP"),
    "rain_accumulation": Quantity("ACRR", "RR"),
    "mesh": Quantity("MESH", "COMP", 0.1),
    "posh": Quantity("POSH", "COMP"),
}
_PLANES = ("z", "cappi_height", "echo_top_dbz")
_OF_ENSEMBLES = ("_control", "_matched_mean", "_mean")


def quantity_of(name: str) -> Quantity | None:
    """What ODIM calls a variable, or None where it has no word; of an ensemble its mean and control are the same."""
    for ending in _OF_ENSEMBLES:
        name = name.removesuffix(ending)
    return QUANTITIES.get(name)


def why_not(variable: xr.DataArray) -> str:
    """Why an ODIM file does not hold a variable, or an empty text."""
    if quantity_of(str(variable.name)) is None:
        return "ODIM has no quantity for it"
    others = set(map(str, variable.dims[:-2])) - {"time", "lead_time", *_PLANES}
    return f"ODIM has no place for each {', '.join(sorted(others))}" if others else ""


def write_odim(
    dataset: xr.Dataset, plan: Plan, path: Path, source: str = SOURCE, since: np.datetime64 | None = None
) -> None:
    """Write the fields of a dataset of one time, compressed and atomically.

    Values are 32-bit floats in ODIM's units: heights in km above mean sea level, hail in cm. ``source`` names who they
    are of, as ``what/source`` has it; rain is summed up ``since`` a time, the initial one unless told. Attributes in
    ``how`` that are not of the standard tell the initial time, the inputs and the command.

    Raises
    ------
    UsageError
        There are several times, fields with and without levels, or a field that ODIM does not hold.
    OutputError
        The file cannot be written.
    """
    fields = {str(name): v for name, v in dataset.data_vars.items() if v.ndim > 1}
    for name, field in fields.items():
        if reason := why_not(field):
            raise UsageError(f"{name} does not go into {path.name}: {reason}")
    volume = {"z" in field.dims for field in fields.values()}
    if len(volume) != 1:
        raise UsageError(f"{path.name}: ODIM keeps volumes and maps apart: give --variables of one kind")
    time = _one_time(dataset, path)
    image = io.BytesIO()  # HDF5 itself takes the program down where a disk is full
    with h5py.File(image, "w", libver=("v108", "v110")) as file:  # attributes beyond 64 KB need this
        file.attrs["Conventions"] = np.bytes_("ODIM_H5/V2_4")
        what = {"object": "CVOL" if True in volume else "COMP", "version": "H5rad 2.4", "source": source}
        _put(file, "what", {**what, **_clock(time, "date", "time")})
        _put(file, "where", _where(plan) | (_levels(dataset) if True in volume else {}))
        _put(file, "how", _how(dataset))
        base = float(dataset[cf.GRID_MAPPING].attrs.get("origin_altitude", 0.0))
        for number, (name, plane, values) in enumerate(_slices(fields), start=1):
            begin = _since(dataset, since) if name.startswith("rain_accumulation") else time
            _add(file.create_group(f"dataset{number}"), name, plane, values, begin, time, base)
    with atomic_path(path) as temporary:
        temporary.write_bytes(image.getbuffer())


def _one_time(dataset: xr.Dataset, path: Path) -> np.datetime64:
    dim = next((d for d in ("time", "lead_time") if d in dataset.dims), None)
    if dim is not None and dataset.sizes[dim] != 1:
        raise UsageError(
            f"{path.name}: an ODIM file holds one time, not {dataset.sizes[dim]}: put {{time}} into the name, as in "
            f"-o '{path.stem}-{{time}}{path.suffix}'"
        )
    return _time_of(dataset, "time" if "time" in dataset.coords else "valid_time")


def _time_of(dataset: xr.Dataset, name: str) -> np.datetime64:
    """The first of some times, to the second."""
    return dataset[name].values.ravel()[0].astype("datetime64[s]")


def _since(dataset: xr.Dataset, given: np.datetime64 | None) -> np.datetime64:
    if given is not None:
        return given.astype("datetime64[s]")
    return _time_of(dataset, "forecast_reference_time" if "forecast_reference_time" in dataset.coords else "time")


def _slices(fields: dict[str, xr.DataArray]) -> Iterator[tuple[str, float | None, Float32]]:
    """Each plane of each field: the name, what it is a plane of, and its values from north to south."""
    for name, field in fields.items():
        over = next((dim for dim in _PLANES if dim in field.dims), None)
        planes = np.asarray(field.values, np.float32).reshape(-1, *field.shape[-2:])
        for k, plane in enumerate(planes):
            yield name, None if over is None else float(field[over].values[k]), plane[::-1]


def _add(
    group: h5py.Group,
    name: str,
    plane: float | None,
    values: Float32,
    begin: np.datetime64,
    end: np.datetime64,
    base_m: float,
) -> None:
    """One dataset: a plane with what it is."""
    quantity = quantity_of(name)
    assert quantity is not None  # why_not has told
    told = {"product": quantity.product, "prodname": name} | ({} if plane is None else {"prodpar": plane})
    _put(group, "what", {**told, **_clock(begin, "startdate", "starttime"), **_clock(end, "enddate", "endtime")})
    data = group.create_group("data1")
    coding = {"gain": 1.0, "offset": 0.0, "nodata": NODATA, "undetect": UNDETECT}
    _put(data, "what", {"quantity": quantity.name, **coding})
    stored = (values + (base_m if quantity.name == "HGHT" else 0.0)) * quantity.scale
    if quantity.none_is_zero:
        stored = np.where(values == 0, UNDETECT, stored)
    stored = np.where(np.isnan(values), NODATA, stored).astype(np.float32)
    image = data.create_dataset("data", data=stored, compression="gzip", compression_opts=2, shuffle=True)
    image.attrs["CLASS"], image.attrs["IMAGE_VERSION"] = np.bytes_("IMAGE"), np.bytes_("1.2")


def _put(parent: h5py.Group, name: str, attributes: dict[str, Any]) -> None:
    group = parent.create_group(name)
    for key, value in attributes.items():
        group.attrs[key] = np.bytes_(value.encode()) if isinstance(value, str) else value


def _clock(time: np.datetime64, date: str, clock: str) -> dict[str, str]:
    day, hour = str(time).split("T")
    return {date: day.replace("-", ""), clock: hour.replace(":", "")}


def _where(plan: Plan) -> dict[str, Any]:
    from pyproj import Transformer

    west, south, east, north = plan.edges
    there = Transformer.from_crs(plan.crs, "EPSG:4326", always_xy=True)
    lon, lat = there.transform([west, west, east, east], [south, north, north, south])
    corners = zip(("LL", "UL", "UR", "LR"), lon, lat, strict=True)
    (dy, dx), size = plan.spacing, {"xsize": plan.x.size, "ysize": plan.y.size}
    place = {f"{corner}_{key}": float(v) for corner, x, y in corners for key, v in (("lon", x), ("lat", y))}
    return {"projdef": _projdef(plan), **size, "xscale": dx, "yscale": dy, **place}


def _projdef(plan: Plan) -> str:
    """The projection in PROJ's words."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that these words say less than a code
        return plan.crs.to_proj4().replace(" +type=crs", "")


def _levels(dataset: xr.Dataset) -> dict[str, Any]:
    z = dataset["z"].values + float(dataset[cf.GRID_MAPPING].attrs.get("origin_altitude", 0.0))
    half = 0.5 * (float(z[1] - z[0]) if z.size > 1 else 0.0)
    return {"zsize": z.size, "zstart": z[0] - half, "zscale": 2 * half, "zbottom": z - half, "ztop": z + half}


def _how(dataset: xr.Dataset) -> dict[str, Any]:
    told: dict[str, Any] = {"software": "nowcast", "sw_version": nowcast.__version__}
    told |= {key: str(dataset.attrs[key]) for key in ("method", "history", "provenance") if key in dataset.attrs}
    if "forecast_reference_time" in dataset.coords:
        told |= _clock(_time_of(dataset, "forecast_reference_time"), "initdate", "inittime")
        told["lead_minutes"] = float(minutes(dataset["lead_time"].values.ravel()[0]))
    return told
