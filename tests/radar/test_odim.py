"""ODIM_H5: values, geometry, and what is wrong with some files."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from radar_files import ELEVATIONS, SITE, START, polar_volume, storm, write_odim

from nowcast.errors import InputError
from nowcast.radar import NO_ECHO_DBZ, Site, read_volume
from nowcast.radar.reader import read_elevations, read_volume_head

FEW = ELEVATIONS[:4]


def test_a_volume_comes_back(tmp_path: Path) -> None:
    made = polar_volume(storm(), elevations=FEW, first_edge_m=2000.0)
    read = read_volume(write_odim(made, tmp_path / "v.h5"))
    assert (read.site, read.time, read.radar, read.format, read.defect) == (SITE, START, "TEST", "odim", "")
    assert read.elevations_deg == pytest.approx(FEW)
    assert read.beam_width_deg == 1.9
    for ours, theirs in zip(read.sweeps, made.sweeps, strict=True):
        np.testing.assert_allclose(ours.azimuth_deg, theirs.azimuth_deg, atol=1e-4)
        assert (ours.first_gate_m, ours.gate_m) == (2500.0, 1000.0)
        echo = theirs.reflectivity > NO_ECHO_DBZ
        np.testing.assert_array_equal(ours.reflectivity == NO_ECHO_DBZ, ~echo)
        np.testing.assert_allclose(ours.reflectivity[echo], theirs.reflectivity[echo], atol=0.25)


def test_undetect_is_no_echo_and_nodata_not_observed(tmp_path: Path) -> None:
    made = polar_volume(lambda x, y, z: np.where(x > 0, NO_ECHO_DBZ, np.nan), elevations=FEW)
    read = read_volume(write_odim(made, tmp_path / "v.h5"))
    east = read.sweeps[0].azimuth_deg < 180
    assert (read.sweeps[0].reflectivity[east] == NO_ECHO_DBZ).all()
    assert np.isnan(read.sweeps[0].reflectivity[~east]).all()


def test_one_code_for_both_means_no_echo(tmp_path: Path) -> None:
    path = write_odim(polar_volume(storm(), elevations=FEW), tmp_path / "v.h5")
    with h5py.File(path, "a") as file:
        for name in file:
            if name.startswith("dataset"):
                file[name]["data1/what"].attrs["nodata"] = 0.0
    assert not np.isnan(read_volume(path).sweeps[0].reflectivity).any()


@pytest.mark.parametrize("name", ["DBZH", "TH", "DBZ", "dbzh", "reflectivity_horizontal", "DBZH_CLEAN"])
def test_reflectivity_under_its_many_names(tmp_path: Path, name: str) -> None:
    path = write_odim(polar_volume(storm(), elevations=FEW), tmp_path / "v.h5", quantity=name)
    assert len(read_volume(path).sweeps) == len(FEW)


def test_filtered_reflectivity_wins_over_raw(tmp_path: Path) -> None:
    path = write_odim(polar_volume(storm(), elevations=FEW), tmp_path / "v.h5", quantity="TH")
    with h5py.File(path, "a") as file:
        for name in [n for n in file if n.startswith("dataset")]:
            file.copy(file[name]["data1"], file[name], "data2")
            file[name]["data2/what"].attrs["quantity"] = np.bytes_("DBZH")
            file[name]["data2/data"][...] = 0
    assert (read_volume(path).sweeps[0].reflectivity == NO_ECHO_DBZ).all()


def test_sweeps_with_other_gates_and_other_fields(tmp_path: Path) -> None:
    """As the British and Dutch radars send them: another gate length higher up, and sweeps of velocity only."""
    low = polar_volume(storm(), elevations=(0.5,), gates=100)
    high = polar_volume(storm(), elevations=(6.0,), gates=300, gate_m=250.0, rays=180)
    made = low.with_sweeps([low.sweeps[0], high.sweeps[0], low.sweeps[0].__class__(
        9.0, low.sweeps[0].azimuth_deg, 500.0, 1000.0, low.sweeps[0].fields)])  # fmt: skip
    path = write_odim(made, tmp_path / "v.h5")
    with h5py.File(path, "a") as file:
        file["dataset3/data1/what"].attrs["quantity"] = np.bytes_("VRAD")
    read = read_volume(path)
    assert read.elevations_deg == pytest.approx((0.5, 6.0))
    assert [s.reflectivity.shape for s in read.sweeps] == [(360, 100), (180, 300)]
    assert [s.gate_m for s in read.sweeps] == [1000.0, 250.0]


def test_rays_begin_where_astart_says(tmp_path: Path) -> None:
    path = write_odim(polar_volume(storm(), elevations=FEW), tmp_path / "v.h5")
    with h5py.File(path, "a") as file:
        file["dataset1"].create_group("how").attrs["astart"] = -0.5
    read = read_volume(path)
    assert read.sweeps[0].azimuth_deg[:2] == pytest.approx([0.0, 1.0])
    assert read.sweeps[1].azimuth_deg[:2] == pytest.approx([0.5, 1.5])


def test_measured_azimuths_are_used(tmp_path: Path) -> None:
    path = write_odim(polar_volume(storm(), elevations=FEW), tmp_path / "v.h5")
    with h5py.File(path, "a") as file:
        how = file["dataset1"].create_group("how").attrs
        how["startazA"] = np.mod(np.arange(360) + 359.8, 360.0)
        how["stopazA"] = np.mod(np.arange(360) + 0.8, 360.0)
    assert read_volume(path).sweeps[0].azimuth_deg[:2] == pytest.approx([0.3, 1.3], abs=1e-4)


@pytest.mark.parametrize("site", [None, "missing"])
def test_without_a_position_one_must_be_given(tmp_path: Path, site: str | None) -> None:
    path = write_odim(polar_volume(storm(), elevations=FEW), tmp_path / "v.h5", site=site)
    with pytest.raises(InputError, match="--site LAT,LON,ALT"):
        read_volume(path)
    assert read_volume(path, site=Site(1.0, 2.0, 3.0)).site == Site(1.0, 2.0, 3.0)


def test_a_given_position_wins_over_the_file(tmp_path: Path) -> None:
    path = write_odim(polar_volume(storm(), elevations=FEW), tmp_path / "v.h5", site=Site(32.73, 152.025, 84.0))
    assert read_volume(path, site=SITE).site == SITE


def test_a_malfunction_is_refused(tmp_path: Path) -> None:
    made = polar_volume(storm(), elevations=FEW)
    path = write_odim(made, tmp_path / "v.h5", how={"malfunc": "True"})
    with pytest.raises(InputError, match="marks this volume as a malfunction"):
        read_volume(path)
    assert read_volume(write_odim(made, tmp_path / "w.h5", how={"malfunc": "False"})).defect == ""


def test_an_old_volume_sent_again_is_refused(tmp_path: Path) -> None:
    path = write_odim(
        polar_volume(storm(), elevations=FEW), tmp_path / "v.h5", sweep_time=START - np.timedelta64(1000, "D")
    )
    with pytest.raises(InputError, match="contradict each other"):
        read_volume(path)


def test_without_a_nominal_time_the_first_sweep_counts(tmp_path: Path) -> None:
    path = write_odim(polar_volume(storm(), elevations=FEW), tmp_path / "v.h5")
    with h5py.File(path, "a") as file:
        del file["what"].attrs["date"]
        file["dataset2/what"].attrs["starttime"] = np.bytes_("000130")
    assert read_volume(path).time == START


def test_a_sweep_group_without_data_is_a_defect(tmp_path: Path) -> None:
    path = write_odim(polar_volume(storm(), elevations=FEW), tmp_path / "v.h5")
    with h5py.File(path, "a") as file:
        file.create_group("dataset5/data1")
    assert read_volume(path).defect == "1 of 5 sweeps are empty"


def test_damaged_data_cost_their_sweep_only(tmp_path: Path) -> None:
    path = write_odim(polar_volume(storm(), elevations=FEW), tmp_path / "v.h5")
    with h5py.File(path) as file:
        stored = file["dataset2/data1/data"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[stored.byte_offset : stored.byte_offset + stored.size] = b"\x55" * stored.size
    path.write_bytes(data)
    read = read_volume(path)
    assert read.defect == "1 of 4 sweeps are damaged"
    assert read.elevations_deg == pytest.approx((0.5, 1.9, 2.7))


def test_a_composite_is_refused(tmp_path: Path) -> None:
    path = write_odim(polar_volume(storm(), elevations=FEW), tmp_path / "v.h5")
    with h5py.File(path, "a") as file:
        file["what"].attrs["object"] = np.bytes_("COMP")
    with pytest.raises(InputError, match="is a composite map"):
        read_volume(path)


def test_a_volume_without_reflectivity_is_refused(tmp_path: Path) -> None:
    path = write_odim(polar_volume(storm(), elevations=FEW), tmp_path / "v.h5", quantity="VRADH")
    with pytest.raises(InputError, match="no sweep holds reflectivity"):
        read_volume(path)


def test_the_header_is_read_without_the_data(tmp_path: Path) -> None:
    path = write_odim(polar_volume(storm(), elevations=FEW), tmp_path / "v.h5", source="WMO:02588,RAD:SE47,NOD:sehem")
    head = read_volume_head(path)
    assert (head.time, head.radar, head.site) == (START, "sehem", SITE)
    assert read_elevations(head) == pytest.approx(FEW)
