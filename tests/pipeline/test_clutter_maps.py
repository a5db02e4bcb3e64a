"""Maps of ground clutter: learnt from dry volumes, used for later ones only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from radar_files import START, nothing, polar_volume, write_odim

from nowcast.errors import InputError
from nowcast.pipeline.clutter import learn_clutter_map
from nowcast.pipeline.inputs import GridConfig, load_sequence
from nowcast.types import VolumeSequence

SMALL = GridConfig(spacing_m=10_000.0, extent_m=80_000.0, top_m=9000.0, level_spacing_m=1000.0)
STEP = np.timedelta64(10, "m")


def load(folder: Path, **options: object) -> VolumeSequence:
    return load_sequence(folder, grid=SMALL, **options)  # type: ignore[arg-type]


def test_a_clutter_map_is_learnt_from_dry_volumes_and_never_of_the_future(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def wet_ground(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        return np.where(((x - 40e3) ** 2 + y**2 < 6e3**2) & (z < 3000.0), 35.0, nothing(x, y, z))

    folder = tmp_path / "archive"
    folder.mkdir()
    for k in range(5):
        volume = polar_volume(wet_ground, gates=100, time=START + k * STEP)
        if k == 4:  # rain everywhere: not to be learnt from
            rain = polar_volume(lambda x, y, z: 0 * z + 30.0, gates=100)
            volume = replace(rain, time=START + k * STEP)
        write_odim(volume, folder / f"{k}.h5")
    learnt, wet = learn_clutter_map(folder, tmp_path / "map.nc")
    assert (len(learnt.times), wet) == (4, 1)
    later = tmp_path / "later"
    later.mkdir()
    write_odim(polar_volume(wet_ground, gates=100, time=START + 9 * STEP), later / "9.h5")
    assert np.nanmax(load(later).values) > 20.0
    assert np.nanmax(load(later, clutter=tmp_path / "map.nc").values) < 5.0
    before = load(folder, at=START + STEP)
    caplog.clear()
    same = load(folder, at=START + STEP, clutter=tmp_path / "map.nc")
    assert same.values.tobytes() == before.values.tobytes()
    assert "is not used for volumes before 2020-01-01T00:30:00Z" in caplog.text


def test_too_few_dry_volumes_make_no_map(tmp_path: Path) -> None:
    for k in range(2):
        write_odim(polar_volume(nothing, gates=100, time=START + k * STEP), tmp_path / f"{k}.h5")
    with pytest.raises(InputError, match="2 dry volumes and 0 with rain"):
        learn_clutter_map(tmp_path, tmp_path / "map.nc")
    assert not (tmp_path / "map.nc").exists()
