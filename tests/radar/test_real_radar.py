"""Real volumes of many radars: read, cleaned and gridded as a forecaster would want them."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from helpers import real_data

from nowcast.errors import InputError
from nowcast.pipeline.inputs import load_sequence
from nowcast.radar import PolarVolume, Site, read_volume
from nowcast.radar.gridding import GridConfig, grid_volume
from nowcast.radar.quality import clean
from nowcast.types import Float32

MARBURG = Site(-27.608, 152.539, 372.0)


def composite(volume: PolarVolume) -> Float32:
    """``[Y, X]`` strongest reflectivity of each column on the default grid, 0 where nothing was observed."""
    values, _ = grid_volume(volume, GridConfig().around(volume.site))
    return np.nan_to_num(values, nan=0.0).max(axis=0)


def brisbane(clock: str) -> PolarVolume:
    return read_volume(real_data("brisbane_20051127_odim", f"50_20051127_{clock}.h5"), site=MARBURG)


@pytest.mark.parametrize(
    ("name", "kind", "radar", "sweeps", "peak"),
    [
        ("KLBB20160601_150025_V06", "nexrad", "KLBB", 9, 59.5),
        ("KTLX19910605_162126.gz", "nexrad", "KTLX", 9, 66.0),
        ("KLIX20050828_180149.gz", "nexrad", "KLIX", 14, 54.0),
        ("40_20181220_061230.pvol.h5", "odim", "AU40", 14, 67.3),
        ("66_20141127_190037.pvol.h5", "odim", "AU66", 14, 67.0),
        ("IDR66_20141206_094829.vol.h5", "odim", "AU66", 14, 62.0),
        ("T_PAGZ35_C_ENMI_20170421090837.hdf", "odim", "norst", 6, 51.0),
        ("cfrad.20080411_181143_KHTX_SUR.nc", "cfradial", "KHTX", 14, 69.0),
        ("cor-main131125105503.RAW2049", "iris", "Corozal, Radar", 10, 58.0),
        ("sample_rainbow_5_59.vol", "rainbow", "BEWID", 11, 59.5),
    ],
)
def test_every_format_reads_and_grids(name: str, kind: str, radar: str, sweeps: int, peak: float) -> None:
    volume = read_volume(real_data("single_volumes", name))
    assert (volume.format, volume.radar, len(volume.sweeps), volume.defect) == (kind, radar, sweeps, "")
    assert max(float(np.nanmax(s.reflectivity)) for s in volume.sweeps) == pytest.approx(peak, abs=0.6)
    raw, cleaned = composite(volume), composite(clean(volume))
    assert raw.max() > 25.0
    # Most of these radars filter clutter themselves: what is strong is weather, and has to stay.
    assert (cleaned >= 30.0).sum() >= 0.93 * (raw >= 30.0).sum()


@pytest.mark.filterwarnings("ignore")  # Py-ART warns when it is imported
def test_nexrad_agrees_with_py_art() -> None:
    path = real_data("khtx_20080411_nexrad", "KHTX20080411_183137.gz")
    pyart = pytest.importorskip("pyart")
    volume = read_volume(path)
    theirs = pyart.io.read_nexrad_archive(str(path), station="KHTX", linear_interp=False)
    assert volume.site.lat == pytest.approx(float(theirs.latitude["data"][0]))
    assert volume.site.lon == pytest.approx(float(theirs.longitude["data"][0]))
    for sweep, index in zip(volume.sweeps[:3], (0, 2, 4), strict=True):  # split cuts below
        rays = theirs.get_slice(index)
        order = np.argsort(theirs.azimuth["data"][rays])
        dbz = theirs.fields["reflectivity"]["data"][rays][order]
        np.testing.assert_allclose(sweep.azimuth_deg, np.sort(theirs.azimuth["data"][rays]), atol=1e-3)
        # Py-ART repeats each 1 km gate on 250 m gates.
        nearest = np.abs(theirs.range["data"][None, :] - sweep.range_m[:200, None]).argmin(axis=1)
        np.testing.assert_allclose(np.ma.filled(dbz[:, nearest], -99.0), sweep.reflectivity[:, :200], atol=1e-3)


@pytest.mark.filterwarnings("ignore")  # Py-ART warns when it is imported
def test_gridding_agrees_with_py_art() -> None:
    path = real_data("khtx_20080411_nexrad", "KHTX20080411_183137.gz")
    pyart = pytest.importorskip("pyart")
    volume = read_volume(path)
    grid = GridConfig(spacing_m=2000.0, extent_m=60_000.0, top_m=12_000.0, level_spacing_m=1000.0).around(volume.site)
    ours, _ = grid_volume(volume, grid)
    theirs = pyart.map.grid_from_radars(
        (pyart.io.read_nexrad_archive(str(path), station="KHTX"),),
        grid_shape=grid.shape,
        grid_limits=tuple((axis[0], axis[-1]) for axis in (grid.z, grid.y, grid.x)),
        grid_origin=(volume.site.lat, volume.site.lon),
        grid_origin_alt=0.0,
        fields=["reflectivity"],
    )
    other = np.ma.filled(theirs.fields["reflectivity"]["data"], np.nan)
    both = (ours > 5.0) & (other > 5.0)
    assert both.sum() > 4000
    difference = (ours - other)[both]
    # Another weighting of the gates, so not the same, but nowhere else and not stronger or weaker.
    assert np.sqrt((difference**2).mean()) < 3.5
    assert abs(difference.mean()) < 1.0
    for shift in ((0, 0, 1), (0, 1, 0), (0, -1, 0), (0, 0, -1)):
        moved = np.roll(other, shift, axis=(0, 1, 2))
        near = (ours > 5.0) & (moved > 5.0)
        assert np.sqrt(((ours - moved)[near] ** 2).mean()) > np.sqrt((difference**2).mean())


def test_the_iris_altitude_is_the_antennas() -> None:
    volume = read_volume(real_data("single_volumes", "cor-main131125105503.RAW2049"))
    assert (volume.site.lat, volume.site.lon, volume.site.alt) == pytest.approx((9.331, -75.283, 143.0), abs=1e-3)


def test_a_truncated_iris_file_says_so(tmp_path: Path) -> None:
    whole = real_data("single_volumes", "cor-main131125105503.RAW2049").read_bytes()
    path = tmp_path / "cut.RAW"
    path.write_bytes(whole[: len(whole) // 2])
    assert read_volume(path).defect == "the file ends after 4 of 10 sweeps"


def test_a_file_of_vertical_sections_is_refused() -> None:
    path = real_data("single_volumes", "MC3E_NPOL_2011_0524_2356_hid.uf.gz")
    with pytest.raises(InputError, match=r"vertical sections \(RHI\) only"):
        read_volume(path)


@pytest.mark.parametrize("clock", ["001230", "003145", "005145", "010145", "013148"])
def test_the_dry_hours_of_brisbane_are_dry(clock: str) -> None:
    """Ground clutter up to 60 dBZ, and from one o'clock two small showers in the far south-west."""
    volume = brisbane(clock)
    assert max(float(np.nanmax(s.reflectivity)) for s in volume.sweeps) > 50.0
    cleaned = composite(clean(volume))
    near = cleaned[30:, :]  # without the far south
    assert (near >= 15.0).sum() <= 1
    assert (near >= 5.0).mean() < 0.002
    assert (cleaned >= 20.0).sum() <= 12


@pytest.mark.parametrize("clock", ["031145", "041145", "044147", "052146"])
def test_the_storms_of_brisbane_stay_whole(clock: str) -> None:
    volume = brisbane(clock)
    raw, cleaned = composite(volume), composite(clean(volume))
    for least, share in ((20.0, 0.95), (30.0, 0.98), (35.0, 0.98), (45.0, 0.98)):
        assert (cleaned >= least).sum() >= share * (raw >= least).sum()
    # No bite out of a core: where the column was strong and so were its neighbours, it still is.
    core = raw >= 40.0
    inner = core & np.all([np.roll(core, shift, axis) for axis in (0, 1) for shift in (-1, 1)], axis=0)
    assert (raw - cleaned)[inner].max() < 5.0


def test_brisbane_at_the_hour_of_the_broken_volumes(caplog: pytest.LogCaptureFixture) -> None:
    folder = real_data("brisbane_20051127_odim")
    sequence = load_sequence(folder, at=np.datetime64("2005-11-27T04:12"), frames=4, site=MARBURG)
    clocks = [str(t)[11:16] for t in sequence.times]
    assert clocks == ["03:31", "03:41", "03:51", "04:11"]
    told = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(told) == 2
    assert any("50_20051127_040145.h5 is a partial volume (4 of 15" in t for t in told)
    assert any("50_20051127_040548.h5 is a partial volume (3 of 15" in t for t in told)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("KBMX20160509_093623_V06.gz", "holds no radials"),
        ("pvol_seovi_volume_malfunc.h5", "marks this volume as a malfunction"),
    ],
)
def test_bad_volumes_that_cannot_be_used(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_volume(real_data("bad_real", name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "elevations", "gates_m", "defect"),
    [
        # Sweeps of velocity only are left out; each sweep has its own gates.
        ("ukche_pvol_20151010T0000Z.h5", 3, {600.0}, ""),
        ("nldbl_pvol_20151010T0000Z.h5", 14, {1000.0, 500.0}, ""),
        ("sehem_20190907.h5", 2, {500.0}, "1 of 3 sweeps are damaged"),
        ("KIWX20160429_194300_V06.gz", 1, {250.0}, "the file ends within sweep 1 of 11, after 76 rays"),
    ],
)
def test_unusual_volumes_give_what_they_hold(name: str, elevations: int, gates_m: set[float], defect: str) -> None:
    volume = read_volume(real_data("bad_real", name))
    assert len(volume.sweeps) == elevations
    assert {s.gate_m for s in volume.sweeps} == gates_m
    assert volume.defect == defect
    _, mask = grid_volume(clean(volume), GridConfig().around(volume.site))
    assert mask.any()
    if name.startswith("KIWX"):
        assert mask.mean() < 0.1


@pytest.mark.parametrize("name", ["sehem_20190907.h5", "KIWX20160429_194300_V06.gz"])
def test_a_sequence_does_without_volumes_that_say_they_are_partial(name: str, tmp_path: Path) -> None:
    (tmp_path / name).symlink_to(real_data("bad_real", name))
    with pytest.raises(InputError, match="is a partial volume"):
        load_sequence(tmp_path)


def test_a_volume_with_the_latitude_of_another_continent(tmp_path: Path) -> None:
    """Alone it cannot be known to be wrong, but --site sets it right."""
    path = real_data("bad_real", "50_20050101_150100.h5")
    assert read_volume(path).site.lat == pytest.approx(32.73)
    assert read_volume(path, site=MARBURG).site == MARBURG
    assert read_volume(path).time == np.datetime64("2005-01-01T15:01", "ns")


def test_the_mixed_folder_is_refused() -> None:
    with pytest.raises(InputError, match=r"3 radars \(behel, bejab, bewid\)"):
        load_sequence(real_data("multiradar_be_20190606"))


def test_darwin_grids() -> None:
    sequence = load_sequence(real_data("cpol_20051113_morning_grid"))
    assert sequence.values.shape == (43, 1, 29, 117, 117)
    assert sequence.mask.all()
    assert sequence.coverage is not None
    assert 0.2 < sequence.coverage.mean() < 0.3
    assert (sequence.grid.z[0], sequence.grid.z[-1]) == (1000.0, 15000.0)
    few = load_sequence(real_data("cpol_20051113_morning_grid"), at=np.datetime64("2005-11-13T06:00:30"), frames=3)
    assert few.values.tobytes() == sequence.until(few.times[-1]).values[-3:].tobytes()
