"""Gridded files of others: units, axes, missing values, origins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from nowcast.errors import InputError
from nowcast.io.gridded import gridded_times, read_gridded
from nowcast.io.volumes import read_volumes, write_volumes


def write_grid(
    path: Path,
    values: Any,
    *,
    z: Any = (1000.0, 1500.0, 2000.0),
    units: str = "m",
    name: str = "reflectivity",
    dims: tuple[str, ...] = ("time", "z", "y", "x"),
    origin: str = "mapping",
    minutes: tuple[float, ...] = (0.0,),
    mask: Any = None,
    axis: tuple[str, str, str] = ("z", "y", "x"),
) -> Path:
    """A CF grid of 2.5 km columns; ``values [T, Z, Y, X]`` with NaN where missing."""
    values = np.asarray(values, np.float32)
    _, _, ny, nx = values.shape
    with netCDF4.Dataset(path, "w") as file:
        file.Conventions = "CF-1.8"
        file.createDimension("time", len(minutes))
        time = file.createVariable("time", "f8", ("time",))
        time.units = "minutes since 2020-01-01T00:00:00Z"
        time[:] = minutes
        scale = 1000.0 if units == "m" else 1.0
        axes = {axis[0]: np.asarray(z), axis[1]: scale * 2.5 * (np.arange(ny) - ny // 2)}
        axes[axis[2]] = scale * 2.5 * (np.arange(nx) - nx // 2)
        for dim, numbers in axes.items():
            file.createDimension(dim, numbers.size)
            variable = file.createVariable(dim, "f8", (dim,))
            if units:
                variable.units = units
            variable[:] = numbers
        data = file.createVariable(name, "f4", dims, fill_value=-9999.0)
        data.units = "dBZ"
        data[:] = np.ma.masked_invalid(values if len(dims) == 4 else values[0])
        if mask is not None:
            file.createVariable("mask", "i1", dims)[:] = mask
        if origin == "mapping":
            mapping = file.createVariable("crs", "i4", ())
            mapping.grid_mapping_name = "azimuthal_equidistant"
            mapping.latitude_of_projection_origin = -12.25
            mapping.longitude_of_projection_origin = 131.04
            data.grid_mapping = "crs"
        elif origin == "pyart":
            for place, number in (("latitude", -12.25), ("longitude", 131.04), ("altitude", 50.0)):
                file.createVariable(f"origin_{place}", "f8", ("time",))[:] = number
    return path


def ramp(t: int = 1, z: int = 3, y: int = 5, x: int = 7) -> np.ndarray:
    return np.arange(t * z * y * x, dtype=np.float32).reshape(t, z, y, x) % 50 + 5.0


def test_a_cf_grid(tmp_path: Path) -> None:
    volumes = read_gridded(write_grid(tmp_path / "v.nc", ramp()))
    np.testing.assert_allclose(volumes.reflectivity, ramp())
    assert volumes.grid.shape == (3, 5, 7)
    assert (volumes.grid.origin_lat, volumes.grid.origin_lon) == (-12.25, 131.04)
    assert volumes.grid.first_m == (1000.0, -5000.0, -7500.0)
    assert volumes.grid.spacing_m == (500.0, 2500.0, 2500.0)
    assert volumes.times[0] == np.datetime64("2020-01-01T00:00", "ns")
    assert volumes.sources == ("v.nc",)


def test_the_name_of_the_radar_is_that_of_its_file(tmp_path: Path) -> None:
    path = write_grid(tmp_path / "v.nc", ramp())
    assert read_gridded(path).radars == ()
    with netCDF4.Dataset(path, "a") as file:
        file.instrument_name = "Corozal, Radar"
    named = read_gridded(path)
    assert named.radars == ("Corozal Radar",), "names are listed with commas between"
    write_volumes(named, tmp_path / "own.nc")
    assert read_volumes(tmp_path / "own.nc").radars == named.radars


def test_a_py_art_origin_with_altitude(tmp_path: Path) -> None:
    volumes = read_gridded(write_grid(tmp_path / "v.nc", ramp(), origin="pyart"))
    assert (volumes.grid.origin_lat, volumes.grid.origin_alt) == (-12.25, 50.0)


@pytest.mark.parametrize("units", ["km", ""])
def test_kilometres_told_or_not(tmp_path: Path, units: str) -> None:
    path = write_grid(tmp_path / "v.nc", ramp(), z=(1.0, 1.5, 2.0), units=units)
    grid = read_gridded(path).grid
    assert (grid.first_m[0], grid.spacing_m) == (1000.0, (500.0, 2500.0, 2500.0))


def test_missing_without_a_mask_is_no_echo_and_coverage_tells_where_values_were(tmp_path: Path) -> None:
    values = ramp(t=2)
    values[:, 0] = np.nan
    values[0, 1] = np.nan
    volumes = read_gridded(write_grid(tmp_path / "v.nc", values, minutes=(0.0, 10.0)))
    assert volumes.mask.all()
    assert (volumes.reflectivity[:, 0] == 0.0).all()
    assert volumes.coverage is not None
    assert volumes.coverage.any(axis=(1, 2)).tolist() == [False, True, True]


def test_a_mask_variable_is_believed(tmp_path: Path) -> None:
    values = ramp()
    values[0, 1] = np.nan
    mask = np.ones(values.shape)
    mask[0, 0] = 0
    volumes = read_gridded(write_grid(tmp_path / "v.nc", values, mask=mask))
    assert volumes.coverage is None
    assert not volumes.mask[0, 0].any()
    assert np.isnan(volumes.reflectivity[0, 0]).all()
    assert (volumes.reflectivity[0, 1] == 0.0).all()


def test_levels_are_cropped(tmp_path: Path) -> None:
    path = write_grid(tmp_path / "v.nc", ramp(z=6), z=500.0 * np.arange(6))
    volumes = read_gridded(path, bottom_m=1000.0, top_m=2000.0)
    assert volumes.grid.z.tolist() == [1000.0, 1500.0, 2000.0]
    np.testing.assert_allclose(volumes.reflectivity, ramp(z=6)[:, 2:5])


def test_uneven_levels_become_even(tmp_path: Path) -> None:
    z = np.array([500.0, 1000.0, 2000.0, 4000.0])
    values = np.broadcast_to((z / 100.0)[None, :, None, None], (1, 4, 5, 7))
    volumes = read_gridded(write_grid(tmp_path / "v.nc", values, z=z), bottom_m=1000.0, top_m=4000.0)
    assert volumes.grid.z.tolist() == [1000.0, 1500.0, 2000.0, 2500.0, 3000.0, 3500.0, 4000.0]
    np.testing.assert_allclose(volumes.reflectivity[0, :, 0, 0], volumes.grid.z / 100.0, rtol=1e-5)


def test_axes_in_another_order_and_direction(tmp_path: Path) -> None:
    path = tmp_path / "v.nc"
    write_grid(path, ramp())
    with netCDF4.Dataset(path, "a") as file:
        file["y"][:] = file["y"][::-1]
    np.testing.assert_allclose(read_gridded(path).reflectivity, ramp()[:, :, ::-1])


def test_named_axes_and_reflectivity_are_found(tmp_path: Path) -> None:
    dims = ("time", "height", "y0", "x0")
    path = write_grid(tmp_path / "v.nc", ramp(), name="DBZ_gridded", dims=dims, axis=dims[1:])
    np.testing.assert_allclose(read_gridded(path).reflectivity, ramp())


def test_no_time_dimension(tmp_path: Path) -> None:
    path = write_grid(tmp_path / "v.nc", ramp(), dims=("z", "y", "x"))
    assert read_gridded(path).values.shape == (1, 1, 3, 5, 7)


def test_several_times_come_in_order(tmp_path: Path) -> None:
    path = write_grid(tmp_path / "a.nc", ramp(t=2), minutes=(30.0, 20.0))
    volumes = read_gridded(path)
    assert volumes.sources == ("a.nc", "a.nc")
    np.testing.assert_allclose(volumes.reflectivity, ramp(t=2)[::-1])
    assert gridded_times(path).tolist() == volumes.times[::-1].tolist()
    one = read_gridded(path, times=[volumes.times[1]])
    np.testing.assert_array_equal(one.reflectivity[0], volumes.reflectivity[1])
    with pytest.raises(InputError, match=r"a\.nc holds no volume of the times asked for"):
        read_gridded(path, times=[np.datetime64("2021-01-01", "ns")])


def test_values_are_limited_to_what_a_volume_may_hold(tmp_path: Path) -> None:
    values = ramp()
    values[0, 0, 0, :2] = -20.0, 95.0
    assert read_gridded(write_grid(tmp_path / "v.nc", values)).reflectivity[0, 0, 0, :2].tolist() == [0.0, 80.0]


def test_a_fraction_of_a_second_is_kept(tmp_path: Path) -> None:
    path = write_grid(tmp_path / "v.nc", ramp(), minutes=(0.025,))
    assert gridded_times(path)[0] == np.datetime64("2020-01-01T00:00:01.500", "ns")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("origin", "does not tell the origin"),
        ("degrees", "in degrees"),
        ("units", "in 'furlong'"),
        ("name", "has no reflectivity"),
        ("time", "no time coordinate"),
        ("levels", "none within"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, change: str, words: str) -> None:
    path = write_grid(tmp_path / "v.nc", ramp(), origin="none" if change == "origin" else "mapping")
    with netCDF4.Dataset(path, "a") as file:
        if change in ("degrees", "units"):
            file["x"].units = {"degrees": "degrees_east", "units": "furlong"}[change]
        if change == "name":
            file.renameVariable("reflectivity", "rain")
            file["rain"].units = "mm h-1"
        if change == "time":
            file["time"].units = "fortnights"
        if change == "levels":
            file["z"][:] = file["z"][:] + 50_000.0
    with pytest.raises(InputError, match=words):
        read_gridded(path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = write_grid(tmp_path / "v.nc", ramp())
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"v\.nc"):
        read_gridded(path)
