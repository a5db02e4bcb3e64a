"""Our own files come back as they were written, and refuse what they are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import helpers
import netCDF4
import numpy as np
import pytest
import torch
import xarray as xr

from nowcast.channels import scales_of
from nowcast.errors import InputError, OutputError
from nowcast.io.atomic import atomic_path, atomic_write_text
from nowcast.io.forecasts import is_forecast_file, read_forecast, write_forecast
from nowcast.io.gaussians import as_stored, read_windows, steps_of, write_windows
from nowcast.io.volumes import is_volume_file, read_volumes, write_volumes
from nowcast.types import FittedWindow, Forecast, GaussianSequence, VolumeSequence


def _volumes_with_gap() -> VolumeSequence:
    seq = helpers.moving_cells(helpers.small_grid((3, 10, 12)), steps=3)
    values, mask = seq.values.copy(), seq.mask.copy()
    mask[:, 0, :3] = False
    values[~mask[:, None]] = np.nan
    return VolumeSequence(values, mask, seq.times, seq.grid, sources=("a", "b", "c"))


def test_volumes_round_trip_keeps_missing_apart_from_no_echo(tmp_path: Path) -> None:
    seq = _volumes_with_gap()
    write_volumes(seq, tmp_path / "v.nc")
    back = read_volumes(tmp_path / "v.nc")
    np.testing.assert_array_equal(back.mask, seq.mask)
    np.testing.assert_allclose(back.values, seq.values, atol=0.0051)
    assert back.grid.matches(seq.grid) and back.sources == seq.sources
    np.testing.assert_array_equal(back.times, seq.times)
    assert is_volume_file(tmp_path / "v.nc") and not is_forecast_file(tmp_path / "v.nc")


def _with_zdr(seq: VolumeSequence) -> VolumeSequence:
    """The volumes with differential reflectivity where there is echo, and a channel that was never measured."""
    zdr = np.where(seq.reflectivity > 20, 0.04 * seq.reflectivity, np.nan).astype(np.float32)
    values = np.stack([seq.reflectivity, zdr, np.full_like(zdr, np.nan)], axis=1)
    return replace(seq, values=values, channels=("reflectivity", "zdr", "divergence"))


def test_channels_round_trip_with_a_mask_of_their_own(tmp_path: Path) -> None:
    seq = _with_zdr(_volumes_with_gap())
    write_volumes(seq, tmp_path / "v.nc")
    back = read_volumes(tmp_path / "v.nc")
    assert back.channels == seq.channels
    np.testing.assert_allclose(back.values, seq.values, atol=0.0051)
    np.testing.assert_array_equal(back.mask, seq.mask)
    with xr.open_dataset(tmp_path / "v.nc") as file:
        assert file["zdr"].units == "dB" and file["divergence"].units == "s-1"
    assert read_volumes(tmp_path / "v.nc", ("reflectivity",)).values.shape[1] == 1
    other = read_volumes(tmp_path / "v.nc", ("reflectivity", "rhohv"))
    assert other.channels == ("reflectivity", "rhohv") and np.isnan(other.values[:, 1]).all()


def test_windows_of_several_channels_round_trip(tmp_path: Path) -> None:
    seq = _with_zdr(_volumes_with_gap())
    gaussians = replace(_window(1, False).gaussians, intensities=torch.rand(3, 5, 3), channels=seq.channels)
    write_windows([FittedWindow(gaussians, 2, "storm", seq)], tmp_path / "g.nc")
    [back] = read_windows(tmp_path / "g.nc")
    assert back.gaussians.channels == seq.channels
    steps = scales_of(seq.channels).min() / 1400
    torch.testing.assert_close(back.gaussians.intensities, gaussians.intensities, atol=0.51 * steps, rtol=0)
    assert back.volumes is not None
    np.testing.assert_allclose(back.volumes.values, seq.values, atol=0.0051)
    with xr.open_dataset(tmp_path / "g.nc") as file:
        assert list(file["channel_unit"].values) == ["dBZ", "dB", "s-1"]
    alone = back.with_channels(("reflectivity",))
    assert alone.gaussians.intensities.shape[2] == 1 and alone.volumes.values.shape[1] == 1  # type: ignore[union-attr]


def _forecast(members: int) -> Forecast:
    seq = _volumes_with_gap()
    values = np.repeat(np.stack([seq.values[:2, 0]]), members, axis=0)
    leads = np.array([10, 20], "timedelta64[m]").astype("timedelta64[ns]")
    return Forecast(seq.times[-1], leads, values, seq.grid, "advection", {"inputs": ["a"]})


@pytest.mark.parametrize("members", [1, 3])
def test_forecast_round_trip(tmp_path: Path, members: int) -> None:
    forecast = _forecast(members)
    write_forecast(forecast, tmp_path / "f.nc", history="test")
    back = read_forecast(tmp_path / "f.nc")
    np.testing.assert_allclose(back.values, forecast.values, atol=0.0051)
    np.testing.assert_array_equal(back.mask, forecast.mask)
    np.testing.assert_array_equal(back.lead_times, forecast.lead_times)
    assert back.init_time == forecast.init_time and back.provenance == {"inputs": ["a"]}


def test_an_ensemble_file_holds_what_its_members_say_together(tmp_path: Path) -> None:
    forecast = _forecast(4)
    forecast.values[:] = np.random.default_rng(0).uniform(0, 60, forecast.values.shape)
    forecast.values[:, :, 0, :3] = np.nan
    control = forecast.values[1].copy()
    write_forecast(replace(forecast, control=control), tmp_path / "f.nc")
    back = read_forecast(tmp_path / "f.nc")
    assert back.control is not None
    np.testing.assert_allclose(back.control, control, atol=0.0051)
    np.testing.assert_allclose(back.values, forecast.values, atol=0.0051)
    with xr.open_dataset(tmp_path / "f.nc", decode_timedelta=True) as file:
        np.testing.assert_allclose(file.reflectivity_mean, forecast.values.mean(axis=0), atol=0.0051)
        above = file.exceedance_probability.sel(threshold=35.0)
        seen = np.isfinite(forecast.values).all(axis=0)
        np.testing.assert_allclose(above.values[seen], (forecast.values >= 35).mean(axis=0)[seen], atol=1e-4)
        assert np.isnan(above.values[~seen]).all()
        assert file.column_exceedance_probability.dims == ("threshold", "lead_time", "y", "x")
        median = file.reflectivity_quantile.sel(quantile=0.5)
        np.testing.assert_allclose(median.values[seen], np.median(forecast.values, axis=0)[seen], atol=0.0051)
        assert np.isfinite(file.reflectivity_matched_mean.values[seen]).all()


def test_forecast_file_is_plain_cf(tmp_path: Path) -> None:
    write_forecast(_forecast(1), tmp_path / "f.nc")
    with xr.open_dataset(tmp_path / "f.nc", decode_timedelta=True) as ds:
        assert ds.reflectivity.dims == ("lead_time", "z", "y", "x")
        assert ds.valid_time.dims == ("lead_time",) and ds.forecast_reference_time.shape == ()
        assert ds[ds.reflectivity.attrs.get("grid_mapping", "projection")].attrs["grid_mapping_name"]
        assert ds.attrs["Conventions"].startswith("CF-1.")
        assert np.isnan(ds.reflectivity.values[:, 0, :3]).all()
        assert ds.lead_time.values[0] == np.timedelta64(10, "m")


def _window(seed: int, with_volumes: bool) -> FittedWindow:
    seq = _volumes_with_gap()
    g = torch.Generator().manual_seed(seed)
    shapes = {"means": 3, "log_scales": 3, "quats": 4, "intensities": 1, "velocities": 3}
    tensors = {k: torch.randn(3, 5, w, generator=g) for k, w in shapes.items()}
    gaussians = GaussianSequence(**tensors, ids=torch.arange(5) + seed, times=seq.times, grid=seq.grid)
    return FittedWindow(gaussians, 2, f"event-{seed}", seq if with_volumes else None)


@pytest.mark.parametrize("with_volumes", [True, False])
@pytest.mark.parametrize("exact", [True, False])
def test_gaussian_windows_round_trip(tmp_path: Path, with_volumes: bool, exact: bool) -> None:
    windows = [_window(s, with_volumes) for s in (1, 2)]
    write_windows(windows, tmp_path / "g.nc", exact=exact)
    back = read_windows(tmp_path / "g.nc")
    for old, new in zip(windows, back, strict=True):
        expected = old.gaussians if exact else as_stored(old.gaussians)
        for name in ("means", "log_scales", "quats", "intensities", "velocities", "ids"):
            assert torch.equal(getattr(expected, name), getattr(new.gaussians, name)), name
        assert (new.event, new.inputs) == (old.event, old.inputs)
        assert (new.volumes is not None) == with_volumes


def test_what_is_stored_is_near_and_stays_as_it_is_when_stored_again() -> None:
    gaussians = _window(1, False).gaussians
    gaussians.intensities[0, 0] = 0.001
    stored = as_stored(gaussians)
    for name, step in steps_of(gaussians.grid, gaussians.channels).items():
        error = (getattr(stored, name) - getattr(gaussians, name)).abs().max()
        assert error <= (1.0 if name == "intensities" else 0.501) * step, name
        assert torch.equal(getattr(as_stored(stored), name), getattr(stored, name)), name
    assert torch.equal(stored.intensities != 0, gaussians.intensities != 0)


def test_gaussian_windows_keep_the_coverage_of_their_volumes(tmp_path: Path) -> None:
    """Training compares only voxels that held a value: without it, it would learn from the blind ones."""
    window = _window(1, True)
    assert window.volumes is not None
    coverage = window.volumes.mask.any(axis=0)
    coverage[1] = False
    covered = replace(window, volumes=replace(window.volumes, coverage=coverage))
    write_windows([covered, covered], tmp_path / "g.nc")
    for back in read_windows(tmp_path / "g.nc"):
        assert back.volumes is not None
        np.testing.assert_array_equal(back.volumes.coverage, coverage)
    with pytest.raises(InputError, match="kept volumes need a file each"):
        write_windows([covered, window], tmp_path / "g.nc")


@pytest.mark.parametrize(
    "lost", ["projection", "reflectivity", "time", "lead_time", "x", "uneven x", "method", "means"]
)
def test_a_damaged_file_of_ours_is_named(tmp_path: Path, lost: str) -> None:
    """Never a traceback: a batch goes on with the next file."""
    write_volumes(_volumes_with_gap(), tmp_path / "v.nc")
    write_forecast(_forecast(1), tmp_path / "f.nc")
    write_windows([_window(1, True)], tmp_path / "g.nc")
    readers = {"f.nc": read_forecast, "g.nc": read_windows, "v.nc": read_volumes}
    own = {
        "method": ("f.nc",),
        "lead_time": ("f.nc",),
        "means": ("g.nc",),
        "time": ("g.nc", "v.nc"),
        "reflectivity": ("f.nc", "v.nc"),
    }
    for name in own.get(lost, tuple(readers)):
        with netCDF4.Dataset(tmp_path / name, "a") as file:
            if lost == "method":
                file.delncattr("method")
            elif lost == "uneven x":
                file["x"][:] = file["x"][:] ** 2
            else:
                file.renameVariable(lost, "lost")
        with pytest.raises(InputError, match=rf"{name} cannot be read as a"):
            readers[name](tmp_path / name)


def test_another_kind_of_file_is_refused_in_words(tmp_path: Path) -> None:
    write_volumes(_volumes_with_gap(), tmp_path / "v.nc")
    with pytest.raises(InputError, match="not a forecast file but a volumes file"):
        read_forecast(tmp_path / "v.nc")
    (tmp_path / "t.nc").write_text("hello")
    with pytest.raises(InputError, match="cannot be read"):
        read_windows(tmp_path / "t.nc")
    with pytest.raises(InputError, match="does not exist"):
        read_volumes(tmp_path / "none.nc")


def test_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    atomic_write_text(target, "old")
    with pytest.raises(KeyboardInterrupt), atomic_path(target) as path:
        path.write_text("half")
        raise KeyboardInterrupt
    assert target.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_unwritable_target_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder"), atomic_path(tmp_path):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_volumes(_volumes_with_gap(), tmp_path / "file" / "v.nc")


def test_a_flipped_bit_in_the_gaussians_or_their_ids_is_told(tmp_path: Path) -> None:
    path = tmp_path / "g.nc"
    write_windows([_window(1, False)], path, exact=True)
    whole = path.read_bytes()
    with netCDF4.Dataset(path) as file:
        names = [name for name in ("means", "ids") if file[name].filters()["fletcher32"]]
    assert names == ["means", "ids"]
    expected = read_windows(path)[0].gaussians
    told = 0
    for at in np.random.default_rng(0).integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        path.write_bytes(damaged)
        try:
            found = read_windows(path)[0].gaussians
        except InputError:
            told += 1
            continue
        assert torch.equal(found.means, expected.means) and torch.equal(found.ids, expected.ids)
    assert told > 0
