"""Planes as GeoTIFF with the layout of cloud-optimised ones: tiles, overviews, and what is asked for first in front."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import nowcast
from nowcast.errors import OutputError, UsageError
from nowcast.io.atomic import atomic_path
from nowcast.io.reproject import Plan
from nowcast.units import iso_utc, minutes

if TYPE_CHECKING:
    import xarray as xr

MOST_BANDS = 65_535
_TOLD = ("long_name", "standard_name", "units", "comment")


def why_not(variable: xr.DataArray) -> str:
    """Why a GeoTIFF does not hold a variable, or an empty text."""
    if "z" in variable.dims:
        return "it has levels, and a GeoTIFF holds planes: make some with nowcast products"
    bands = int(np.prod(variable.shape[:-2]))
    return f"it has {bands} planes, a GeoTIFF at most {MOST_BANDS}" if bands > MOST_BANDS else ""


def write_geotiff(dataset: xr.Dataset, plan: Plan, path: Path) -> None:
    """Write the one field of a dataset, a band for each of its planes, compressed and atomically.

    North is up, the values are 32-bit floats, and what is missing is NaN, which the file declares as its value for no
    data. Each band tells its valid time, and its lead time, height, threshold, quantile or member, as tags and in its
    description; the file tells the inputs and the command.

    Raises
    ------
    UsageError
        The dataset has several fields, or one that a GeoTIFF does not hold.
    OutputError
        rasterio is not installed, or the file cannot be written.
    """
    try:
        import rasterio
        from rasterio.io import MemoryFile
    except ImportError as error:
        raise OutputError(f"{path.name}: GeoTIFF needs rasterio: pip install 'gaussian-nowcast[formats]'") from error
    [field] = [v for v in dataset.data_vars.values() if v.ndim > 1]
    if reason := why_not(field):
        raise UsageError(f"{field.name} does not go into {path.name}: {reason}")
    planes = np.asarray(field.values, np.float32).reshape(-1, *field.shape[-2:])
    bands = list(_bands(field))
    west, _, _, north = plan.edges
    (dy, dx), crs = plan.spacing, rasterio.crs.CRS.from_user_input(plan.crs)
    profile = {"width": plan.x.size, "height": plan.y.size, "count": len(planes), "dtype": "float32", "nodata": np.nan}
    options = {"compress": "deflate", "predictor": 3, "blocksize": 512, "overview_resampling": "nearest"}
    place = {"crs": crs, "transform": rasterio.Affine(dx, 0.0, west, 0.0, -dy, north)}
    with atomic_path(path) as temporary, MemoryFile() as memory:  # GDAL itself does not always tell of a full disk
        with memory.open(driver="COG", **profile, **place, **options) as file:
            file.update_tags(**_tags(dataset, field, bands))
            for number, (plane, band) in enumerate(zip(planes, bands, strict=True), start=1):
                file.write(plane[::-1], number)
                file.update_tags(number, **band)
                file.set_band_description(number, ", ".join(f"{k.lower()} {v}" for k, v in band.items()))
                file.set_band_unit(number, str(field.attrs.get("units", "")))
        temporary.write_bytes(memory.getbuffer())


def _bands(field: xr.DataArray) -> Iterator[dict[str, str]]:
    """What the planes of a field are, in order."""
    for index in np.ndindex(field.shape[:-2]):
        told: dict[str, str] = {}
        for dim, i in zip(field.dims, index, strict=False):
            if dim == "lead_time":
                told["VALID_TIME"] = iso_utc(field["valid_time"].values[i])
                told["LEAD_MINUTES"] = f"{minutes(field['lead_time'].values[i]):g}"
            elif dim == "time":
                told["VALID_TIME"] = iso_utc(field["time"].values[i])
            else:
                told[str(dim).upper()] = f"{field[dim].values[i]:g}"
        yield told


def _tags(dataset: xr.Dataset, field: xr.DataArray, bands: list[dict[str, str]]) -> dict[str, Any]:
    """What the file as a whole tells."""
    told = {key.upper(): str(field.attrs[key]) for key in _TOLD if key in field.attrs}
    made = {key: dataset.attrs[key] for key in ("method", "history", "provenance") if key in dataset.attrs}
    told |= {key.upper(): str(value) for key, value in made.items()}
    if "forecast_reference_time" in dataset.coords:
        told["INIT_TIME"] = iso_utc(dataset["forecast_reference_time"].values.ravel()[0])
    times = {band["VALID_TIME"] for band in bands if "VALID_TIME" in band}
    if times:
        told["TIFFTAG_DATETIME"] = min(times).rstrip("Z").replace("-", ":").replace("T", " ")
        told |= {"VALID_TIME": min(times)} if len(times) == 1 else {}
    title = f"{field.attrs.get('long_name', field.name)}: {dataset.attrs.get('title', '')}"
    made_by = {"TIFFTAG_SOFTWARE": f"nowcast {nowcast.__version__}", "TIFFTAG_IMAGEDESCRIPTION": title}
    return {"VARIABLE": str(field.name), **made_by, **told}
