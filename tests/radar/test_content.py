"""Files are known by what is in them."""

from __future__ import annotations

import gzip
from pathlib import Path

import h5py
import netCDF4
import pytest
from radar_files import ELEVATIONS, polar_volume, storm, write_odim

from nowcast.errors import InputError
from nowcast.radar import read_volume, sniff


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.h5 does not exist"):
        sniff(tmp_path / "none.h5")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        sniff(tmp_path)


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.h5"
    path.touch()
    with pytest.raises(InputError, match=r"is empty \(0 bytes\)"):
        sniff(path)


def test_a_text_named_h5(tmp_path: Path) -> None:
    path = tmp_path / "readme.h5"
    path.write_text("This is no radar volume.\n" * 10)
    with pytest.raises(InputError, match="is a text file"):
        sniff(path)


def test_random_bytes(tmp_path: Path) -> None:
    path = tmp_path / "random.nc"
    path.write_bytes(bytes(range(256)) * 4)
    with pytest.raises(InputError, match="of an unknown format"):
        sniff(path)


@pytest.mark.parametrize("keep", [5, 40, 4000])
def test_a_truncated_gzip(tmp_path: Path, keep: int) -> None:
    import numpy as np

    noise = np.random.default_rng(1).integers(0, 256, 20_000, dtype=np.uint8).tobytes()
    path = tmp_path / "KXYZ20200101_000000.gz"
    path.write_bytes(gzip.compress(b"AR2V0006.001" + noise)[:keep])
    with pytest.raises(InputError, match="truncated or damaged"):
        read_volume(path)


def test_a_truncated_hdf5(tmp_path: Path) -> None:
    path = write_odim(polar_volume(storm(), elevations=ELEVATIONS[:3]), tmp_path / "v.h5")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match="damaged HDF5 file"):
        sniff(path)


def test_an_hdf5_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["weights"] = [1.0, 2.0]
    with pytest.raises(InputError, match="neither a polar radar volume nor a grid"):
        sniff(path)


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    path = write_odim(polar_volume(storm(), elevations=ELEVATIONS[:2]), tmp_path / "picture.png")
    assert sniff(path) == "odim"


def test_odim_without_conventions_is_known_by_its_groups(tmp_path: Path) -> None:
    path = write_odim(polar_volume(storm(), elevations=ELEVATIONS[:2]), tmp_path / "v", root=False)
    assert sniff(path) == "odim"


@pytest.mark.parametrize(
    ("dims", "kind"),
    [(("z", "y", "x"), "grid"), (("height", "y", "x"), "grid"), (("azimuth", "range", "elevation"), "cfradial")],
)
@pytest.mark.parametrize("flavour", ["NETCDF4", "NETCDF3_CLASSIC"])
def test_netcdf_is_known_by_its_dimensions(tmp_path: Path, dims: tuple[str, ...], kind: str, flavour: str) -> None:
    path = tmp_path / "v.nc"
    with netCDF4.Dataset(path, "w", format=flavour) as file:
        for dim in dims:
            file.createDimension(dim, 2)
            file.createVariable(dim, "f4", (dim,))
    assert sniff(path) == kind


def test_a_gridded_file_is_no_polar_volume(tmp_path: Path) -> None:
    path = tmp_path / "v.nc"
    with netCDF4.Dataset(path, "w") as file:
        for dim in ("z", "y", "x"):
            file.createDimension(dim, 2)
            file.createVariable(dim, "f4", (dim,))
    with pytest.raises(InputError, match="an already gridded file, not a polar volume"):
        read_volume(path)
