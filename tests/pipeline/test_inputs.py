"""Sequences from folders: the newest good volumes, and nothing of what comes later."""

from __future__ import annotations

import bz2
import gzip
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import helpers
import numpy as np
import pytest
from radar_files import ELEVATIONS, SITE, START, ground_clutter, nothing, polar_volume, storm, write_odim

from nowcast.errors import InputError
from nowcast.io.volumes import write_volumes
from nowcast.pipeline.archive import time_in_name
from nowcast.pipeline.describe import describe
from nowcast.pipeline.inputs import GridConfig, list_inputs, load_sequence
from nowcast.radar import PolarVolume, Site
from nowcast.types import VolumeSequence

SMALL = GridConfig(spacing_m=10_000.0, extent_m=80_000.0, top_m=9000.0, level_spacing_m=1000.0)
STEP = np.timedelta64(10, "m")


def volume_at(k: int, elevations: tuple[float, ...] = ELEVATIONS, **options: object) -> PolarVolume:
    """A storm that moves 6 km east every ten minutes."""
    field = storm(x0=-30e3 + 6e3 * k, y0=10e3)
    return polar_volume(field, elevations=elevations, rays=180, gates=80, time=START + k * STEP, **options)  # type: ignore[arg-type]


def file_at(folder: Path, k: int, **options: object) -> Path:
    """The volume of step k as an ODIM file, named by its time."""
    elevations = options.pop("elevations", ELEVATIONS)
    return write_odim(volume_at(k, elevations), folder / name_at(k), **options)  # type: ignore[arg-type]


def name_at(k: int) -> str:
    stamp = str(np.datetime_as_string(START + k * STEP, unit="s")).translate({45: "", 58: "", 84: "_"})
    return f"TEST_{stamp}.h5"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    for k in range(6):
        file_at(folder, k)
    return folder


@pytest.fixture
def archive(made: Path, tmp_path: Path) -> Path:
    """Six good volumes, ten minutes apart."""
    return Path(shutil.copytree(made, tmp_path / "archive"))


def load(folder: Path, **options: object) -> VolumeSequence:
    return load_sequence(folder, grid=SMALL, **options)  # type: ignore[arg-type]


def times_of(sequence: VolumeSequence) -> list[int]:
    return [int((t - START) / STEP) for t in sequence.times]


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_the_newest_volumes_at_or_before_a_time(archive: Path, caplog: pytest.LogCaptureFixture) -> None:
    sequence = load(archive, at=START + np.timedelta64(45, "m"), frames=3)
    assert times_of(sequence) == [2, 3, 4]
    assert sequence.grid.shape == (9, 17, 17)
    assert sequence.sources[-1].startswith("TEST_20200101_0040")
    assert sequence.radars == ("TEST",) and sequence.missing == ()
    assert times_of(load(archive, at=START + 3 * STEP, frames=2)) == [2, 3]
    assert times_of(load(archive, frames=2)) == [4, 5]
    assert times_of(load(archive)) == [0, 1, 2, 3, 4, 5]
    assert not warnings_in(caplog)


def test_the_storm_is_where_it_was(archive: Path) -> None:
    sequence = load(archive)
    for k in range(6):
        composite = sequence.filled()[k].max(axis=0)
        row, column = np.unravel_index(composite.argmax(), composite.shape)
        assert abs(sequence.grid.x[column] - (-30e3 + 6e3 * k)) <= 6000.0
        assert sequence.grid.y[row] == 10e3


def test_times_are_listed_without_reading(archive: Path) -> None:
    assert ((list_inputs(archive) - START) / STEP).tolist() == [0, 1, 2, 3, 4, 5]
    assert list_inputs(archive, at=START + STEP).size == 2


@pytest.mark.parametrize("harm", ["delete", "truncate", "zero", "replace", "text", "other radar"])
def test_later_files_change_nothing(
    archive: Path, tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    at = START + 3 * STEP
    before = load(archive, at=at, frames=3)
    for path in sorted(archive.iterdir())[4:]:
        data = path.read_bytes()
        path.unlink()
        if harm == "truncate":
            path.write_bytes(data[: len(data) // 2])
        elif harm == "zero":
            path.touch()
        elif harm == "text":
            path.write_text("later")
        elif harm == "replace":
            shutil.copy(write_odim(volume_at(5, (0.5, 30.0)), tmp_path / "other.h5"), path)
        elif harm == "other radar":
            shutil.copy(write_odim(volume_at(5, radar="OTHER", site=Site(1, 2, 3)), tmp_path / "other.h5"), path)
    after = load(archive, at=at, frames=3)
    assert after.values.tobytes() == before.values.tobytes()
    assert after.mask.tobytes() == before.mask.tobytes()
    assert (after.sources, after.grid) == (before.sources, before.grid)
    assert not warnings_in(caplog)
    assert capsys.readouterr().out == ""


def agree_at_each_time(archive: Path, steps: tuple[int, ...]) -> VolumeSequence:
    """Load the whole archive, having checked that each cycle alone would have seen the same."""
    whole = load(archive)
    for k in steps:
        now = load(archive, at=START + k * STEP, frames=2)
        past = whole.until(START + k * STEP).select(slice(-2, None))
        assert now.grid == past.grid
        assert (now.values.tobytes(), now.sources) == (past.values.tobytes(), past.sources)
    return whole


def test_the_whole_archive_agrees_with_each_time_alone(archive: Path) -> None:
    """A hindcast that loads everything at once sees what each cycle would have seen."""
    write_odim(volume_at(3, ELEVATIONS[:5]), sorted(archive.iterdir())[3])
    assert times_of(agree_at_each_time(archive, (2, 3, 5))) == [0, 1, 2, 4, 5]


@pytest.mark.parametrize("failed", [(3,), (3, 4)])
@pytest.mark.parametrize("kind", ["polar", "gridded", "one file"])
def test_failed_scans_are_known_however_few_volumes_are_asked_for(
    tmp_path: Path, kind: str, failed: tuple[int, ...]
) -> None:
    """A volume without any echo is judged by those before it, also where it is the oldest of the frames."""
    source = tmp_path / "source"
    source.mkdir()
    for k in range(6):
        field = nothing if k in failed else storm(x0=-30e3 + 6e3 * k, radius=20e3)
        volume = polar_volume(field, rays=180, gates=80, time=START + k * STEP)
        write_odim(volume, source / name_at(k))
    if kind != "polar":
        sequence = replace(load_sequence(source, grid=SMALL, frames=1), sources=())
        every = [load_sequence(file, grid=sequence.grid) for file in sorted(source.iterdir())]
        shutil.rmtree(source)
        if kind == "gridded":
            source.mkdir()
            for k, one in enumerate(every):
                write_volumes(one, source / f"{k}.nc")
        else:
            together = {name: np.concatenate([getattr(one, name) for one in every]) for name in ("values", "mask")}
            times = np.concatenate([one.times for one in every])
            write_volumes(replace(sequence, times=times, **together), source)
    kept = [k for k in range(6) if k not in failed]
    assert times_of(load(source)) == kept
    for at in range(6):
        for frames in (1, 2, 3):
            now = load(source, at=START + at * STEP, frames=frames)
            assert times_of(now) == [k for k in kept if k <= at][-frames:]


def test_dry_volumes_ask_for_no_more_than_half_an_hour(archive: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is long dry is kept, and those before it are not read to find that out."""
    for k in range(-6, 6):
        write_odim(polar_volume(nothing, rays=90, gates=40, time=START + k * STEP), archive / name_at(k))
    oldest = archive / name_at(-6)
    oldest.write_bytes(oldest.read_bytes()[:3000])
    assert times_of(load(archive, frames=2)) == [4, 5]
    assert not warnings_in(caplog)


@pytest.mark.parametrize(("north_deg", "used"), [(0.003, [0, 1, 2, 3, 4, 5]), (0.1, [0, 1, 2, 4, 5])])
def test_a_position_that_changes_leaves_earlier_times_as_they_were(
    archive: Path, north_deg: float, used: list[int]
) -> None:
    """Surveyed anew, or moved; from the second volume on it is believed, and gridded where it now stands."""
    moved = Site(SITE.lat + north_deg, SITE.lon, SITE.alt)
    for k in (3, 4, 5):
        file_at(archive, k, site=moved)
    whole = agree_at_each_time(archive, (1, 2, 3, 4, 5))
    assert times_of(whole) == used
    assert (whole.grid.origin_lat, whole.grid.origin_lon) == (SITE.lat, SITE.lon)


def test_the_first_volumes_of_a_long_archive_are_the_centre_of_its_grid(archive: Path) -> None:
    """Also for a cycle that opens only the files of the last day."""
    for k in (-600, -599, -598):
        file_at(archive, k, site=Site(SITE.lat + 0.003, SITE.lon, SITE.alt))
    for k in (6, 7, 8):
        file_at(archive, k)
    whole = agree_at_each_time(archive, (-598, 0, 7, 8))
    assert whole.grid.origin_lat == SITE.lat + 0.003
    assert len(whole) == 12


def test_a_wrong_position_among_the_first_volumes_is_outvoted(archive: Path) -> None:
    file_at(archive, 0, site=Site(32.73, 152.025, 84.0))
    whole = agree_at_each_time(archive, (3, 4, 5))
    assert times_of(whole) == [2, 3, 4, 5]
    assert whole.grid.origin_lat == SITE.lat


def test_polar_volumes_come_on_the_voxels_asked_for(archive: Path) -> None:
    """Such as a forecast's, which need not be centred on the radar."""
    centred = load(archive, frames=1)
    part = replace(centred.grid, shape=(9, 5, 17), first_m=(1000.0, 0.0, -80e3))
    sequence = load_sequence(archive, frames=1, grid=part)
    assert sequence.grid == part
    np.testing.assert_array_equal(sequence.values, centred.values[..., 8:13, :])


@pytest.mark.parametrize("elevations", [ELEVATIONS[:5], ELEVATIONS[-3:], ELEVATIONS[::2]])
def test_a_partial_volume_is_skipped(
    archive: Path, elevations: tuple[float, ...], caplog: pytest.LogCaptureFixture
) -> None:
    write_odim(volume_at(4, elevations), sorted(archive.iterdir())[4])
    assert times_of(load(archive, frames=3)) == [2, 3, 5]
    (warning,) = warnings_in(caplog)
    assert f"{len(elevations)} of 15 elevations" in warning


def test_a_new_scan_strategy_is_accepted_the_second_time(archive: Path) -> None:
    for k in (4, 5):
        write_odim(volume_at(k, ELEVATIONS[:8]), sorted(archive.iterdir())[k])
    assert times_of(load(archive, frames=3)) == [2, 3, 5]


def test_a_richer_scan_is_no_defect_of_the_poorer_before_it(archive: Path) -> None:
    for k in range(3):
        write_odim(volume_at(k, ELEVATIONS[:8]), sorted(archive.iterdir())[k])
    assert times_of(load(archive)) == [0, 1, 2, 3, 4, 5]


def test_a_volume_that_says_it_is_partial_is_skipped(archive: Path, caplog: pytest.LogCaptureFixture) -> None:
    import h5py

    with h5py.File(sorted(archive.iterdir())[5], "a") as file:
        del file["dataset9/data1"]
    assert times_of(load(archive, frames=2)) == [3, 4]
    assert "1 of 15 sweeps are empty" in warnings_in(caplog)[0]


@pytest.mark.parametrize("harm", ["zero", "truncate", "text", "nan", "malfunction"])
def test_a_broken_volume_is_skipped_and_an_older_one_taken(
    archive: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = sorted(archive.iterdir())[4]
    if harm == "zero":
        path.write_bytes(b"")
    elif harm == "truncate":
        path.write_bytes(path.read_bytes()[:5000])
    elif harm == "text":
        path.write_text("this is no volume\n")
    elif harm == "nan":
        blind = polar_volume(lambda x, y, z: np.full(z.shape, np.nan), gates=100, time=START + 4 * STEP)
        write_odim(blind, path)
    else:
        file_at(archive, 4, how={"malfunc": "True"})
    assert times_of(load(archive, frames=3)) == [2, 3, 5]
    assert len(warnings_in(caplog)) == 1
    assert path.name in warnings_in(caplog)[0]


def test_a_damaged_gzip_is_skipped(archive: Path, caplog: pytest.LogCaptureFixture) -> None:
    noise = np.random.default_rng(1).integers(0, 256, 9000, dtype=np.uint8).tobytes()
    (archive / "KABC20200101_004500.gz").write_bytes(gzip.compress(noise)[:5000])
    assert times_of(load(archive, frames=2)) == [4, 5]
    load(archive, frames=3)
    assert sum("truncated or damaged" in w or "unknown format" in w for w in warnings_in(caplog)) >= 1


def test_names_need_not_be_in_order(archive: Path) -> None:
    for k, path in enumerate(sorted(archive.iterdir())):
        path.rename(archive / f"{9 - k}.bin")
    assert times_of(load(archive)) == [0, 1, 2, 3, 4, 5]


def test_duplicates_count_once(archive: Path, caplog: pytest.LogCaptureFixture) -> None:
    newest = sorted(archive.iterdir())[5]
    shutil.copy(newest, archive / "again.h5")
    assert times_of(load(archive, frames=2)) == [4, 5]
    assert "has the same time as" in warnings_in(caplog)[0]


def test_hidden_and_partial_downloads_are_not_looked_at(archive: Path, caplog: pytest.LogCaptureFixture) -> None:
    (archive / ".TEST_20200101_010000.h5.part").write_bytes(b"half")
    assert len(load(archive)) == 6
    assert not warnings_in(caplog)


def test_mixed_radars_are_refused_by_name(archive: Path) -> None:
    write_odim(volume_at(2, radar="OTHER", site=Site(-28.0, 153.0, 100.0)), archive / "other.h5")
    with pytest.raises(InputError, match=r"2 radars \(OTHER, TEST\)"):
        load(archive)


def test_polar_and_gridded_files_do_not_mix(archive: Path) -> None:
    cells = helpers.moving_cells(helpers.small_grid((4, 10, 10)), steps=1)
    write_volumes(cells, archive / "grid.nc")
    with pytest.raises(InputError, match="mixes polar and gridded"):
        load(archive)


def test_a_volume_at_a_wrong_place_is_skipped(archive: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A known fault: the right name, the latitude of another continent."""
    file_at(archive, 4, site=Site(32.73, 152.025, 84.0))
    assert times_of(load(archive, frames=3)) == [2, 3, 5]
    assert "places the radar at 32.7300,152.0250,84" in warnings_in(caplog)[0]
    assert times_of(load(archive, frames=3, site=SITE)) == [3, 4, 5]


def test_files_without_a_position_ask_for_one(archive: Path) -> None:
    for k in range(6):
        file_at(archive, k, site=None)
    with pytest.raises(InputError, match="--site LAT,LON,ALT"):
        load(archive)
    assert load(archive, frames=1, site=SITE).grid.origin_lat == SITE.lat


def test_no_echo_at_all_is_a_dry_sequence(tmp_path: Path) -> None:
    for k in range(3):
        write_odim(polar_volume(nothing, gates=100, time=START + k * STEP), tmp_path / f"{k}.h5")
    sequence = load(tmp_path)
    assert (sequence.reflectivity[sequence.mask] == 0.0).all()
    assert sequence.mask.mean() > 0.5


def test_one_volume_only(archive: Path) -> None:
    single = load(sorted(archive.iterdir())[2])
    assert times_of(single) == [2]
    np.testing.assert_array_equal(single.values[0], load(archive).values[2])


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no files"):
        load(tmp_path)


def test_a_folder_of_other_things(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(InputError, match="no radar volume among its 1 files"):
        load(tmp_path)


def test_nothing_there_yet(archive: Path) -> None:
    with pytest.raises(InputError, match=r"no volume at or before .* its first is 2020-01-01T00:00:00Z"):
        load(archive, at=START - STEP)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "none")


def test_only_unusable_volumes(archive: Path) -> None:
    for k in range(6):
        file_at(archive, k, how={"malfunc": "True"})
    with pytest.raises(InputError, match="none of 6 volumes can be used"):
        load(archive)


def test_quality_control_can_be_left_out(tmp_path: Path) -> None:
    write_odim(ground_clutter(polar_volume(nothing, gates=100)), tmp_path / "v.h5")
    raw, cleaned = load(tmp_path, quality=None), load(tmp_path)
    assert np.nanmax(raw.values) > 5.0
    assert np.nanmax(cleaned.values) < 0.3 * np.nanmax(raw.values)


def test_the_time_in_a_name() -> None:
    assert time_in_name("KHTX20080411_181144.gz") == np.datetime64("2008-04-11T18:11:44", "ns")
    assert time_in_name("50_20051127_044147.h5") == np.datetime64("2005-11-27T04:41:47", "ns")
    assert time_in_name("T_PAGZ35_C_ENMI_20170421090837.hdf") == np.datetime64("2017-04-21T09:08:37", "ns")
    assert time_in_name("volume.h5") is None
    assert time_in_name("99_20209927_044147.h5") is None


def test_a_volume_is_described(archive: Path) -> None:
    facts = describe(sorted(archive.iterdir())[0])
    assert (facts["format"], facts["radar"], facts["time"]) == ("odim", "TEST", START)
    assert facts["site"] == {"lat": SITE.lat, "lon": SITE.lon, "alt_m": SITE.alt}
    assert [s["elevation_deg"] for s in facts["sweeps"]] == list(ELEVATIONS)
    assert facts["dbz_range"][1] == pytest.approx(55.0, abs=1.0)


@pytest.mark.parametrize("pack", ["gzip", "bzip2"])
def test_packed_files_read_as_plain_ones(archive: Path, tmp_path: Path, pack: str) -> None:
    plain = load(archive)
    for path in sorted(archive.iterdir()):
        data = path.read_bytes()
        path.write_bytes(gzip.compress(data) if pack == "gzip" else bz2.compress(data))
    packed = load(archive)
    assert packed.values.tobytes() == plain.values.tobytes()
    assert packed.sources == plain.sources


def test_a_packed_file_is_named_in_its_error(archive: Path) -> None:
    path = file_at(archive, 3, how={"malfunc": "True"})
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(InputError) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_long_archive_is_not_read_whole(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first files and those whose names lie within a day of the wanted time, unless they are too few."""
    import nowcast.pipeline.archive as module

    for k in range(6, 10):
        file_at(archive, k)
    for days in range(2, 7):
        file_at(archive, -144 * days)
    opened: list[str] = []
    read_entries = module.read_entries
    monkeypatch.setattr(module, "read_entries", lambda path: opened.append(path.name) or read_entries(path))
    assert times_of(load(archive, frames=2)) == [8, 9]
    old = [name for name in opened if name.startswith("TEST_2019")]
    assert old == [f"TEST_201912{day}_000000.h5" for day in (26, 27, 28)]
    assert times_of(load(archive, at=START + STEP, frames=2)) == [0, 1]
    assert "TEST_20191230_000000.h5" in opened
