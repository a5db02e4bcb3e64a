"""NEXRAD Level II: files made message by message, whole and broken."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from radar_files import START, nexrad_header, nexrad_message_1, nexrad_message_31, pack_records

from nowcast.errors import InputError
from nowcast.radar import NO_ECHO_DBZ, Site, read_volume, sniff
from nowcast.radar.nexrad_sites import icao_in_name, nexrad_site
from nowcast.radar.reader import read_site, read_volume_head

KTLX = Site(35.3331, -97.2775, 370.0)
FIRST, WITHIN, LAST, LAST_OF_ALL = 0, 1, 2, 4


def _status(ray: int, rays: int, last_sweep: bool) -> int:
    if ray == 0:
        return FIRST
    return WITHIN if ray < rays - 1 else (LAST_OF_ALL if last_sweep else LAST)


def super_resolution(sweeps: int = 3, rays: int = 720, site: Site | None = KTLX) -> list[bytes]:
    """A split cut at 0.5 degrees (reflectivity far, velocity near), then one sweep a degree with both.

    Reflectivity code is 66 + 2 * azimuth index mod 50 (0 dBZ up), the first gate below threshold, the second folded.
    """
    messages = []
    cuts = [(0.48, "REF"), (0.48, "VEL"), *((1.5 + k, "BOTH") for k in range(sweeps - 1))]
    for number, (elevation, kind) in enumerate(cuts, 1):
        for ray in range(rays):
            codes = np.full(400, 66 + 2 * (ray % 50), np.uint8)
            codes[:2] = 0, 1
            moments = {}
            if kind != "VEL":
                moments["REF"] = (codes, 2125, 250, 2.0, 66.0)
            if kind != "REF":
                moments["VEL"] = (np.full(200, 139, np.uint8), 2125, 250, 2.0, 129.0)
            if kind == "REF":
                moments["RHO"] = (np.full(400, 230, np.uint8), 2125, 250, 300.0, -60.5)
            azimuth = (ray + 0.3) * 360.0 / rays
            status = _status(ray, rays, number == len(cuts))
            messages.append(nexrad_message_31(azimuth, elevation, number, status, moments, START, site))
    return messages


def legacy(rays: int = 367) -> list[bytes]:
    """A split cut and one sweep with both, as before 2008: 1 km and 250 m gates, a little more than a circle."""
    messages = []
    for number, (elevation, kind) in enumerate(((0.44, "REF"), (0.44, "VEL"), (1.41, "BOTH")), 1):
        for ray in range(rays):
            dbz = np.full(230, 106, np.uint8) if kind != "VEL" else None
            velocity = np.full(920, 149, np.uint8) if kind != "REF" else None
            status = _status(ray, rays, number == 3)
            messages.append(nexrad_message_1((ray * 0.9868) % 360.0, elevation, number, status, dbz, velocity, START))
    return messages


def test_a_super_resolution_volume(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    path.write_bytes(nexrad_header("KTLX", START) + pack_records(super_resolution()))
    assert sniff(path) == "nexrad"
    volume = read_volume(path)
    assert (volume.radar, volume.scan, volume.defect, volume.time) == ("KTLX", "VCP 212", "", START)
    assert volume.site.distance_m(KTLX) < 10.0
    assert volume.elevations_deg == pytest.approx((0.48, 1.5, 2.5), abs=1e-3)
    low = volume.sweeps[0]
    assert low.reflectivity.shape == (720, 400)
    assert (low.first_gate_m, low.gate_m) == (2125.0, 250.0)
    assert (low.reflectivity[:, 0] == NO_ECHO_DBZ).all()
    assert np.isnan(low.reflectivity[:, 1]).all()
    np.testing.assert_allclose(low.reflectivity[:, 2:], np.tile((np.arange(720) % 50)[:, None], 398))
    np.testing.assert_allclose(low.fields["rhohv"], (230 + 60.5) / 300.0, rtol=1e-5)


def test_the_doppler_cut_is_merged_not_doubled(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    path.write_bytes(nexrad_header("KTLX", START) + pack_records(super_resolution()))
    low = read_volume(path).sweeps[0]
    np.testing.assert_allclose(low.fields["velocity"][:, :200], 5.0)
    assert np.isnan(low.fields["velocity"][:, 200:]).all()


@pytest.mark.parametrize("outer", ["plain", "gzip"])
def test_unpacked_and_gzipped_files_read_the_same(tmp_path: Path, outer: str) -> None:
    whole = nexrad_header("KTLX", START) + b"".join(super_resolution())
    path, packed = tmp_path / "a", tmp_path / "b"
    path.write_bytes(gzip.compress(whole) if outer == "gzip" else whole)
    packed.write_bytes(nexrad_header("KTLX", START) + pack_records(super_resolution()))
    for ours, theirs in zip(read_volume(path).sweeps, read_volume(packed).sweeps, strict=True):
        np.testing.assert_array_equal(ours.reflectivity, theirs.reflectivity)


def test_sixteen_bit_moments(tmp_path: Path) -> None:
    codes = np.full(100, 1000, np.uint16)
    messages = [
        nexrad_message_31(ray, 0.5, 1, _status(ray, 360, True), {"REF": (codes, 500, 1000, 20.0, 0.0)}, START, KTLX)
        for ray in range(360)
    ]
    path = tmp_path / "volume"
    path.write_bytes(nexrad_header("KTLX", START) + b"".join(messages))
    np.testing.assert_allclose(read_volume(path).sweeps[0].reflectivity, 50.0)


@pytest.mark.parametrize("pack", [pack_records, b"".join], ids=["packed", "plain"])
@pytest.mark.parametrize("site", [KTLX, None], ids=["told", "by name"])
def test_the_position_is_known_without_reading_the_volume(tmp_path: Path, pack: Any, site: Site | None) -> None:
    path = tmp_path / "volume"
    path.write_bytes(nexrad_header("KTLX", START) + pack(super_resolution(site=site)))
    assert read_site(read_volume_head(path)) == read_volume(path).site


def test_a_legacy_volume_takes_its_position_from_the_name(tmp_path: Path) -> None:
    path = tmp_path / "KTLX19910605_162126"
    path.write_bytes(nexrad_header("    ", START, version=1) + b"".join(legacy()))
    volume = read_volume(path)
    assert (volume.radar, volume.scan, volume.defect) == ("KTLX", "VCP 11", "")
    assert volume.site == nexrad_site("KTLX")
    assert volume.elevations_deg == pytest.approx((0.44, 1.41), abs=0.01)
    low, high = volume.sweeps
    assert (low.first_gate_m, low.gate_m, low.reflectivity.shape[1]) == (0.0, 1000.0, 230)
    np.testing.assert_allclose(low.reflectivity, 20.0)
    for sweep in (low, high):
        # Code 149 at 0.5 m/s; the 250 m gates begin 375 m "behind" the radar.
        np.testing.assert_allclose(sweep.fields["velocity"][:, :229], 10.0)


def test_an_unknown_radar_needs_a_site(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    path.write_bytes(nexrad_header("    ", START, version=1) + b"".join(legacy()))
    with pytest.raises(InputError, match="--site"):
        read_volume(path)


def test_the_position_in_the_file_wins_over_the_table(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    elsewhere = Site(35.0, -97.0, 400.0)
    path.write_bytes(nexrad_header("KTLX", START) + pack_records(super_resolution(site=elsewhere)))
    assert read_volume(path).site == elsewhere


def test_a_file_that_ends_early_says_so(tmp_path: Path) -> None:
    path = tmp_path / "KIWX20160429_194300"
    path.write_bytes(nexrad_header("KTLX", START) + b"".join(super_resolution()[: 720 * 2 + 76]))
    volume = read_volume(path)
    assert volume.defect == "the file ends within sweep 3, after 76 rays"


def test_a_stub_of_a_few_rays(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    path.write_bytes(nexrad_header("KTLX", START) + b"".join(super_resolution()[:10]))
    with pytest.raises(InputError, match="holds 10 radials"):
        read_volume(path)


def test_a_file_without_radials(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    path.write_bytes(nexrad_header("KBMX", START) + b"\0" * 2432 * 3)
    with pytest.raises(InputError, match="holds no radials"):
        read_volume(path)


def test_a_header_only(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    path.write_bytes(nexrad_header("KBMX", START)[:20])
    with pytest.raises(InputError, match="cut off within its header"):
        read_volume(path)


def test_a_damaged_record_costs_its_rays_only(tmp_path: Path) -> None:
    packed = bytearray(nexrad_header("KTLX", START) + pack_records(super_resolution()))
    second = 24 + 4 + int.from_bytes(packed[24:28], "big")
    packed[second + 14 : second + 40] = b"\xff" * 26
    path = tmp_path / "volume"
    path.write_bytes(packed)
    volume = read_volume(path)
    assert "1 records are damaged" in volume.defect
    assert volume.sweeps[0].reflectivity.shape[0] == 600


def test_a_missing_sweep_is_told(tmp_path: Path) -> None:
    messages = super_resolution(sweeps=4)
    path = tmp_path / "volume"
    path.write_bytes(nexrad_header("KTLX", START) + b"".join(messages[: 720 * 3] + messages[720 * 4 :]))
    assert read_volume(path).defect == "sweep 4 is missing"


def test_the_header_tells_time_and_radar(tmp_path: Path) -> None:
    path = tmp_path / "volume.gz"
    path.write_bytes(gzip.compress(nexrad_header("KHTX", START) + b"".join(super_resolution()[:30])))
    head = read_volume_head(path)
    assert (head.radar, head.time, head.elevations_deg, head.site) == ("KHTX", START, None, None)


def test_names() -> None:
    assert icao_in_name("KTLX19910605_162126.gz") == "KTLX"
    assert icao_in_name("cfrad.20080411_KHTX.nc") == ""
    assert nexrad_site("NONE") is None


def test_asking_twice_for_a_position_gives_the_same() -> None:
    assert nexrad_site("KHTX") == nexrad_site("khtx") == Site(34.93056, -86.08361, 1760 * 0.3048)
