"""Gridded volumes that are kept: a damaged one is made again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from radar_files import polar_volume, storm, write_odim

from nowcast.operations.volume_store import VolumeStore
from nowcast.radar.gridding import GridConfig

GRID = GridConfig(spacing_m=20_000.0, extent_m=60_000.0, top_m=4000.0, level_spacing_m=2000.0)


def test_a_bit_that_changed_in_a_kept_volume_only_costs_time(tmp_path: Path) -> None:
    volume = polar_volume(storm(), rays=36, gates=40)
    source, read = write_odim(volume, tmp_path / "volume.h5"), []
    store = VolumeStore(tmp_path / "kept", "", read.append)
    grid = GRID.around(volume.site)

    def values() -> np.ndarray:
        kept = store.read(source, site=None, fallback=None)
        return kept.on(grid, lambda measured: measured, ("reflectivity",))[0]

    expected = values()
    np.testing.assert_array_equal(values(), expected)
    assert len(read) == 1
    (file,) = store.folder.iterdir()
    whole = file.read_bytes()
    directory = whole.index(b"PK\x01\x02")
    for place in (*range(60), *range(directory, len(whole))):
        for bit in (0, 3, 6):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            file.write_bytes(damaged)
            np.testing.assert_array_equal(values(), expected)
    assert len(read) > 100
