"""The checked types: what they say of themselves, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from gaussian_cases import drifting
from helpers import moving_cells, small_grid

from nowcast.errors import InputError
from nowcast.types import GridSpec, VolumeSequence

GRID = small_grid((4, 10, 12))
VOLUMES = moving_cells(GRID, steps=3)


def partly_observed() -> VolumeSequence:
    """The lowest level was not observed."""
    values, mask = VOLUMES.values.copy(), VOLUMES.mask.copy()
    mask[:, 0] = False
    values[:, :, 0] = np.nan
    return replace(VOLUMES, values=values, mask=mask)


def test_a_grid_comes_back_from_its_axes() -> None:
    again = GridSpec.from_axes(GRID.origin_lat, GRID.origin_lon, GRID.z, GRID.y, GRID.x)
    assert again == GRID
    single = GridSpec.from_axes(0.0, 0.0, [2000.0], GRID.y, GRID.x, alt=50.0)
    assert (single.shape[0], single.z.tolist(), single.origin_alt) == (1, [2000.0], 50.0)


@pytest.mark.parametrize("axis", [[0.0, 1.0, 3.0], [2.0, 1.0, 0.0], [[0.0], [1.0]], [], [0.0, 0.0]])
def test_axes_that_are_not_even_and_rising_are_refused(axis: Any) -> None:
    with pytest.raises(InputError, match="grid axis y"):
        GridSpec.from_axes(0.0, 0.0, GRID.z, axis, GRID.x)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"origin_lat": 91.0}, "latitude 91"),
        ({"origin_lat": float("nan")}, "latitude nan"),
        ({"origin_lon": 400.0}, "longitude 400"),
        ({"shape": (4, 0, 12)}, "shape"),
        ({"shape": (4, 10)}, "shape"),
        ({"spacing_m": (1000.0, -1.0, 1.0)}, "spacing"),
        ({"first_m": (0.0, 0.0)}, "first point"),
    ],
)
def test_impossible_grids_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(GRID, **change)


def test_grids_match_within_the_rounding_of_stored_coordinates() -> None:
    assert GRID.matches(GRID)
    stored = GridSpec.from_axes(np.float32(GRID.origin_lat), np.float32(GRID.origin_lon), *rounded(GRID))
    assert stored != GRID and stored.matches(GRID)


def rounded(grid: GridSpec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Axes as float32 kilometres hold them."""
    z, y, x = (1000.0 * (axis / 1000.0 + 1e-5).astype(np.float32) for axis in (grid.z, grid.y, grid.x))
    return z, y, x


@pytest.mark.parametrize(
    "change",
    [
        {"origin_lat": GRID.origin_lat + 1e-4},
        {"origin_lon": GRID.origin_lon - 1e-4},
        {"origin_alt": 50.0},
        {"shape": (4, 10, 11)},
        {"first_m": (1000.0, GRID.first_m[1] + 10.0, GRID.first_m[2])},
        {"spacing_m": (1000.0, 2500.0, 2500.9)},
    ],
)
def test_other_voxels_do_not_match(change: dict[str, Any]) -> None:
    """The last one is 10 m off at the far edge of this small grid, and more than a hundred at that of a large one."""
    assert not GRID.matches(replace(GRID, **change))
    assert not replace(GRID, **change).matches(GRID)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"values": VOLUMES.values[:, :, 1:]}, "values have shape"),
        ({"values": VOLUMES.values.astype(np.float64)}, "values are float64"),
        ({"mask": VOLUMES.mask[1:]}, "mask has shape"),
        ({"mask": VOLUMES.mask.astype(np.int8)}, "mask is int8"),
        ({"mask": ~VOLUMES.mask}, "NaN exactly where"),
        ({"values": VOLUMES.values * np.float32(np.nan)}, "NaN exactly where"),
        ({"channels": ("zdr",)}, "first channel"),
        ({"times": VOLUMES.times.astype("datetime64[s]")}, r"datetime64\[s\], not datetime64\[ns\]"),
        ({"times": VOLUMES.times[::-1]}, "do not rise"),
        ({"times": VOLUMES.times[[0, 1, 1]]}, "do not rise"),
        ({"sources": ("a",)}, "1 sources for 3 volumes"),
        ({"coverage": VOLUMES.mask}, "coverage"),
        ({"coverage": VOLUMES.values[0, 0]}, "coverage"),
    ],
)
def test_volumes_that_do_not_fit_together_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(VOLUMES, **change)


def test_large_volumes_are_checked_too() -> None:
    """Not at every voxel, but a mask that was not applied is noticed."""
    large = moving_cells(small_grid((10, 100, 100)), steps=2)
    mask = large.mask.copy()
    mask[:, :3] = False
    with pytest.raises(InputError, match="NaN exactly where"):
        replace(large, mask=mask)


def test_volumes_are_selected_by_time() -> None:
    volumes = replace(partly_observed(), sources=("a", "b", "c"), coverage=VOLUMES.mask[0])
    late = volumes.select([1, 2])
    assert late.sources == ("b", "c") and len(late) == 2 and late.coverage is not None
    np.testing.assert_array_equal(late.values, volumes.values[1:])
    assert len(volumes.until(volumes.times[1])) == 2
    assert len(volumes.until(volumes.times[0] - np.timedelta64(1, "s"))) == 0


def test_filled_volumes_have_no_echo_where_nothing_was_observed() -> None:
    filled = partly_observed().filled()
    assert (filled[:, 0] == 0.0).all()
    np.testing.assert_array_equal(filled[:, 1:], VOLUMES.reflectivity[:, 1:])


def test_taken_rows_stay_together() -> None:
    sequence, rows = drifting(8), torch.tensor([5, 0])
    part = sequence.take(rows)
    assert part.ids.tolist() == [105, 100] and len(part) == len(sequence)
    for t in range(len(sequence)):
        for name in ("means", "log_scales", "quats", "intensities"):
            assert torch.equal(getattr(part.at(t), name), getattr(sequence.at(t).take(rows), name))
            assert torch.equal(getattr(part.at(t), name)[0], getattr(sequence.at(t), name)[5])
    assert torch.equal(part.velocities, sequence.velocities[:, rows])


def test_active_is_what_draws_anything() -> None:
    gaussians = drifting(6, idle=2).at(-1)
    assert gaussians.active.tolist() == [True] * 4 + [False] * 2
    assert len(gaussians.take(gaussians.active)) == 4


def test_a_cut_sequence_is_put_together_again() -> None:
    whole = drifting(5, 4)
    again = whole.select(slice(0, 3)).concat(whole.select(slice(3, 4)))
    np.testing.assert_array_equal(again.times, whole.times)
    for name in ("means", "log_scales", "quats", "intensities", "velocities", "ids"):
        assert torch.equal(getattr(again, name), getattr(whole, name))
