"""Extrapolation of Gaussians against flows with a known answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import small_grid

from nowcast.errors import UsageError
from nowcast.gaussians import advect, render
from nowcast.gaussians.shape import covariances
from nowcast.types import GaussianSequence, GaussianSet

GRID = small_grid((9, 60, 60), 1000.0)
LEADS = [600.0, 1800.0]


def sequence(velocity: np.ndarray | None = None, n: int = 200, seed: int = 0, idle: int = 0) -> GaussianSequence:
    """Gaussians within 18 km with velocities from a matrix (per second) times position, or at rest."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(-1, 1, (n, 3)) * (18e3, 18e3, 3500.0) + (0, 0, 4500.0)
    scales = np.log(rng.uniform(0.8, 1.6, (n, 3)) * (2000.0, 1500.0, 900.0))
    quats = np.array([1.0, 0, 0, 0]) + rng.normal(0, 0.2, (n, 4))
    amplitudes = rng.uniform(5, 20, (n, 1))
    amplitudes[n - idle :] = 0.0
    moving = np.zeros((n, 3)) if velocity is None else (means - (0, 0, 4500.0)) @ velocity.T
    parts = (means, scales, quats, amplitudes, moving)
    tensors = [torch.from_numpy(a.astype(np.float32))[None] for a in parts]
    times = np.array(["2020-01-01"], "datetime64[ns]")
    return GaussianSequence(*tensors, ids=torch.arange(n), times=times, grid=GRID)


def uniform(s: GaussianSequence, u: float, v: float) -> GaussianSequence:
    return replace(s, velocities=torch.tensor([u, v, 0.0]).expand(s.means.shape).contiguous())


def test_uniform_motion_shifts_and_keeps_every_shape() -> None:
    s = uniform(sequence(), 8.0, -3.0)
    for lead, moved in zip(LEADS, advect(s, LEADS, spread=False), strict=True):
        torch.testing.assert_close(moved.means, s.means[0] + torch.tensor([8.0, -3.0, 0.0]) * lead, atol=1.0, rtol=0)
        torch.testing.assert_close(moved.log_scales, s.log_scales[0], atol=2e-3, rtol=0)
        torch.testing.assert_close(moved.intensities, s.intensities[0], rtol=2e-3, atol=0)


def test_no_motion_without_spread_leaves_the_field() -> None:
    s = sequence()
    for moved in advect(s, [0.0, 3600.0], spread=False):
        np.testing.assert_allclose(render(moved, GRID), render(s.at(-1), GRID), atol=0.05)


@pytest.mark.parametrize("name", ["rotation", "shear with height", "stretching"])
def test_linear_flow_deforms_as_it_should(name: str) -> None:
    rate = {
        "rotation": np.array([[0, -2e-4, 0], [2e-4, 0, 0], [0, 0, 0]]),
        "shear with height": np.array([[0, 0, 1.5e-3], [0, 0, 0], [0, 0, 0]]),
        "stretching": np.array([[2e-4, 0, 0], [0, -1e-4, 0], [0, 0, 0]]),
    }[name]
    s = sequence(rate, n=1500)
    lead = 1200.0
    moved = advect(s, [lead], spread=False)[0]
    power = np.eye(3) + rate * lead + (rate @ rate) * lead**2 / 2 + (rate @ rate @ rate) * lead**3 / 6
    start = s.means[0].numpy().astype(np.float64) - (0, 0, 4500.0)
    inner = (np.linalg.norm(start[:, :2], axis=1) < 10e3) & (np.abs(start[:, 2]) < 2000)
    error = moved.means.numpy() - (start @ power.T + (0, 0, 4500.0))
    assert np.sqrt((error[inner] ** 2).mean()) < 350.0
    before = covariances(s.log_scales[0].double().numpy(), s.quats[0].double().numpy())
    after = covariances(moved.log_scales.double().numpy(), moved.quats.double().numpy())
    true = power @ before @ power.T
    size = np.linalg.norm(true, axis=(1, 2))
    off = np.linalg.norm(after - true, axis=(1, 2)) / size
    assert np.median(off[inner]) < 0.12


def test_spread_blurs_and_dims_with_lead_time() -> None:
    s = sequence()
    early, late = advect(s, LEADS)
    assert (late.intensities < early.intensities).all() and (early.intensities < s.intensities[0]).all()
    peaks = [render(g, GRID).max() for g in (s.at(-1), early, late)]
    assert peaks[0] > peaks[1] > peaks[2]


def test_idle_gaussians_stay_idle_and_do_not_steer() -> None:
    s = uniform(sequence(idle=50), 5.0, 5.0)
    s.velocities[0, -50:] = torch.tensor([-40.0, 0.0, 0.0])
    moved = advect(s, [600.0])[0]
    assert not moved.intensities[-50:].any() and moved.intensities[:-50].all()
    torch.testing.assert_close(
        moved.means[:150], s.means[0, :150] + torch.tensor([3000.0, 3000.0, 0.0]), atol=1.0, rtol=0
    )


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_gaussians(count: int) -> None:
    s = uniform(sequence(n=3, idle=3 - count), 5.0, 0.0)
    moved = advect(s, [600.0])[0]
    assert isinstance(moved, GaussianSet) and all(torch.isfinite(p).all() for p in vars(moved).values())
    if count:
        torch.testing.assert_close(moved.means[0], s.means[0, 0] + torch.tensor([3000.0, 0.0, 0.0]), atol=1.0, rtol=0)


def test_leads_must_rise() -> None:
    for bad in ([600.0, 300.0], [-1.0]):
        with pytest.raises(UsageError, match="do not rise"):
            advect(sequence(n=3), bad)
    assert advect(sequence(n=3), []) == []
