from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nowcast.gaussians.shape import covariances, quaternions, rotations, scales_and_rotations

quats = arrays(np.float64, (3, 4), elements=st.floats(-1, 1)).filter(lambda q: (np.linalg.norm(q, axis=1) > 0.1).all())
scales = arrays(np.float64, (3, 3), elements=st.floats(5.0, 10.0))


@given(quats)
@settings(deadline=None)
def test_quaternions_and_rotations_round_trip(q: np.ndarray) -> None:
    matrices = rotations(q)
    np.testing.assert_allclose(matrices @ matrices.transpose(0, 2, 1), np.tile(np.eye(3), (3, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(matrices), 1.0)
    np.testing.assert_allclose(rotations(quaternions(matrices)), matrices, atol=1e-9)


@given(quats, scales)
@settings(deadline=None)
def test_scales_and_rotations_reproduce_the_covariance(q: np.ndarray, log_scales: np.ndarray) -> None:
    covars = covariances(log_scales, q)
    found, turned = scales_and_rotations(covars, q)
    size = np.linalg.norm(covars, axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(covariances(found, turned) / size, covars / size, atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(rotations(turned)), 1.0)


def test_axes_keep_their_numbers() -> None:
    q = np.array([[0.96, 0.1, -0.2, 0.15]])
    log_scales = np.log([[1000.0, 9000.0, 3000.0]])
    found, turned = scales_and_rotations(covariances(log_scales, q), q)
    np.testing.assert_allclose(found, log_scales, rtol=1e-9)
    np.testing.assert_allclose(turned, q / np.linalg.norm(q), atol=1e-9)
