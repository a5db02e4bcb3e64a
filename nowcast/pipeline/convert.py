"""A file of ours in another format, and on another map: what ``nowcast convert`` does."""

from __future__ import annotations

import difflib
import json
import string
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import nowcast
from nowcast.errors import InputError, UsageError
from nowcast.io import cf, geotiff, odim_map
from nowcast.io.reproject import MAPS, METHODS, Plan, parse_crs, plan_dims, reproject
from nowcast.io.zarr_store import is_zarr, write_zarr
from nowcast.pipeline.digests import input_digests
from nowcast.units import compact_utc, minutes

if TYPE_CHECKING:
    import xarray as xr

NETCDF, ZARR, GEOTIFF, ODIM = ".nc", ".zarr", ".tif", ".h5"
FORMATS = {NETCDF: "NetCDF", ZARR: "Zarr", GEOTIFF: "GeoTIFF", ".tiff": "GeoTIFF", ODIM: "ODIM_H5"}
MOST_TOLD = 8
"""Fields that an error names."""
PLACES = ("variable", "time", "lead", "init")
"""What may stand in braces in the name of an output."""
WHAT = "a file of nowcast grid, forecast, products or fit"


@dataclass(frozen=True)
class ConvertRequest:
    """What to write.

    Attributes
    ----------
    source
        One of our NetCDF files, or a Zarr store of one.
    output
        The suffix tells the format. ``{variable}``, ``{time}``, ``{lead}`` and ``{init}`` in the name stand for a
        product, valid time, lead time in minutes and initial time, of which each gets a file of its own.
    variables
        Which fields; all that the format holds where empty.
    crs, spacing, bounds, method
        Another map, as :class:`nowcast.io.reproject.Plan` and :func:`nowcast.io.reproject.reproject` have it.
    odim_source
        ``what/source`` of ODIM files.
    """

    source: Path
    output: Path
    variables: tuple[str, ...] = ()
    crs: str | None = None
    spacing: float | None = None
    bounds: tuple[float, float, float, float] | None = None
    method: str = METHODS[0]
    odim_source: str = odim_map.SOURCE

    def __post_init__(self) -> None:
        if self.output.suffix.lower() not in FORMATS:
            known = ", ".join(f"{suffix} ({name})" for suffix, name in FORMATS.items())
            raise UsageError(f"{self.output.name} names no format: end it in one of {known}")
        if self.method not in METHODS:
            raise UsageError(f"--method {self.method!r}: expected {' or '.join(METHODS)}")
        if self.crs is None and (self.spacing is not None or self.bounds is not None):
            raise UsageError("--spacing and --bounds are of another map: give --crs too")
        try:
            places = {name for _, name, _, _ in string.Formatter().parse(str(self.output)) if name is not None}
        except ValueError as error:
            raise UsageError(f"{self.output.name}: {error}") from error
        if not places <= set(PLACES):
            raise UsageError(f"{self.output.name}: in braces may stand {', '.join(PLACES)}, as in '{{variable}}.tif'")
        if self.source.resolve() == self.output.resolve():
            raise UsageError(f"{self.output} would replace what it is made from: give another name")

    @property
    def format(self) -> str:
        """Name of the output's format."""
        return FORMATS[self.output.suffix.lower()]

    def splits(self, *places: str) -> bool:
        """Whether one of these stands in braces in the name."""
        return any(f"{{{place}}}" in str(self.output) for place in places)


@dataclass(frozen=True)
class ConvertRun:
    """The files that were written, their fields, and why others were left out, by name."""

    outputs: tuple[Path, ...]
    variables: tuple[str, ...]
    left_out: dict[str, str]
    crs: str

    def answer(self) -> dict[str, Any]:
        """The command's JSON answer."""
        told = {"variables": list(self.variables), "left_out": self.left_out, "crs": self.crs or None}
        return {"outputs": [str(path) for path in self.outputs], **told}


def convert(request: ConvertRequest, *, history: str = "") -> ConvertRun:
    """Write a file in another format, on another map where one is asked for.

    Raises
    ------
    UsageError
        The format does not hold what is asked for, or one file does not hold all of it.
    InputError
        The source is none of our files.
    OutputError
        A file cannot be written, or what writes its format is not installed.
    """
    with _opened(request.source) as whole:
        dataset, left_out = _chosen(whole, request)
        with cf.reading(request.source, WHAT):
            dataset = dataset.load().assign_attrs(_told(request, whole, history))
        plan = None
        if request.crs is not None:
            plan = Plan.of(dataset).on(parse_crs(request.crs), request.spacing, request.bounds)
            dataset = reproject(dataset, plan, request.method)
        elif request.format in ("GeoTIFF", "ODIM_H5"):
            plan = Plan.of(dataset)
        parts = list(_parts(dataset, request))
        paths = [path for path, _ in parts]
        if len(set(paths)) < len(paths):
            raise UsageError(f"{request.output.name} gives several files one name: put more of {PLACES} into it")
        if request.source.resolve() in {path.resolve() for path in paths}:
            raise UsageError(f"{request.output} would replace {request.source}, which it is made from")
        write = _writer(request, plan, _first_time(dataset))
        for path, part in parts:
            write(part, path)
        fields = _fields(dataset) if dataset.attrs["nowcast_kind"] in MAPS else sorted(map(str, dataset.data_vars))
        return ConvertRun(tuple(paths), tuple(fields), left_out, plan.crs.to_string() if plan else "")


def _opened(source: Path) -> xr.Dataset:
    """One of our files, its fields not read yet."""
    import xarray as xr

    if not source.exists():
        raise InputError(f"{source} does not exist: expected {WHAT}")
    if source.is_dir() and not is_zarr(source):
        raise InputError(f"{source} is a folder: give one file; nowcast grid makes one of a folder of radar volumes")
    engine = "zarr" if source.is_dir() else "netcdf4"
    with cf.reading(source, WHAT):
        found = xr.open_dataset(source, engine=engine, decode_timedelta=True)
    if "nowcast_kind" not in found.attrs:
        found.close()
        raise InputError(f"{source} is not {WHAT}: nowcast grid makes one of radar or gridded volumes")
    return found


def _fields(dataset: xr.Dataset) -> list[str]:
    """The variables on the map."""
    dims = plan_dims(dataset)
    return [str(name) for name, variable in dataset.data_vars.items() if variable.dims[-2:] == dims]


def _chosen(dataset: xr.Dataset, request: ConvertRequest) -> tuple[xr.Dataset, dict[str, str]]:
    """The dataset with the fields that are asked for, or that the format holds; and why others are left out."""
    if request.format in ("NetCDF", "Zarr") and not request.variables:
        return dataset.copy(), {}
    there = _fields(dataset)
    for name in request.variables:
        if name not in there:
            close = difflib.get_close_matches(name, there, n=1, cutoff=0.75)
            hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(there)}"
            raise UsageError(f"{request.source} has no field {name!r}: {hint}")
    wanted = list(request.variables) or there
    why_not = {"GeoTIFF": geotiff.why_not, "ODIM_H5": odim_map.why_not}.get(request.format, lambda _: "")
    reasons = {name: reason for name in wanted if (reason := why_not(dataset[name]))}
    kept = [name for name in wanted if name not in reasons]
    if (request.variables and reasons) or not kept:
        name, reason = next(iter(reasons.items()), ("nothing", "the file holds no field"))
        raise UsageError(f"{name} does not go into {request.output.name}: {reason}")
    return dataset[[*kept, cf.GRID_MAPPING]], reasons


def _told(request: ConvertRequest, dataset: xr.Dataset, history: str) -> dict[str, str]:
    """The attributes that tell of the conversion, before those that tell how the source came about."""
    new = cf.global_attributes("", "", history)["history"]
    before = str(dataset.attrs.get("history", ""))
    step: dict[str, Any] = {"version": nowcast.__version__, "input_files": [request.source.name]}
    step |= {"input_sha256": input_digests(request.source, ())} if request.source.is_file() else {}
    asked = {name: getattr(request, name) for name in ("crs", "spacing", "bounds", "method")}
    step |= asked if request.crs is not None else {}
    facts = {**json.loads(dataset.attrs.get("provenance", "{}")), "converted": step}
    return {"history": f"{new}\n{before}".strip(), "provenance": json.dumps(facts)}


def _parts(dataset: xr.Dataset, request: ConvertRequest) -> Iterator[tuple[Path, xr.Dataset]]:
    """What goes into each file, by the name of the file."""
    dim = next((d for d in ("lead_time", "time") if d in dataset.dims), None)
    names: list[list[str] | None] = [None]
    if request.splits("variable"):
        names = [[name] for name in _fields(dataset)]
    elif request.format == "GeoTIFF" and len(fields := _fields(dataset)) > 1:
        better = request.output.with_name(f"{request.output.stem}-{{variable}}{request.output.suffix}")
        told = ", ".join(fields[:MOST_TOLD]) + (", ..." if len(fields) > MOST_TOLD else "")
        raise UsageError(
            f"a GeoTIFF holds one field, and here are {len(fields)} ({told}): choose with --variables, or -o '{better}'"
        )
    times: list[int | None] = [None]
    if request.splits("time", "lead") and dim is not None:
        times = list(range(dataset.sizes[dim]))
    for name in names:
        some = dataset if name is None else dataset[[*name, cf.GRID_MAPPING]]
        for k in times:
            part = some if k is None or dim is None else some.isel({dim: slice(k, k + 1)})
            yield Path(str(request.output).format_map(_words(part, name, request))), part


class _Words(dict[str, str]):
    """What stands for the braces in a name."""

    def __missing__(self, key: str) -> str:
        raise UsageError(f"{{{key}}} in the name of the output: the file tells no such thing")


def _words(part: xr.Dataset, name: list[str] | None, request: ConvertRequest) -> _Words:
    words = _Words()
    if name is not None:
        words["variable"] = name[0]
    if "forecast_reference_time" in part.coords:
        words["init"] = compact_utc(part["forecast_reference_time"].values.ravel()[0]) + "Z"
        words["lead"] = f"{minutes(part['lead_time'].values.ravel()[0]):03.0f}"
    for times in ("valid_time", "time"):
        if times in part.coords:
            words["time"] = compact_utc(part[times].values.ravel()[0]) + "Z"
    return words


def _first_time(dataset: xr.Dataset) -> np.datetime64 | None:
    """Since when rain is summed up."""
    name = next((n for n in ("forecast_reference_time", "time") if n in dataset.coords), None)
    return None if name is None else dataset[name].values.ravel()[0]


def _writer(
    request: ConvertRequest, plan: Plan | None, since: np.datetime64 | None
) -> Callable[[xr.Dataset, Path], None]:
    """What writes one file."""
    if request.format == "Zarr":
        return write_zarr
    if request.format == "NetCDF" or plan is None:
        return _write_netcdf
    if request.format == "GeoTIFF":
        return lambda part, path: geotiff.write_geotiff(part, plan, path)
    return lambda part, path: odim_map.write_odim(part, plan, path, request.odim_source, since)


def _write_netcdf(dataset: xr.Dataset, path: Path) -> None:
    """As the source packs it."""
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in dataset.variables.items():
        kept = {key: value for key, value in variable.encoding.items() if key in (*cf.PACKING, "chunksizes")}
        if variable.dtype.kind in "OU":
            kept = {}
        if len(kept.get("chunksizes") or ()) != variable.ndim or variable.ndim == 0:
            kept.pop("chunksizes", None)
        elif any(c > n for c, n in zip(kept["chunksizes"], variable.shape, strict=True)):
            del kept["chunksizes"]
        encoding[str(name)] = kept | ({"zlib": True, "complevel": 2} if variable.ndim > 1 else {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that Gaussians, which are packed, need no fill value
        cf.write_dataset(dataset.drop_encoding(), path, encoding)
