"""The local constraint: Gaussians move with the air around them and change their shape slowly.

Deviations from a reference (where the flow carries the Gaussians of the neighbouring frame) cost something: a common
deviation of a whole neighbourhood little, that of one Gaussian against its neighbours much. Costs are in units of the
image term's own curvature, so that the settings are plain ratios.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from nowcast.checks import check_numbers
from nowcast.gaussians.metric import AMPLITUDE_FLOOR
from nowcast.gaussians.shape import rotations
from nowcast.gaussians.state import SHAPE, Doubles, State, volume_in_voxels
from nowcast.gaussians.terms import Vector
from nowcast.types import Float32

LEVELS_PER_ROW = 4.0
"""How much farther apart Gaussians count vertically than horizontally when neighbours are sought: flow is sheared."""


@dataclass(frozen=True)
class Stiffness:
    """How strongly each kind of deviation is held back, relative to the image term's curvature; all at least 0.

    Attributes
    ----------
    flow
        Any displacement against the reference.
    neighbours
        Displacement against the mean displacement of the neighbours.
    shape
        Log-scales and turn.
    amplitude
        Intensity.
    """

    flow: float = 0.02
    neighbours: float = 0.3
    shape: float = 0.1
    amplitude: float = 0.1

    def __post_init__(self) -> None:
        check_numbers(self, "stiffness", not_negative=("flow", "neighbours", "shape", "amplitude"))


def neighbour_average(means: Float32, weights: Doubles, count: int, reach_m: float) -> csr_matrix:
    """Matrix ``[N, N]`` that averages over each Gaussian's nearest ``count`` others, fading with distance.

    A Gaussian whose neighbours all have no weight keeps to itself: its row is that of the identity.
    """
    n = len(means)
    scaled = means.astype(np.float64) * (1.0, 1.0, LEVELS_PER_ROW)
    count = min(count, n - 1)
    if count < 1:
        return csr_matrix(np.eye(n))
    distance, index = cKDTree(scaled).query(scaled, k=count + 1)
    share = weights[index] * np.exp(-0.5 * (distance / reach_m) ** 2)
    share[:, 0] = 0.0
    total = share.sum(axis=1)
    alone = total <= 1e-12
    share[alone, 0], total[alone] = 1.0, 1.0
    index[alone, 0] = np.flatnonzero(alone)
    rows = np.repeat(np.arange(n), count + 1)
    return csr_matrix(((share / total[:, None]).ravel(), (rows, index.ravel())), shape=(n, n))


class CoherenceTerm:
    """Squared deviations from a reference state, for every Gaussian weighted by what it draws there.

    ``weight [N]`` is that of the image term's voxels at each Gaussian; None for 1 everywhere.
    """

    def __init__(
        self,
        reference: State,
        spacing_m: tuple[float, float, float],
        stiffness: Stiffness,
        weight: Doubles | None = None,
        *,
        neighbours: int = 8,
        reach_m: float = 15e3,
    ) -> None:
        self.reference = reference
        amplitudes = (reference.intensities.astype(np.float64) ** 2).sum(axis=1) + AMPLITUDE_FLOOR
        voxels = volume_in_voxels(reference, spacing_m) * (1.0 if weight is None else weight)
        strength = amplitudes * voxels
        self.average = neighbour_average(reference.means, strength, neighbours, reach_m)
        scales = np.exp(reference.log_scales.astype(np.float64))
        across = np.sqrt(scales[:, 0] * scales[:, 1])
        size = np.stack([across, across, scales[:, 2]], axis=1)
        self.root_flow = np.sqrt(0.5 * stiffness.flow * strength)[:, None] / size
        self.root_neighbours = np.sqrt(0.5 * stiffness.neighbours * strength)[:, None] / size
        self.root_shape = np.sqrt(0.5 * stiffness.shape * strength)[:, None]
        self.root_amplitude = np.sqrt(stiffness.amplitude * voxels)[:, None]
        own = (1.0 - self.average.diagonal()[:, None]) ** 2 * self.root_neighbours**2
        others = self.average.copy()
        others.setdiag(0.0)
        self.moving = self.root_flow**2 + own + others.power(2).T @ self.root_neighbours**2

    def at(self, state: State) -> CoherenceLinear:
        """Evaluate at a state."""
        away = State(*(a - b for a, b in zip(state.arrays(), self.reference.arrays(), strict=True)))
        return CoherenceLinear(self, state, self.scaled(away))

    def scaled(self, away: State) -> Vector:
        """Flat residual of a deviation: the term is linear in it."""
        means = away.means.astype(np.float64)
        parts = (
            self.root_flow * means,
            self.root_neighbours * (means - self.average @ means),
            self.root_shape * away.log_scales,
            2.0 * self.root_shape * away.quats,
            self.root_amplitude * away.intensities,
        )
        return np.concatenate([part.ravel() for part in parts])

    def adjoint(self, residual: Vector) -> State:
        """Gradient of half the squared residual."""
        n, channels = len(self.reference), self.reference.intensities.shape[1]
        widths = (3, 3, 3, 4, channels)
        flow, near, shape, turn, amplitude = (
            part.reshape(n, width)
            for part, width in zip(np.split(residual, np.cumsum([n * w for w in widths])[:-1]), widths, strict=True)
        )
        pulled = self.root_neighbours * near
        means = self.root_flow * flow + pulled - self.average.T @ pulled
        gradient = means, self.root_shape * shape, 2.0 * self.root_shape * turn, self.root_amplitude * amplitude
        return State(*(part.astype(np.float32) for part in gradient))


@dataclass(frozen=True)
class CoherenceLinear:
    """The constraint at one state."""

    term: CoherenceTerm
    state: State
    residual: Vector

    def gradient(self) -> State:
        """Towards the reference."""
        return self.term.adjoint(self.residual)

    def push(self, direction: State) -> Vector:
        """The term is linear."""
        return self.term.scaled(direction)

    def curvature(self) -> Doubles:
        """What the term adds to the metric's diagonal; much for long Gaussians, which one scale takes far."""
        state, term = self.state, self.term
        diagonal = np.empty((len(state), SHAPE + state.intensities.shape[1]))
        axes = rotations(state.quats.astype(np.float64))
        scales = np.exp(state.log_scales.astype(np.float64))
        diagonal[:, 0:3] = (term.moving[:, :, None] * (axes * scales[:, None, :]) ** 2).sum(axis=1)
        diagonal[:, 3:SHAPE] = term.root_shape**2
        diagonal[:, SHAPE:] = term.root_amplitude**2
        return diagonal
