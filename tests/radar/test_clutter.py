"""Static clutter maps: learnt, stored, applied, and refused for another radar."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from radar_files import SITE, START, ground_clutter, nothing, polar_volume, storm

from nowcast.errors import InputError
from nowcast.radar import NO_ECHO_DBZ, PolarVolume, Site
from nowcast.radar.clutter import ClutterMap, learn_clutter, read_clutter_map, write_clutter_map
from nowcast.radar.quality import clean


def dry_volumes(count: int = 5) -> list[PolarVolume]:
    """The same ground each time, with a little noise, ten minutes apart."""
    rng = np.random.default_rng(9)
    volumes = []
    for k in range(count):
        volume = ground_clutter(polar_volume(nothing, gates=100))
        sweeps = []
        for sweep in volume.sweeps:
            dbz = sweep.reflectivity
            noisy = np.where(dbz > NO_ECHO_DBZ, dbz + rng.normal(0, 1, dbz.shape), dbz)
            sweeps.append(sweep.with_reflectivity(noisy.astype(np.float32)))
        volumes.append(replace(volume.with_sweeps(sweeps), time=START + np.timedelta64(10 * k, "m")))
    return volumes


@pytest.fixture(scope="module")
def learnt() -> ClutterMap:
    return learn_clutter(dry_volumes())


def test_volumes_are_learnt_one_at_a_time_and_not_kept() -> None:
    """An archive of dry days is larger than the memory."""
    made: list[weakref.ref[np.ndarray]] = []

    def one_by_one() -> Iterator[PolarVolume]:
        for k in range(4):
            assert k < 2 or made[0]() is None
            volume = polar_volume(nothing, gates=100, time=START + np.timedelta64(k, "m"))
            made.append(weakref.ref(volume.sweeps[0].reflectivity))
            yield volume

    assert len(learn_clutter(one_by_one()).times) == 4


def test_the_map_knows_where_the_ground_is(learnt: ClutterMap) -> None:
    volume = dry_volumes(1)[0]
    assert len(learnt.sweeps) == len(volume.sweeps)
    for known, sweep in zip(learnt.sweeps, volume.sweeps, strict=True):
        there = sweep.reflectivity > 5.0
        assert (known.frequency[there] == 1.0).all()
        assert (known.frequency[~there & (sweep.reflectivity <= NO_ECHO_DBZ)] == 0.0).all()
    assert learnt.times[-1] == START + np.timedelta64(40, "m")


def test_clutter_that_passes_for_rain_is_known_by_the_map() -> None:
    """A smooth patch of sea echo has the texture of rain: only the map can tell."""

    def sea(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        near = ((x - 30e3) ** 2 + y**2 < 10e3**2) & (z < 4000.0)
        return np.where(near, 30.0, NO_ECHO_DBZ)

    dry = [replace(polar_volume(sea, gates=100), time=START + np.timedelta64(k, "m")) for k in range(4)]
    learnt = learn_clutter(dry)
    assert (clean(dry[0]).sweeps[0].reflectivity >= 20.0).sum() > 100
    assert (clean(dry[0], learnt).sweeps[0].reflectivity >= 20.0).sum() == 0


def test_a_storm_over_known_clutter_stays(learnt: ClutterMap) -> None:
    clear = polar_volume(storm(x0=30e3, y0=0.0), gates=100)
    cleaned = clean(ground_clutter(clear), learnt)
    core = clear.sweeps[0].reflectivity >= 35.0
    error = np.abs(cleaned.sweeps[0].reflectivity - clear.sweeps[0].reflectivity)[core]
    assert error.max() < 15.0
    assert np.median(error) < 1.5


def test_a_map_survives_its_file(learnt: ClutterMap, tmp_path: Path) -> None:
    path = tmp_path / "map.nc"
    write_clutter_map(learnt, path, "made by a test")
    read = read_clutter_map(path)
    assert (read.site, read.radar, read.min_frequency, read.margin_db) == (SITE, "TEST", 0.3, 5.0)
    np.testing.assert_array_equal(read.times, learnt.times)
    for ours, theirs in zip(read.sweeps, learnt.sweeps, strict=True):
        assert ours.elevation_deg == theirs.elevation_deg
        assert (ours.first_gate_m, ours.gate_m) == (theirs.first_gate_m, theirs.gate_m)
        np.testing.assert_array_equal(ours.frequency, theirs.frequency)
        np.testing.assert_array_equal(ours.level_dbz, theirs.level_dbz)


def test_a_map_file_opens_with_plain_xarray(learnt: ClutterMap, tmp_path: Path) -> None:
    import xarray as xr

    path = tmp_path / "map.nc"
    write_clutter_map(learnt, path)
    with xr.open_dataset(path, group="sweep_0") as sweep:
        assert sweep["frequency"].dims == ("azimuth", "range")


def test_rays_at_other_azimuths_use_the_nearest(learnt: ClutterMap) -> None:
    sweep = dry_volumes(1)[0].sweeps[0]
    turned = replace(sweep, azimuth_deg=(sweep.azimuth_deg + 0.3).astype(np.float32))
    np.testing.assert_array_equal(learnt.flags(turned), learnt.flags(sweep))


def test_the_map_of_another_radar_is_refused(learnt: ClutterMap) -> None:
    volume = polar_volume(storm(), gates=100, site=Site(-27.0, 152.5, 100.0))
    with pytest.raises(InputError, match="the clutter map is of radar TEST"):
        clean(volume, learnt)


def test_the_map_of_another_scan_is_refused(learnt: ClutterMap) -> None:
    volume = polar_volume(storm(), gates=400, gate_m=250.0)
    with pytest.raises(InputError, match="other sweeps"):
        clean(volume, learnt)


def test_sweeps_that_the_map_lacks_are_left_alone(learnt: ClutterMap) -> None:
    volume = polar_volume(storm(), elevations=(0.5, 45.0), gates=100)
    assert not learnt.flags(volume.sweeps[1]).any()


def test_a_map_needs_three_volumes() -> None:
    with pytest.raises(InputError, match="at least 3 dry volumes, got 2"):
        learn_clutter(dry_volumes(2))


def test_volumes_of_two_radars_make_no_map() -> None:
    volumes = dry_volumes(3)
    with pytest.raises(InputError, match="is of a radar at"):
        learn_clutter([*volumes, replace(volumes[0], site=Site(0.0, 0.0, 0.0))])


@pytest.mark.parametrize("kind", ["none", "text", "other"])
def test_what_is_no_map_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "map.nc"
    if kind == "text":
        path.write_text("no map")
    elif kind == "other":
        import netCDF4

        netCDF4.Dataset(path, "w").close()
    with pytest.raises(InputError, match=r"map\.nc"):
        read_clutter_map(path)
