from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from gaussian_cases import drifting
from helpers import moving_cells, small_grid

from nowcast.gaussians import coherence_voxels, compressed_bytes, equal_error_bytes
from nowcast.types import GaussianSequence

GRID = small_grid((5, 20, 24))
DZ, DY, DX = GRID.spacing_m


def moved_by(shift_m: torch.Tensor, amplitude: list[float] | None = None) -> GaussianSequence:
    """Gaussians near each other, and the same after shifts ``[N, 3]``."""
    sequence = drifting(len(shift_m), 2, grid=GRID)
    start = sequence.means[:1] * torch.tensor([0.05, 0.05, 0.05])
    moved = replace(sequence, means=torch.cat([start, start + shift_m]))
    if amplitude is None:
        return moved
    return replace(moved, intensities=torch.tensor(amplitude)[None, :, None].expand(2, -1, 1).clone())


def test_what_moves_as_one_is_coherent() -> None:
    together = torch.tensor([3 * DX, -DY, 0.0]).expand(30, 3)
    assert coherence_voxels(moved_by(together)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("axis", "spacing"), [(0, DX), (1, DY), (2, DZ)])
def test_two_that_part_are_as_incoherent_as_they_part(axis: int, spacing: float) -> None:
    apart = torch.zeros(2, 3)
    apart[0, axis], apart[1, axis] = 0.5 * spacing, -0.5 * spacing
    assert coherence_voxels(moved_by(apart, [20.0, 20.0])) == pytest.approx(1.0, rel=1e-4)


def test_incoherence_counts_by_intensity() -> None:
    """One Gaussian moves by a voxel and two stay: each differs from the weighted mean of the others."""
    shift = torch.zeros(3, 3)
    shift[0, 0] = DX
    sequence = moved_by(shift, [10.0, 10.0, 10.0])
    sequence.means[0] = torch.arange(3.0)[:, None]  # metres: as good as one place
    sequence.means[1] = sequence.means[0] + shift
    assert coherence_voxels(sequence) == pytest.approx(math.sqrt((1.0 + 0.25 + 0.25) / 3), rel=1e-5)
    strong = replace(sequence, intensities=torch.tensor([40.0, 10.0, -10.0])[None, :, None].expand(2, -1, 1).clone())
    expected = (40 * 1.0 + 10 * 0.8**2 + 10 * 0.8**2) / 60
    assert coherence_voxels(strong) == pytest.approx(math.sqrt(expected), rel=1e-5)


def test_no_neighbour_or_no_step_is_no_coherence() -> None:
    assert math.isnan(coherence_voxels(drifting(20, 1, grid=GRID)))
    assert math.isnan(coherence_voxels(drifting(20, 3, grid=GRID, idle=19)))


def test_idle_gaussians_take_no_room_and_noise_does_not_compress() -> None:
    full, some = drifting(400, 1, grid=GRID).at(0), drifting(400, 1, grid=GRID, idle=300).at(0)
    assert 10 * 400 < compressed_bytes(full, GRID) < 44 * 400 / 2  # of 11 floats
    assert compressed_bytes(some, GRID) == pytest.approx(compressed_bytes(full, GRID) / 4, rel=0.1)
    several = replace(full, intensities=torch.cat([full.intensities, torch.rand(400, 2)], dim=1))
    assert compressed_bytes(several, GRID) == compressed_bytes(full, GRID)


def test_bytes_of_uniform_noise_are_its_entropy_at_the_error() -> None:
    """Values uniform over 64 dBZ rounded to steps of q: error q^2 / 12, log2(64 / q) bits a voxel."""
    rng = np.random.default_rng(0)
    values = rng.uniform(0.0, 64.0, (20, 40, 40)).astype(np.float32)
    mask = np.ones(values.shape, bool)
    for step in (1.0, 4.0):
        psnr = -10 * math.log10((step / 70) ** 2 / 12)
        entropy = values.size * math.log2(64 / step) / 8
        found = equal_error_bytes(values, mask, psnr)
        assert found is not None and 0.98 * entropy < found < 1.35 * entropy


def test_bytes_fall_with_the_error_and_without_echo() -> None:
    volumes = moving_cells(GRID, steps=1)
    values, mask = volumes.reflectivity[0], volumes.mask[0].copy()
    sizes = [equal_error_bytes(values, mask, psnr) for psnr in (50.0, 40.0, 30.0)]
    assert None not in sizes and sizes == sorted(sizes, reverse=True)  # type: ignore[type-var]
    mask[:, :10] = False
    blind = np.where(mask, values, np.float32(np.nan))
    half = equal_error_bytes(blind, mask, 40.0)
    assert half is not None and half < sizes[1]  # type: ignore[operator]
    assert equal_error_bytes(values, mask, math.inf) is None and equal_error_bytes(values, mask, math.nan) is None
