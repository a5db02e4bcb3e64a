"""Descriptors and features of Gaussians."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from gaussian_cases import drifting

from nowcast.gaussians import render
from nowcast.gaussians.shape import quaternion_product
from nowcast.models.features import (
    Frame,
    describe,
    feature_count,
    features,
    nearest_active,
    state_names,
)
from nowcast.models.rollout import observed_frames
from nowcast.types import GaussianSet, GridSpec
from nowcast_kernels.voxelize import rotation_matrices

EAST_NORTH = torch.eye(2)


def history(sequence, axes=EAST_NORTH):
    return [describe(frame, axes) for frame in observed_frames(sequence)]


def column(sequence, name):
    return history(sequence)[-1].state[:, state_names(1).index(name)]


def test_the_columns_are_as_many_as_named():
    snapshots = history(drifting())
    assert snapshots[-1].state.shape == (60, len(state_names(1)))
    assert features(snapshots).shape == (60, feature_count(1))


def test_a_known_gaussian_is_described_in_physical_units():
    # 2 km along x, 1 km along y, 500 m along z, then turned by 90 degrees about z.
    half = math.sqrt(0.5)
    gaussian = GaussianSet(
        torch.tensor([[3e3, 4e3, 5e3]]),
        torch.log(torch.tensor([[2e3, 1e3, 500.0]])),
        torch.tensor([[half, 0, 0, half]]),
        torch.tensor([[30.0]]),
    )
    frame = Frame(gaussian, torch.tensor([[10.0, -5.0, 0.0]]), 0.0, base_m=200.0)
    state = dict(zip(state_names(1), describe(frame, EAST_NORTH).state[0].tolist(), strict=True))
    assert state["intensity_0_10dbz"] == pytest.approx(3.0)
    assert state["field_0_10dbz"] == pytest.approx(3.0)
    assert state["height_km"] == pytest.approx(5.2)
    assert state["log_width_km"] == pytest.approx(0.5 * math.log(2.0), abs=1e-5)
    assert state["log_depth_km"] == pytest.approx(math.log(0.5), abs=1e-5)
    assert state["stretch_cos"] == pytest.approx((1 - 4) / (1 + 4), abs=1e-5)
    assert (state["u_10ms"], state["v_10ms"]) == pytest.approx((1.0, -0.5))


def test_turning_keeps_quaternion_length_out():
    quats = torch.randn(5, 4)
    torch.testing.assert_close(rotation_matrices(quats), rotation_matrices(3 * quats))
    eye = rotation_matrices(quats) @ rotation_matrices(quats).mT
    torch.testing.assert_close(eye, torch.eye(3).expand(5, 3, 3), atol=1e-5, rtol=0)


def test_changes_are_rates_whatever_the_step():
    growth = 0.02
    short, long = (features(history(drifting(growth_per_min=growth, step_s=s)))[:, 14:] for s in (60.0, 120.0))
    intensity = drifting(growth_per_min=growth, step_s=60.0).intensities
    expected = (intensity[-1] - intensity[-2])[:, 0]  # dBZ per minute, and column unit 10 dBZ per 10 min
    torch.testing.assert_close(short[:, 0], expected, rtol=1e-4, atol=1e-4)
    assert torch.allclose(short[:, 0], long[:, 0], rtol=0.1)
    # Steady drift: nothing moves faster than its velocity.
    assert short[:, 7:10].abs().max() < 1e-3


def test_no_history_means_no_change():
    assert features(history(drifting())[-1:])[:, 14:34].abs().max() == 0


def test_shifting_the_storm_changes_nothing():
    here = drifting()
    there = replace(here, means=here.means + torch.tensor([32_000.0, -16_000.0, 0.0]))
    # Positions in km carry a rounding error of 4e-6 km at 60 km, which changes over 10 minutes enlarge.
    torch.testing.assert_close(features(history(here)), features(history(there)), atol=1e-3, rtol=1e-4)


def test_turned_axes_are_as_good_as_a_turned_storm():
    cos, sin = math.cos(0.7), math.sin(0.7)
    axes = torch.tensor([[cos, sin], [-sin, cos]])  # the model's x axis points to 0.7 rad north of east
    sequence = drifting()
    full = torch.eye(3)
    full[:2, :2] = axes
    spin = torch.tensor([math.cos(0.35), 0, 0, -math.sin(0.35)])
    turned = replace(
        sequence,
        means=sequence.means @ full.T,
        velocities=sequence.velocities @ full.T,
        quats=quaternion_product(spin.expand(240, 4), sequence.quats.reshape(-1, 4)).reshape(4, 60, 4),
    )
    torch.testing.assert_close(features(history(sequence, axes)), features(history(turned)), atol=2e-3, rtol=1e-3)


def test_the_order_of_the_gaussians_carries_over():
    sequence, order = drifting(), torch.randperm(60, generator=torch.Generator().manual_seed(1))
    expected = features(history(sequence))[order]
    torch.testing.assert_close(features(history(sequence.take(order))), expected, atol=1e-5, rtol=1e-5)


def test_neighbours_are_the_nearest_active_ones():
    points, active = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 3 != 0
    found, distances = nearest_active(points, active, 8)
    everything = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    everything[:, ~active] = torch.inf
    expected = everything.sort(dim=1)
    assert torch.equal(found, expected.indices[:, :8])
    torch.testing.assert_close(distances, expected.values[:, :8], atol=1e-5, rtol=1e-5)


def test_few_or_no_active_neighbours_are_no_trouble():
    few = features(history(drifting(5)))
    none = features(history(drifting(5, idle=5)))
    assert torch.isfinite(few).all() and torch.isfinite(none).all()


def test_the_local_field_is_the_rendered_field():
    sequence = drifting(30)
    for i in range(0, 30, 7):
        x, y, z = sequence.means[-1, i].tolist()
        point = GridSpec(-27.6, 152.5, (1, 1, 1), (z, y, x), (1e3, 1e3, 1e3))
        rendered = render(replace(sequence, grid=point).at(-1), point)[0, 0, 0, 0]
        field = 10 * column(sequence, "field_0_10dbz")[i].item()
        assert np.clip(field, 0, 80) == pytest.approx(float(rendered), abs=1e-2)
