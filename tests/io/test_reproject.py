"""Fields on another map: where a point goes, and that missing and no echo stay what they are."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from pyproj import Transformer

from nowcast.errors import UsageError
from nowcast.io import cf
from nowcast.io.reproject import METHODS, Plan, parse_crs, reproject
from nowcast.types import GridSpec

CODES = ("EPSG:4326", "EPSG:3857", "EPSG:32756", "EPSG:3577")


def plane(values: np.ndarray, lat: float = -27.6, lon: float = 152.5, spacing: float = 2500.0) -> xr.Dataset:
    """One field ``[Y, X]`` of dBZ around a place."""
    ny, nx = values.shape
    first = (0.0, -spacing * (ny - 1) / 2, -spacing * (nx - 1) / 2)
    grid = GridSpec(lat, lon, (1, ny, nx), first, (500.0, spacing, spacing))
    axes = {name: axis for name, axis in cf.grid_coordinates(grid).items() if name != "z"}
    variables = {"dbz": (("y", "x"), values.astype(np.float32), {"units": "dBZ"}), "projection": cf.grid_mapping(grid)}
    return xr.Dataset(variables, axes, {"nowcast_kind": "products"})


def places(found: xr.Dataset, code: str, lat: float = -27.6, lon: float = 152.5) -> tuple[np.ndarray, np.ndarray]:
    """Where the cells of a dataset lie on the first map, by pyproj alone: metres east and north."""
    names = ("lon", "lat") if "lon" in found.coords else ("x", "y")
    home = f"+proj=aeqd +lat_0={lat} +lon_0={lon} +ellps=WGS84"
    back = Transformer.from_crs(code, home, always_xy=True)
    x, y = back.transform(*np.meshgrid(*(found[name].values for name in names)))
    return np.asarray(x), np.asarray(y)


@pytest.mark.parametrize("code", CODES)
def test_a_linear_field_comes_out_exactly(code: str) -> None:
    y, x = np.meshgrid(np.arange(60.0), np.arange(70.0), indexing="ij")
    source = plane(20 + 0.2 * x + 0.1 * y)
    plan = Plan.of(source)
    found = reproject(source, plan.on(parse_crs(code)), "bilinear")
    east, north = places(found, code)
    column, row = (east - plan.x[0]) / 2500, (north - plan.y[0]) / 2500
    within = (column > 0) & (column < 69) & (row > 0) & (row < 59)
    assert within.sum() > 3500
    np.testing.assert_allclose(found["dbz"].values[within], (20 + 0.2 * column + 0.1 * row)[within], atol=2e-4)
    beyond = (column < -0.5) | (column > 69.5) | (row < -0.5) | (row > 59.5)
    np.testing.assert_array_equal(found["dbz"].isnull().values, beyond)


@pytest.mark.parametrize("method", METHODS)
def test_echo_is_not_thinned_and_missing_neither_grows_nor_fills(method: str) -> None:
    values = np.zeros((60, 70))
    values[20:40, 20:45] = 40.0
    values[:25, :30] = np.nan
    source = plane(values)
    target = Plan.of(source).on(parse_crs("EPSG:3577"), 900.0)
    found, nearest = (reproject(source, target, m)["dbz"].values for m in (method, "nearest"))
    assert set(np.unique(found[np.isfinite(found)])) == {0.0, 40.0}, "no value between echo and none"
    np.testing.assert_array_equal(found, nearest)


def test_nearest_is_what_gdal_does() -> None:
    rasterio = pytest.importorskip("rasterio")
    warp = pytest.importorskip("rasterio.warp")
    source = plane(np.random.default_rng(0).uniform(0, 60, (80, 90)))
    plan = Plan.of(source)
    target = plan.on(parse_crs("EPSG:4326"), 0.01)
    found = reproject(source, target)["dbz"].values
    frames = [rasterio.Affine(p.spacing[1], 0, p.edges[0], 0, -p.spacing[0], p.edges[3]) for p in (plan, target)]
    theirs = np.full_like(found, np.nan)
    warp.reproject(
        source["dbz"].values[::-1],
        theirs,
        src_transform=frames[0],
        src_crs=rasterio.crs.CRS.from_user_input(plan.crs),
        dst_transform=frames[1],
        dst_crs="EPSG:4326",
        src_nodata=np.nan,
        dst_nodata=np.nan,
    )
    east, north = places(reproject(source, target), "EPSG:4326")
    column, row = (east - plan.x[0]) / 2500, (north - plan.y[0]) / 2500
    clear = (np.abs(column % 1 - 0.5) > 0.1) & (np.abs(row % 1 - 0.5) > 0.1)  # GDAL places cells to a part of one
    assert clear.mean() > 0.5
    np.testing.assert_array_equal(found[clear], theirs[::-1][clear])


def test_levels_times_and_other_variables_stay() -> None:
    source = plane(np.ones((20, 30)))
    deep = source["dbz"].expand_dims(time=3, z=4).copy()
    whole = source.drop_vars("dbz").assign(
        dbz=deep, coverage=(source["dbz"] > 0).astype("int8"), files=("time", [*"abc"])
    )
    found = reproject(whole, Plan.of(source).on(parse_crs("EPSG:4326")))
    assert found["dbz"].dims == ("time", "z", "lat", "lon") and found["dbz"].attrs == source["dbz"].attrs
    assert found["coverage"].dtype == np.int8 and list(found["files"].values) == ["a", "b", "c"]
    assert found["projection"].attrs["grid_mapping_name"] == "latitude_longitude"
    again = Plan.of(found)
    assert again.crs.to_epsg() == 4326 and again.x.size == found.sizes["lon"]


def test_longitudes_go_on_beyond_the_date_line() -> None:
    source = plane(np.full((40, 40), 30.0), lat=-17.8, lon=179.9)
    found = reproject(source, Plan.of(source).on(parse_crs("EPSG:4326")))
    lon = found["lon"].values
    assert lon[0] < 179.9 < 180.2 < lon[-1] and (np.diff(lon) > 0).all() and found.sizes["lon"] < 80
    assert found["dbz"].notnull().mean() > 0.9


def test_spacing_and_edges_follow_what_is_asked_for() -> None:
    source = Plan.of(plane(np.ones((40, 40))))
    assert source.on(parse_crs("EPSG:4326")).spacing == pytest.approx((0.022, 0.022))
    exact = source.on(parse_crs("EPSG:4326"), 0.05, (152.0, -28.0, 153.0, -27.0))
    assert (exact.y.size, exact.x.size) == (20, 20)
    np.testing.assert_allclose(exact.edges, (152.0, -28.0, 153.0, -27.0))


@pytest.mark.parametrize("code", ["EPSG:99999", "nonsense", "EPSG:4978", "EPSG:5773"])
def test_what_is_no_map_is_refused(code: str) -> None:
    with pytest.raises(UsageError, match="--crs"):
        parse_crs(code)


@pytest.mark.parametrize("code", ["EPSG:27700", "EPSG:32631", "EPSG:3413"])
def test_a_map_of_elsewhere_is_refused(code: str) -> None:
    with pytest.raises(UsageError, match=r"is made for .* -27.8 to -27.4 degrees north, 152.2 to 152.8 east"):
        Plan.of(plane(np.ones((20, 20)))).on(parse_crs(code))


def test_the_next_zone_will_do() -> None:
    for code in ("EPSG:32755", "EPSG:32756", "EPSG:32757"):
        assert Plan.of(plane(np.ones((20, 20)))).on(parse_crs(code)).spacing == pytest.approx((2500, 2500), rel=0.05)
    with pytest.raises(UsageError):
        Plan.of(plane(np.ones((20, 20)))).on(parse_crs("EPSG:32754"))


def test_maps_that_cross_the_date_line_are_maps_of_both_sides() -> None:
    for lon in (178.5, -178.5):
        assert Plan.of(plane(np.ones((20, 20)), lat=-17.8, lon=lon)).on(parse_crs("EPSG:3832")).x.size > 15
    with pytest.raises(UsageError, match="is made for"):
        Plan.of(plane(np.ones((20, 20)), lat=-41.0, lon=10.0)).on(parse_crs("EPSG:2193"))


def test_a_grid_without_sense_is_refused() -> None:
    plan, code = Plan.of(plane(np.ones((20, 20)))), parse_crs("EPSG:4326")
    for spacing, bounds in ((-1.0, None), (1e-6, None), (0.1, (153.0, -28.0, 152.0, -27.0)), (float("nan"), None)):
        with pytest.raises(UsageError):
            plan.on(code, spacing, bounds)
