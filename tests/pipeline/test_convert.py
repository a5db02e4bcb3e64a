"""Files in other formats hold the same values, the same gaps, the right place, and where they came from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import helpers
import numpy as np
import pytest
import torch
import xarray as xr
from pyproj import Transformer
from typer.testing import CliRunner, Result

from nowcast.cli import app
from nowcast.errors import InputError, OutputError
from nowcast.io.atomic import atomic_folder, file_digest
from nowcast.io.forecasts import read_forecast, write_forecast
from nowcast.io.gaussians import read_windows, write_windows
from nowcast.io.odim_map import NODATA, QUANTITIES, UNDETECT
from nowcast.io.volumes import read_volumes, write_volumes
from nowcast.pipeline.convert import FORMATS
from nowcast.pipeline.describe import describe
from nowcast.pipeline.products import run_products
from nowcast.products import ProductConfig
from nowcast.products.files import write_products
from nowcast.radar.reader import read_sweeps
from nowcast.types import FittedWindow, Forecast, GaussianSequence, VolumeSequence

PRODUCTS = ProductConfig(names=("column_maximum", "echo_top", "rain_accumulation", "vil_density"))
HOME = "+proj=aeqd +lat_0=-27.6 +lon_0=152.5 +ellps=WGS84"


def convert(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["convert", *(str(a) for a in arguments)])


def made(*arguments: str | Path) -> dict[str, object]:
    """The answer of a conversion that succeeds."""
    done = convert(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def volumes() -> VolumeSequence:
    """Cells, a corner and some levels not observed."""
    seq = helpers.moving_cells(helpers.small_grid((6, 30, 36)))
    values = np.where(seq.values < 5, 0, seq.values).astype(np.float32)
    values[:, :, :, :6, :6] = np.nan
    values[:, :, :2, :, 30:] = np.nan
    return replace(seq, values=values, mask=np.isfinite(values[:, 0]), sources=("a.h5", "b.h5", "c.h5", "d.h5"))


def forecast(members: int = 1) -> Forecast:
    seq = volumes()
    values = np.repeat(seq.reflectivity[None], members, axis=0)
    leads = (np.arange(1, 5) * 600e9).astype("timedelta64[ns]")
    control = values[0] if members > 1 else None
    return Forecast(seq.times[0], leads, values, seq.grid, "test", {"version": "1", "model": "m"}, control)


@pytest.fixture
def products(tmp_path: Path) -> Path:
    write_products(forecast(), tmp_path / "p.nc", PRODUCTS, facts={"model": "m"}, history="made by hand")
    return tmp_path / "p.nc"


def opened(path: Path) -> xr.Dataset:
    engine = "zarr" if path.is_dir() else "netcdf4"
    with xr.open_dataset(path, engine=engine, decode_timedelta=True) as dataset:
        return dataset.load()


def test_the_source_is_not_written_over_by_a_name_in_braces(tmp_path: Path, products: Path) -> None:
    source = products.rename(tmp_path / "column_maximum.nc")
    before = source.read_bytes()
    done = convert(source, "-o", tmp_path / "{variable}.nc", "--variables", "column_maximum")
    assert done.exit_code == 2 and "would replace" in done.stderr and source.read_bytes() == before


# Zarr


def test_zarr_holds_what_the_netcdf_file_holds_and_goes_back(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    write_volumes(volumes(), tmp_path / "v.nc", facts={"version": "1"})
    write_forecast(forecast(3), tmp_path / "f.nc")
    for name in ("v", "f"):
        made(tmp_path / f"{name}.nc", "-o", tmp_path / f"{name}.zarr")
        made(tmp_path / f"{name}.zarr", "-o", tmp_path / f"{name}2.nc")
        there, back = (opened(tmp_path / f"{name}{end}") for end in (".nc", ".zarr"))
        xr.testing.assert_equal(back, there)
        meta = json.loads((tmp_path / f"{name}.zarr" / "zarr.json").read_text())
        assert meta["zarr_format"] == 3 and "reflectivity" in meta["consolidated_metadata"]["metadata"]
    again, first = read_volumes(tmp_path / "v2.nc"), read_volumes(tmp_path / "v.nc")
    np.testing.assert_array_equal(again.values, first.values)
    assert again.sources == first.sources and again.grid.matches(first.grid)
    ensemble = read_forecast(tmp_path / "f2.nc")
    np.testing.assert_array_equal(ensemble.values, read_forecast(tmp_path / "f.nc").values)
    assert ensemble.provenance["model"] == "m" and ensemble.control is not None


def test_gaussians_go_to_zarr_and_back_but_onto_no_map(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    seq, widths = volumes(), {"means": 3, "log_scales": 3, "quats": 4, "intensities": 1, "velocities": 3}
    tensors = {name: torch.rand(4, 5, width) for name, width in widths.items()}
    gaussians = GaussianSequence(**tensors, ids=torch.arange(5), times=seq.times, grid=seq.grid)
    write_windows([FittedWindow(gaussians, 2, "storm")], tmp_path / "g.nc")
    made(tmp_path / "g.nc", "-o", tmp_path / "g.zarr")
    made(tmp_path / "g.zarr", "-o", tmp_path / "again.nc")
    [first], [again] = read_windows(tmp_path / "g.nc"), read_windows(tmp_path / "again.nc")
    for name in (*widths, "ids"):
        torch.testing.assert_close(getattr(again.gaussians, name), getattr(first.gaussians, name), rtol=0, atol=0)
    done = convert(tmp_path / "g.nc", "-o", tmp_path / "g.tif")
    assert done.exit_code == 2 and "gaussians file holds no fields on a map" in done.stderr


def test_a_store_is_replaced_whole_and_only_a_store(tmp_path: Path, products: Path) -> None:
    pytest.importorskip("zarr")
    store = tmp_path / "p.zarr"
    made(products, "-o", store)
    made(products, "-o", store, "--variables", "column_maximum")
    assert set(opened(store).data_vars) == {"column_maximum", "projection"} and not (store / "echo_top").exists()
    before = opened(store)
    with pytest.raises(OutputError), atomic_folder(store, "zarr.json") as folder:
        (folder / "half").write_text("x")
        raise OSError("gone")
    xr.testing.assert_identical(opened(store), before)
    assert not list(tmp_path.glob(".*"))
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "file.zarr").touch()
    for name in ("mine", "file"):
        done = convert(products, "-o", tmp_path / f"{name}.zarr")
        assert done.exit_code == 3 and "zarr.json" in done.stderr


# GeoTIFF


def test_geotiff_has_each_plane_in_its_place_and_time(tmp_path: Path, products: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    answer = made(products, "-o", tmp_path / "{variable}.tif")
    assert len(answer["outputs"]) == 4  # type: ignore[arg-type]
    there = opened(products)
    with rasterio.open(tmp_path / "echo_top.tif") as file:
        assert file.count == 12 and file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        np.testing.assert_array_equal(file.read(), there["echo_top"].values.reshape(12, 30, 36)[:, ::-1])
        assert np.isnan(file.nodata) and file.crs.linear_units == "metre" and file.units[0] == "m"
        missing = there["echo_top"].isel(lead_time=0, echo_top_dbz=0).isnull().values[::-1]
        assert missing.any() and (there["echo_top"] == 0).any()
        np.testing.assert_array_equal(file.read_masks(1) == 0, missing)
        assert file.tags(6) == {
            "VALID_TIME": "2020-01-01T00:20:00Z", "LEAD_MINUTES": "20", "ECHO_TOP_DBZ": "45"
        }  # fmt: skip
        told = file.tags()
        assert told["TIFFTAG_DATETIME"] == "2020:01:01 00:10:00" and told["INIT_TIME"] == "2020-01-01T00:00:00Z"
        assert told["HISTORY"].splitlines()[0].split()[1] == "nowcast" and told["HISTORY"].endswith("made by hand")
        lon, lat = 152.71, -27.33
        east, north = Transformer.from_crs("EPSG:4326", HOME, always_xy=True).transform(lon, lat)
        here = Transformer.from_crs("EPSG:4326", file.crs, always_xy=True).transform(lon, lat)
        np.testing.assert_allclose(here, (east, north), atol=0.01)
        found = there["echo_top"].sel(x=east, y=north, method="nearest").values.ravel()
        np.testing.assert_array_equal(next(file.sample([here])), found)


def test_a_large_geotiff_has_overviews_without_zeros_for_what_is_missing(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    grid = helpers.small_grid((2, 700, 800), spacing_m=400.0)
    values = np.full((1, 2, 700, 800), 40.0, np.float32)
    values[:, :, :, :400] = np.nan
    seq = helpers.all_observed(np.full(values.shape, 40.0), grid)
    write_products(
        replace(seq, values=values[:, None], mask=np.isfinite(values)),
        tmp_path / "p.nc",
        ProductConfig(names=("column_maximum",)),
    )
    made(tmp_path / "p.nc", "-o", tmp_path / "p.tif")
    with rasterio.open(tmp_path / "p.tif") as file:
        assert file.overviews(1) == [2] and file.block_shapes == [(512, 512)]
    with rasterio.open(tmp_path / "p.tif", overview_level=0) as small:
        assert set(np.unique(small.read(1)[np.isfinite(small.read(1))])) == {40.0}
        assert np.isnan(small.read(1)).mean() == 0.5


def test_each_time_may_have_a_file_of_its_own(tmp_path: Path, products: Path) -> None:
    pytest.importorskip("rasterio")
    made(products, "-o", tmp_path / "maps" / "{variable}_{init}_{lead}.tif", "--variables", "column_maximum")
    stem = "column_maximum_20200101T000000Z_"
    assert sorted(p.name for p in (tmp_path / "maps").iterdir()) == [f"{stem}{m:03}.tif" for m in (10, 20, 30, 40)]
    made(products, "-o", tmp_path / "at-{time}.nc")
    assert opened(tmp_path / "at-20200101T003000Z.nc").sizes["lead_time"] == 1


# ODIM_H5


def test_odim_maps_tell_no_echo_from_not_observed(tmp_path: Path, products: Path) -> None:
    answer = made(products, "-o", tmp_path / "{time}.h5", "--odim-source", "ORG:247,CMT:test")
    assert answer["left_out"] == {"vil_density": "ODIM has no quantity for it"}
    there = opened(products).isel(lead_time=1)
    with h5py.File(tmp_path / "20200101T002000Z.h5") as file:
        assert file.attrs["Conventions"] == b"ODIM_H5/V2_4" and file["what"].attrs["object"] == b"COMP"
        assert file["what"].attrs["source"] == b"ORG:247,CMT:test" and file["what"].attrs["version"] == b"H5rad 2.4"
        assert (file["what"].attrs["date"], file["what"].attrs["time"]) == (b"20200101", b"002000")
        found = {(g["what"].attrs["prodname"], g["what"].attrs.get("prodpar", 0.0)): g for g in _datasets(file)}
        assert [g["what"].attrs["product"] for g in found.values()] == [b"MAX", b"ETOP", b"ETOP", b"ETOP", b"RR"]
        top, rain, strong = found[b"echo_top", 30.0], found[b"rain_accumulation", 0.0], found[b"column_maximum", 0.0]
        assert rain["what"].attrs["starttime"] == b"000000" and rain["what"].attrs["endtime"] == b"002000"
        for group in found.values():
            coding = group["data1/what"].attrs
            assert (coding["gain"], coding["offset"], coding["nodata"], coding["undetect"]) == (1, 0, NODATA, UNDETECT)
        _same(strong, there["column_maximum"].values, b"DBZH", 1.0)
        _same(top, there["echo_top"].sel(echo_top_dbz=30.0).values, b"HGHT", 1e-3)
        facts = json.loads(file["how"].attrs["provenance"])
        assert facts["model"] == "m" and facts["converted"]["input_sha256"] == {"p.nc": file_digest(products)}


def _datasets(file: h5py.File) -> list[h5py.Group]:
    return [file[f"dataset{k}"] for k in range(1, sum(name.startswith("dataset") for name in file) + 1)]


def _same(group: h5py.Group, values: np.ndarray, quantity: bytes, scale: float) -> None:
    stored = group["data1/data"][...][::-1]
    assert group["data1/what"].attrs["quantity"] == quantity
    np.testing.assert_array_equal(stored == NODATA, np.isnan(values))
    np.testing.assert_array_equal(stored == UNDETECT, values == 0)
    some = values > 0
    assert some.any() and (stored == UNDETECT).any() and (stored == NODATA).any()
    np.testing.assert_allclose(stored[some], values[some] * scale, rtol=1e-6)


@pytest.mark.parametrize("code", [None, "EPSG:4326", "EPSG:3857"])
def test_odim_corners_are_those_of_the_map(tmp_path: Path, products: Path, code: str | None) -> None:
    made(products, "-o", tmp_path / "{time}.h5", *(["--crs", code] if code else []))
    with h5py.File(tmp_path / "20200101T001000Z.h5") as file:
        where = dict(file["where"].attrs)
    there = Transformer.from_crs("EPSG:4326", where["projdef"].decode(), always_xy=True)
    corners = {c: there.transform(where[f"{c}_lon"], where[f"{c}_lat"]) for c in ("LL", "UL", "UR", "LR")}
    (west, south), (east, north) = corners["LL"], corners["UR"]
    np.testing.assert_allclose([*corners["UL"], *corners["LR"]], [west, north, east, south], rtol=1e-6)
    width, height = where["xsize"] * where["xscale"], where["ysize"] * where["yscale"]
    np.testing.assert_allclose([east - west, north - south], [width, height], rtol=1e-6)
    if code is None:
        np.testing.assert_allclose([west, north], [-45_000.0, 37_500.0], atol=0.01)


def test_odim_volumes_have_a_dataset_for_each_level(tmp_path: Path) -> None:
    write_volumes(volumes(), tmp_path / "v.nc")
    made(tmp_path / "v.nc", "-o", tmp_path / "v-{time}.h5")
    path = tmp_path / "v-20200101T001000Z.h5"
    with h5py.File(path) as file:
        assert file["what"].attrs["object"] == b"CVOL" and file["where"].attrs["zsize"] == 6
        levels = [group["what"].attrs["prodpar"] for group in _datasets(file)]
        assert levels == [1000.0, 2000.0, 3000.0, 4000.0, 5000.0, 6000.0]
        np.testing.assert_array_equal(file["where"].attrs["zbottom"], np.array(levels) - 500.0)
        _same(file["dataset1"], read_volumes(tmp_path / "v.nc").reflectivity[1, 0], b"DBZH", 1.0)
    with pytest.raises(InputError, match="a Cartesian volume, not a polar volume"):
        read_sweeps(path)


def test_wradlib_reads_the_odim_files(tmp_path: Path, products: Path) -> None:
    io = pytest.importorskip("wradlib.io", exc_type=ImportError)
    made(products, "-o", tmp_path / "{time}.h5", "--variables", "column_maximum")
    read = io.read_opera_hdf5(str(tmp_path / "20200101T001000Z.h5"))
    assert read["where"]["xsize"] == 36 and read["dataset1/what"]["product"] == b"MAX"
    np.testing.assert_array_equal(
        read["dataset1/data1/data"] == NODATA, opened(products)["column_maximum"].isnull()[0, ::-1]
    )


# Another map, and where it came from


def test_a_reprojected_file_is_told_apart_and_tells_its_way(tmp_path: Path, products: Path) -> None:
    bounds = "--bounds=152.2,-27.8,152.8,-27.4"
    made(products, "-o", tmp_path / "ll.nc", "--crs", "EPSG:4326", "--spacing", "0.02", bounds)
    found = opened(tmp_path / "ll.nc")
    assert found["column_maximum"].dims == ("lead_time", "lat", "lon") and found.sizes["lon"] == 30
    facts = json.loads(found.attrs["provenance"])
    assert facts["converted"]["crs"] == "EPSG:4326" and facts["model"] == "m"
    assert found.attrs["history"].splitlines()[0].split(" ", 1)[1].startswith("nowcast")
    assert found.attrs["history"].endswith("made by hand")
    told = describe(tmp_path / "ll.nc")
    assert told["format"] == "reprojected" and told["geographic_crs_name"] == "WGS 84" and len(told["times"]) == 4
    with pytest.raises(InputError, match="reprojected"):
        read_forecast(tmp_path / "ll.nc")
    made(tmp_path / "ll.nc", "-o", tmp_path / "ll-{time}.h5", "--variables", "column_maximum")
    assert (tmp_path / "ll-20200101T001000Z.h5").is_file()


def test_a_forecast_on_another_map_keeps_its_levels_and_packing(tmp_path: Path) -> None:
    write_forecast(forecast(2), tmp_path / "f.nc")
    made(tmp_path / "f.nc", "-o", tmp_path / "g.nc", "--crs", "EPSG:3577", "--method", "bilinear")
    found = opened(tmp_path / "g.nc")
    assert found["reflectivity"].dims == ("member", "lead_time", "z", "y", "x")
    assert found["reflectivity"].encoding["dtype"] == np.int16 and found["z"].attrs["units"] == "m"
    assert found["reflectivity"].isnull().any() and float(found["reflectivity"].max()) > 30


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-o", "p.png"], ".tif (GeoTIFF)"),
        (["-o", "p.tif"], "p-{variable}.tif"),
        (["-o", "p.h5"], "p-{time}.h5"),
        (["-o", "{product}.tif"], "{variable}.tif"),
        (["-o", "p{.tif"], "p{.tif"),
        (["-o", "{time}.tif"], "{variable}"),
        (["-o", "p.nc"], "replace what it is made from"),
        (["-o", "q.nc", "--variables", "echotop"], "did you mean echo_top?"),
        (["-o", "{time}.h5", "--variables", "vil_density"], "ODIM has no quantity for it"),
        (["-o", "q.nc", "--spacing", "1000"], "give --crs too"),
        (["-o", "q.nc", "--crs", "EPSG:1"], "such as EPSG:4326"),
        (["-o", "q.nc", "--crs", "EPSG:4326", "--bounds", "1,2,3"], "expected W,S,E,N"),
        (["-o", "q.nc", "--crs", "EPSG:4326", "--method", "cubic"], "nearest or bilinear"),
        (["-o", "q.nc", "--crs", "EPSG:4326", "--spacing", "1e-7"], "another --spacing"),
    ],
)
def test_senseless_calls_are_told_and_leave_no_file(
    tmp_path: Path, products: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = convert("p.nc", *options)
    assert done.exit_code == 2 and told in done.stderr, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["p.nc"]


def test_volumes_are_no_geotiff_and_probabilities_no_odim(tmp_path: Path) -> None:
    write_forecast(forecast(2), tmp_path / "f.nc")
    done = convert(tmp_path / "f.nc", "-o", tmp_path / "f.tif", "--variables", "reflectivity")
    assert done.exit_code == 2 and "nowcast products" in done.stderr
    done = convert(tmp_path / "f.nc", "-o", tmp_path / "{time}.h5", "--variables", "reflectivity")
    assert done.exit_code == 2 and "no place for each member" in done.stderr


def test_what_is_none_of_our_files_is_told(tmp_path: Path, products: Path) -> None:
    whole = products.read_bytes()
    (tmp_path / "half.nc").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.nc").write_text("hello")
    xr.Dataset({"a": 1}).to_netcdf(tmp_path / "foreign.nc")
    for name, told in {"half": "", "text": "", "foreign": "nowcast grid", "none": "does not exist"}.items():
        done = convert(tmp_path / f"{name}.nc", "-o", tmp_path / "out.nc")
        assert done.exit_code == 3 and f"{name}.nc" in done.stderr and told in done.stderr, done.stderr
    done = convert(tmp_path, "-o", tmp_path / "out.nc")
    assert done.exit_code == 3 and "is a folder" in done.stderr


@pytest.mark.parametrize("command", ["products", "grid", "forecast", "fit"])
def test_other_commands_say_how_to_get_another_format(tmp_path: Path, command: str) -> None:
    write_volumes(volumes(), tmp_path / "v.nc")
    done = CliRunner().invoke(app, [command, str(tmp_path / "v.nc"), "-o", str(tmp_path / "x.tif")])
    assert done.exit_code == 2 and "nowcast convert x.nc -o x.tif" in done.stderr


def test_a_real_storm_lies_where_it_was(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    newest = sorted(helpers.real_data("cpol_20051113_morning_grid").glob("*.nc"))[-1]
    run_products(newest, tmp_path / "p.nc", ProductConfig(names=("column_maximum",)))
    made(tmp_path / "p.nc", "-o", tmp_path / "p.tif", "--crs", "EPSG:4326")
    with xr.open_dataset(newest) as grid:
        strongest = grid["reflectivity"].sel(z=slice(1000, 15000)).max("z").squeeze()
        at = strongest.where(strongest == strongest.max(), drop=True)
        origin = f"+proj=aeqd +lat_0={grid.origin_latitude.item()} +lon_0={grid.origin_longitude.item()} +ellps=WGS84"
    lon, lat = Transformer.from_crs(origin, "EPSG:4326", always_xy=True).transform(float(at.x[0]), float(at.y[0]))
    with rasterio.open(tmp_path / "p.tif") as file:
        [value] = next(file.sample([(lon, lat)]))
        assert value == pytest.approx(float(strongest.max()), abs=0.01)


def test_the_docs_tell_of_every_format_and_quantity() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text()
    assert all(f"`{suffix}` |" in text for suffix in FORMATS if suffix != ".tiff")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    told = {name.strip("`| "): row[1:3] for row in rows for name in row[0].split(", ")}
    assert told == {name: [quantity.name, quantity.product] for name, quantity in QUANTITIES.items()}


def test_what_thousands_of_inputs_tell_fits_into_each_format(tmp_path: Path) -> None:
    facts = {"input_sha256": {f"volume_{k:04}.h5": "0123456789abcdef" * 4 for k in range(1500)}}
    write_products(forecast(), tmp_path / "p.nc", ProductConfig(names=("column_maximum",)), facts=facts)
    made(tmp_path / "p.nc", "-o", tmp_path / "{time}.h5")
    with h5py.File(tmp_path / "20200101T001000Z.h5") as file:
        assert json.loads(file["how"].attrs["provenance"])["input_sha256"] == facts["input_sha256"]
    rasterio = pytest.importorskip("rasterio")
    pytest.importorskip("zarr")
    made(tmp_path / "p.nc", "-o", tmp_path / "p.zarr")
    assert json.loads(opened(tmp_path / "p.zarr").attrs["provenance"])["input_sha256"] == facts["input_sha256"]
    made(tmp_path / "p.nc", "-o", tmp_path / "p.tif")
    with rasterio.open(tmp_path / "p.tif") as file:
        assert json.loads(file.tags()["PROVENANCE"])["input_sha256"] == facts["input_sha256"]
