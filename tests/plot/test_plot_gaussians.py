"""Gaussians as ellipses: projections and cuts against direct evaluation, motion, and the picture."""

from __future__ import annotations

from dataclasses import replace

import helpers
import numpy as np
import pytest
import torch
from matplotlib.quiver import Quiver

from nowcast.errors import UsageError
from nowcast.plot import Line, plot_gaussians
from nowcast.plot.ellipses import covariances_km2, cut_by, from_above, mean_motion
from nowcast.types import GaussianSequence, GaussianSet


def some_gaussians(count: int = 5, seed: int = 3) -> GaussianSet:
    rng = np.random.default_rng(seed)

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32)

    return GaussianSet(
        tensor(rng.uniform([-20e3, -20e3, 2e3], [20e3, 20e3, 9e3], (count, 3))),
        tensor(np.log(rng.uniform(800.0, 8000.0, (count, 3)))),
        tensor(rng.normal(size=(count, 4))),
        tensor(rng.uniform(5.0, 40.0, (count, 1))),
    )


def sequence_of(gaussians: GaussianSet, velocity: tuple[float, float, float] = (10.0, 0.0, 0.0)) -> GaussianSequence:
    count = len(gaussians)
    return GaussianSequence(
        gaussians.means[None],
        gaussians.log_scales[None],
        gaussians.quats[None],
        gaussians.intensities[None],
        torch.tensor(velocity).expand(1, count, 3),
        torch.arange(count),
        np.array(["2020-01-01T00:00"], "datetime64[ns]"),
        helpers.small_grid((6, 24, 28)),
    )


def value_at(gaussians: GaussianSet, point_km: np.ndarray) -> np.ndarray:
    """Each Gaussian at a point (x, y, z), straight from the definition in the rotated frame."""
    w, x, y, z = (gaussians.quats / gaussians.quats.norm(dim=1, keepdim=True)).double().numpy().T
    offset = point_km * 1e3 - gaussians.means.double().numpy()
    # Rotate into the Gaussian's own axes by the conjugate quaternion: v + 2 u x (u x v + w v), u = -(x, y, z).
    u = -np.stack([x, y, z], axis=1)
    own = offset + 2 * np.cross(u, np.cross(u, offset) + w[:, None] * offset)
    q = ((own / np.exp(gaussians.log_scales.double().numpy())) ** 2).sum(axis=1)
    return gaussians.intensities[:, 0].double().numpy() * np.exp(-0.5 * q)


def test_a_cut_is_the_gaussian_in_that_plane() -> None:
    gaussians = some_gaussians()
    line = Line(-15.0, 4.0, 12.0, -7.0)
    cut = cut_by(gaussians, line)
    for along, height in [(3.0, 2.0), (14.0, 5.5), (25.0, 9.0)]:
        ground = np.array([line.x0, line.y0]) + along * line.direction
        expected = value_at(gaussians, np.array([*ground, height]))
        offset = np.array([along, height]) - cut.centres
        q = np.einsum("ki,kij,kj->k", offset, np.linalg.inv(cut.covariances), offset)
        np.testing.assert_allclose(cut.amplitudes * np.exp(-0.5 * q), expected, rtol=1e-4, atol=1e-7)


def test_seen_from_above_is_the_marginal() -> None:
    gaussians = some_gaussians(1)
    seen = from_above(gaussians)
    generator = np.random.default_rng(0)
    drawn = generator.multivariate_normal(np.zeros(3), covariances_km2(gaussians)[0], 200_000)
    np.testing.assert_allclose(np.cov(drawn[:, :2].T), seen.covariances[0], rtol=0.03, atol=0.3)
    np.testing.assert_allclose(seen.centres, gaussians.means[:, :2].numpy() / 1e3)


def test_an_upright_gaussian_keeps_its_scales() -> None:
    gaussians = replace(some_gaussians(1), quats=torch.tensor([[2.0, 0.0, 0.0, 0.0]]))
    variances = np.exp(2 * gaussians.log_scales[0].numpy()) / 1e6
    np.testing.assert_allclose(covariances_km2(gaussians)[0], np.diag(variances), rtol=1e-5, atol=1e-9)


def test_the_strongest_are_kept() -> None:
    gaussians = replace(some_gaussians(4), intensities=torch.tensor([[3.0], [-20.0], [9.0], [30.0]]))
    kept = from_above(gaussians).strongest(2, 5.0)
    np.testing.assert_array_equal(kept.amplitudes, [30.0, -20.0])
    assert len(from_above(gaussians).strongest(10, 5.0).amplitudes) == 3


def test_motion_is_averaged_by_amplitude() -> None:
    gaussians = GaussianSet(
        torch.tensor([[1e3, 1e3, 2e3], [3e3, 1e3, 2e3], [55e3, 1e3, 2e3], [2e3, 2e3, 2e3]]),
        torch.zeros(4, 3),
        torch.tensor([[1.0, 0.0, 0.0, 0.0]]).expand(4, 4),
        torch.tensor([[30.0], [10.0], [20.0], [0.0]]),
    )
    velocities = np.array([[4.0, 0.0, 0.0], [8.0, 4.0, 0.0], [1.0, 1.0, 0.0], [99.0, 99.0, 0.0]])
    places, motion = mean_motion(from_above(gaussians), velocities[:, :2], (10.0, 10.0))
    np.testing.assert_allclose(places, [[1.5, 1.0], [55.0, 1.0]])
    np.testing.assert_allclose(motion, [[5.0, 1.0], [1.0, 1.0]])
    idle = replace(gaussians, intensities=torch.zeros(4, 1))
    assert mean_motion(from_above(idle), velocities[:, :2], (10.0, 10.0))[0].shape == (0, 2)


def test_arrows_show_where_the_gaussians_go_in_map_and_section() -> None:
    """In an hour, along a section that runs at 60 degrees to the motion."""
    sequence = sequence_of(replace(some_gaussians(40), quats=torch.tensor([[1.0, 0, 0, 0]]).expand(40, 4)), (8, 0, 0.5))
    volumes = helpers.moving_cells(sequence.grid, steps=2)
    figure = plot_gaussians(sequence, volumes, line=Line(-15.0, -15.0 * 3**0.5, 15.0, 15.0 * 3**0.5))
    drawn = [(axes, part) for axes in figure.axes for part in axes.collections if isinstance(part, Quiver)]
    heads = [text.get_text() for axes, _ in drawn for text in axes.texts if text.get_text().startswith("GAUSSIANS")]
    assert heads == ["GAUSSIANS FROM ABOVE", "GAUSSIANS CUT BY THE SECTION"]
    above, cut = (arrows for _, arrows in drawn)
    np.testing.assert_allclose(above.U, 28.8, rtol=1e-5)
    np.testing.assert_allclose(above.V, 0.0, atol=1e-9)
    np.testing.assert_allclose(cut.U, 14.4, rtol=1e-5)
    np.testing.assert_allclose(cut.V, 1.8, rtol=1e-5)


@pytest.mark.parametrize("amplitude", [1.0, 0.0, -1.0])
def test_pictures_with_and_without_volumes_draw(amplitude: float) -> None:
    gaussians = some_gaussians(30)
    sequence = sequence_of(replace(gaussians, intensities=amplitude * gaussians.intensities))
    volumes = helpers.moving_cells(sequence.grid, steps=2)
    volumes.values[..., :5], volumes.mask[..., :5] = np.nan, False
    for figure in (plot_gaussians(sequence), plot_gaussians(sequence, volumes, line=Line(-20.0, -20.0, 20.0, 20.0))):
        figure.canvas.draw()
    both = plot_gaussians(sequence, volumes)
    assert len(both.axes) == 8 + 2 and "the peak of that Gaussian alone" in both.axes[-2].get_xlabel()
    with pytest.raises(UsageError, match="no time 1"):
        plot_gaussians(sequence, index=1)
