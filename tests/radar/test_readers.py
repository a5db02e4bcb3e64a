"""CfRadial and UF through Py-ART; what Py-ART leaves to xradar; what is refused."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from radar_files import SITE, START, polar_volume, storm

from nowcast.errors import InputError
from nowcast.fields import ALIASES, find_field
from nowcast.radar import NO_ECHO_DBZ, PolarVolume, read_volume, sniff
from nowcast.radar.polar import ordered, plausible_site
from nowcast.radar.reader import read_volume_head

FEW = (0.5, 2.0, 4.0)


def py_art_radar(volume: PolarVolume, scan_type: str = "ppi", field: str = "DBZ") -> Any:
    """The volume as a Py-ART radar."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyart

        rays = len(volume.sweeps[0].azimuth_deg)
        gates = volume.sweeps[0].reflectivity.shape[1]
        radar = pyart.testing.make_empty_ppi_radar(gates, rays, len(volume.sweeps))
    radar.scan_type = scan_type
    radar.range["data"] = volume.sweeps[0].range_m.astype(np.float32)
    radar.range["meters_to_center_of_first_gate"] = volume.sweeps[0].first_gate_m
    radar.range["meters_between_gates"] = volume.sweeps[0].gate_m
    radar.azimuth["data"] = np.concatenate([s.azimuth_deg for s in volume.sweeps])
    radar.elevation["data"] = np.repeat(np.array(volume.elevations_deg, np.float32), rays)
    radar.fixed_angle["data"] = np.array(volume.elevations_deg, np.float32)
    radar.time["data"] = np.arange(rays * len(volume.sweeps)) * 0.05
    radar.time["units"] = f"seconds since {np.datetime_as_string(volume.time, unit='s')}Z"
    place = {"latitude": volume.site.lat, "longitude": volume.site.lon, "altitude": volume.site.alt}
    for name, value in place.items():
        getattr(radar, name)["data"] = np.array([value])
    radar.metadata["instrument_name"] = volume.radar
    dbz = np.concatenate([s.reflectivity for s in volume.sweeps])
    values = np.ma.masked_less(dbz, -90)
    radar.fields = {field: {"data": values, "units": "dBZ", "_FillValue": -9999.0}}
    return radar


def write(kind: str, radar: Any, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyart

        writers = {"cfradial": pyart.io.write_cfradial, "uf": pyart.io.write_uf}
        writers[kind](str(path), radar)
    return path


@pytest.mark.parametrize("kind", ["cfradial", "uf"])
def test_a_volume_comes_back(tmp_path: Path, kind: str) -> None:
    made = polar_volume(storm(), elevations=FEW, gates=100)
    name = "DBZ" if kind == "cfradial" else "reflectivity"
    path = write(kind, py_art_radar(made, field=name), tmp_path / "volume.bin")
    assert sniff(path) == kind
    read = read_volume(path)
    assert read.time == START
    assert read.site.distance_m(SITE) < 60.0
    assert read.site.alt == pytest.approx(SITE.alt, abs=0.6)
    assert read.elevations_deg == pytest.approx(FEW, abs=0.02)
    for ours, theirs in zip(read.sweeps, made.sweeps, strict=True):
        echo = theirs.reflectivity > NO_ECHO_DBZ
        np.testing.assert_array_equal(ours.reflectivity > NO_ECHO_DBZ, echo)
        np.testing.assert_allclose(ours.reflectivity[echo], theirs.reflectivity[echo], atol=0.02)
        np.testing.assert_allclose(ours.azimuth_deg, theirs.azimuth_deg, atol=0.02)


@pytest.mark.parametrize("kind", ["cfradial", "uf"])
def test_the_header_agrees_with_the_volume(tmp_path: Path, kind: str) -> None:
    made = polar_volume(storm(), elevations=FEW, gates=50)
    name = "DBZ" if kind == "cfradial" else "reflectivity"
    path = write(kind, py_art_radar(made, field=name), tmp_path / "volume.bin")
    head, volume = read_volume_head(path), read_volume(path)
    assert (head.time, head.radar, head.site) == (volume.time, volume.radar, volume.site)


def test_rays_of_different_length(tmp_path: Path) -> None:
    """CfRadial may store the gates of all rays in a row; what a ray does not have was not observed."""
    import netCDF4

    lengths = np.repeat([30, 20], 36)
    path = tmp_path / "ragged.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.instrument_name = "RAGGED"
        file.time_coverage_start = "2020-01-01T00:00:00Z"
        sizes = {"time": 72, "range": 30, "sweep": 2, "n_points": int(lengths.sum())}
        for name, size in sizes.items():
            file.createDimension(name, size)

        def put(name: str, dims: tuple[str, ...], values: Any) -> None:
            file.createVariable(name, np.asarray(values).dtype, dims)[:] = values

        put("time", ("time",), np.arange(72) * 0.5)
        file["time"].units = "seconds since 2020-01-01T00:00:00Z"
        put("range", ("range",), 500.0 + 1000.0 * np.arange(30))
        put("azimuth", ("time",), np.tile(np.arange(36) * 10.0, 2))
        put("elevation", ("time",), np.repeat([1.0, 3.0], 36))
        put("fixed_angle", ("sweep",), [1.0, 3.0])
        put("sweep_start_ray_index", ("sweep",), [0, 36])
        put("sweep_end_ray_index", ("sweep",), [35, 71])
        put("ray_n_gates", ("time",), lengths)
        put("ray_start_index", ("time",), np.concatenate([[0], np.cumsum(lengths)[:-1]]))
        for name, value in (("latitude", 10.0), ("longitude", 20.0), ("altitude", 30.0)):
            put(name, (), value)
        put("DBZ", ("n_points",), np.concatenate([np.arange(n, dtype=np.float32) for n in lengths]))
    volume = read_volume(path)
    assert [s.reflectivity.shape for s in volume.sweeps] == [(36, 30), (36, 20)]
    np.testing.assert_array_equal(volume.sweeps[1].reflectivity[5], np.arange(20))
    assert volume.sweeps[1].time == START + np.timedelta64(18, "s")


def test_vertical_sections_are_refused_in_one_sentence(tmp_path: Path) -> None:
    radar = py_art_radar(polar_volume(storm(), elevations=FEW, gates=50), scan_type="rhi")
    radar.sweep_mode["data"] = np.array(["rhi"] * len(FEW))
    path = write("cfradial", radar, tmp_path / "rhi.nc")
    with pytest.raises(InputError, match=r"vertical sections \(RHI\) only") as caught:
        read_volume(path)
    assert "\n" not in str(caught.value)


def test_a_volume_without_reflectivity_names_its_fields(tmp_path: Path) -> None:
    radar = py_art_radar(polar_volume(storm(), elevations=FEW, gates=50), field="velocity_texture")
    path = write("cfradial", radar, tmp_path / "v.nc")
    with pytest.raises(InputError, match="no reflectivity among its fields velocity_texture"):
        read_volume(path)


def test_a_damaged_iris_file_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "damaged.RAW"
    path.write_bytes(struct.pack("<hhi hh", 27, 8, 3145728, 0, 0) + struct.pack("<h", 26) + b"\1" * 9000)
    assert sniff(path) == "iris"
    with pytest.raises(InputError, match=r"damaged\.RAW cannot be read as iris"):
        read_volume(path)


def test_a_damaged_rainbow_file_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "damaged.vol"
    path.write_bytes(b'<volume version="5.22.6" datetime="2020-01-01T00:00:00Z" type="vol"><scan>')
    with pytest.raises(InputError, match="cannot be read as rainbow"):
        read_volume(path)


def test_every_quantity_is_found_under_its_names() -> None:
    for quantity, aliases in ALIASES.items():
        for alias in aliases:
            assert find_field([alias, "other"], quantity) == alias
    assert find_field(["dbzh"], "reflectivity") == "dbzh"
    assert find_field(["nothing"], "reflectivity") is None
    assert find_field(["TH", "DBZH"], "reflectivity") == "DBZH"


def test_rays_are_sorted_and_repeated_ones_dropped() -> None:
    rows = np.arange(5, dtype=np.float32)[:, None] * np.ones((1, 3), np.float32)
    sweep = ordered(1.0, np.array([10.0, 370.0, 5.0, np.nan, 359.9]), 500.0, 1000.0, {"reflectivity": rows})
    assert sweep.azimuth_deg == pytest.approx([5.0, 10.0, 359.9])
    assert sweep.reflectivity[:, 0].tolist() == [2.0, 0.0, 4.0]


@pytest.mark.parametrize(
    "place", [(-999.0, -999.0, -999.0), (0.0, 0.0, 0.0), (float("nan"), 1.0, 1.0), (10.0, 10.0, -999.0)]
)
def test_ways_to_say_that_the_position_is_unknown(place: tuple[float, float, float]) -> None:
    assert plausible_site(*place) is None


def test_longitudes_are_brought_to_half_a_circle() -> None:
    site = plausible_site(10.0, 284.7, 20.0)
    assert site is not None
    assert site.lon == pytest.approx(-75.3)
