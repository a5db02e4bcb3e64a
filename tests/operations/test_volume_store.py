"""Gridded volumes that are kept: which are used again, which are made anew, how many there are."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from radar_files import polar_volume, storm, write_odim

from nowcast.operations.volume_store import VolumeStore
from nowcast.radar import Site
from nowcast.radar.gridding import GridConfig

GRID = GridConfig(spacing_m=20_000.0, extent_m=60_000.0, top_m=4000.0, level_spacing_m=2000.0)


def values_of(store: VolumeStore, source: Path, site: Site) -> np.ndarray:
    kept = store.read(source, site=None, fallback=None)
    return kept.on(GRID.around(site), lambda measured: measured, ("reflectivity",))[0]


def test_a_volume_is_gridded_anew_for_other_settings_and_where_its_file_was_replaced(tmp_path: Path) -> None:
    """Also by one of the same size."""
    volume = polar_volume(storm(), rays=36, gates=40)
    source = write_odim(volume, tmp_path / "volume.h5")
    read: list[Path] = []

    def values(stamp: str) -> np.ndarray:
        return values_of(VolumeStore(tmp_path / "kept", stamp, read.append), source, volume.site)

    for stamp in ("some", "some", "other", "other"):
        values(stamp)
    assert len(read) == 2
    os.utime(source, ns=(0, 0))
    values("other")
    assert len(read) == 3


def test_the_volumes_used_last_are_kept_and_none_where_the_disk_is_nearly_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = polar_volume(storm(), rays=36, gates=40)
    sources = [write_odim(volume, tmp_path / f"{k}.h5") for k in range(4)]
    read: list[Path] = []
    store = VolumeStore(tmp_path / "kept", "", read.append)
    for number, source in enumerate([*sources, sources[0]]):
        values_of(store, source, volume.site)
        for file in store.folder.iterdir():  # a clock that ticks between two volumes
            os.utime(file, ns=(0, file.stat().st_mtime_ns - number * 10**9))
    store.clean(2)
    assert len(list(store.folder.iterdir())) == 2
    read.clear()
    for source in (sources[0], sources[3]):
        values_of(store, source, volume.site)
    assert read == []
    monkeypatch.setattr("nowcast.operations.volume_store.ROOM_BYTES", 10**18)
    store.clean(2)
    values_of(store, sources[0], volume.site)
    assert list(store.folder.iterdir()) == []


def test_a_bit_that_changed_in_a_kept_volume_only_costs_time(tmp_path: Path) -> None:
    volume = polar_volume(storm(), rays=36, gates=40)
    source, read = write_odim(volume, tmp_path / "volume.h5"), []
    store = VolumeStore(tmp_path / "kept", "", read.append)
    expected = values_of(store, source, volume.site)
    np.testing.assert_array_equal(values_of(store, source, volume.site), expected)
    assert len(read) == 1
    (file,) = store.folder.iterdir()
    whole = file.read_bytes()
    directory = whole.index(b"PK\x01\x02")
    for place in (*range(60), *range(directory, len(whole))):
        for bit in (0, 3, 6):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            file.write_bytes(damaged)
            np.testing.assert_array_equal(values_of(store, source, volume.site), expected)
    assert len(read) > 100
