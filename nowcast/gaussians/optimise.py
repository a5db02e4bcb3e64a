"""Gauss-Newton in a small subspace: few, large, cheap steps.

Each step looks in the plane of the preconditioned gradient and the last few steps (sequential subspace optimisation,
Narkiss and Zibulevsky 2005) and takes the best combination for the linearised residuals. The derivative along the
gradient costs one more rendering; along the last steps it is the difference of residuals just seen. So a step costs
about two renderings and one adjoint, needs no step size, and does the work of several steps of Adam.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nowcast.gaussians.metric import Metric
from nowcast.gaussians.state import Doubles, Limits, State, retract, to_local, to_parameters
from nowcast.gaussians.terms import ImageLinear, Linear, Term, Vector
from nowcast_kernels.jit import kernel

MAX_SHIFT = 0.5  # of a scale a step: the linearisation does not reach further
MAX_CHANGE = 0.3  # of a log-scale or of a turn, a step
MEMORY = 2  # more steps bring little more
SHRINK = 0.4
LEAST_SHRINK = 0.02
CHUNK = 1 << 12


@dataclass(frozen=True)
class Result:
    """Where the fit arrived: the state, each term there, and the cost after each step, the start first."""

    state: State
    linears: tuple[Linear, ...]
    costs: tuple[float, ...]


@dataclass(frozen=True)
class _Point:
    state: State
    linears: tuple[Linear, ...]
    cost: float

    @staticmethod
    def at(terms: Sequence[Term], state: State) -> _Point:
        linears = tuple(term.at(state) for term in terms)
        return _Point(state, linears, 0.5 * sum(float(_gram([[n.residual]])[0, 0]) for n in linears))

    def gradient(self) -> Doubles:
        parts = [to_local(self.state, linear.gradient()) for linear in self.linears]
        return sum(parts[1:], parts[0])

    def metric(self, spacing_m: tuple[float, float, float]) -> Metric:
        extras = [extra for linear in self.linears if (extra := linear.curvature()) is not None]
        weight = image.weight() if isinstance(image := self.linears[0], ImageLinear) else None
        return Metric.at(self.state, spacing_m, sum(extras[1:], extras[0]) if extras else None, weight)


def minimise(
    terms: Sequence[Term],
    state: State,
    *,
    limits: Limits,
    spacing_m: tuple[float, float, float],
    steps: int,
    tolerance: float = 0.0,
) -> Result:
    """Lower the sum of the terms from ``state`` on.

    Parameters
    ----------
    terms
        What to minimise.
    state
        Start.
    limits
        Bounds of the log-scales and amplitudes.
    spacing_m
        Of the voxels ``(z, y, x)``.
    steps
        Most steps to take.
    tolerance
        Stop when three steps together lower the cost by less than this fraction.

    Returns
    -------
    Result
        Its cost is never above that of the start.
    """
    point = _Point.at(terms, state)
    costs = [point.cost]
    tries: list[tuple[Doubles, list[Vector]]] = []  # the last steps and their effect on each term's residual
    damping = 1e-2
    gradient = point.gradient()
    for _ in range(steps):
        metric = point.metric(spacing_m)
        downhill = -metric.solve(gradient)
        direction = to_parameters(point.state, downhill)
        plane: list[tuple[Doubles, list[Vector]]] = [
            (downhill, [linear.push(direction) for linear in point.linears]),
            *tries,
        ]
        step = _bounded(_best_combination(plane, gradient, metric, damping))
        found, share = _search(terms, point, step, limits)
        if found is None:
            if not tries:
                break
            tries, damping = [], damping * 3.0
            costs.append(point.cost)
            continue
        effect: list[Vector] = [
            new.residual - old.residual for new, old in zip(found.linears, point.linears, strict=True)
        ]
        tries = [(share * step, effect), *tries][:MEMORY]
        damping = max(damping * (0.7 if share == 1.0 else 2.0), 1e-4)
        point = found
        costs.append(point.cost)
        if len(costs) > 3 and costs[-4] - costs[-1] <= tolerance * costs[-1]:
            break
        gradient = point.gradient()
    return Result(point.state, point.linears, tuple(costs))


def _best_combination(
    plane: list[tuple[Doubles, list[Vector]]], gradient: Doubles, metric: Metric, damping: float
) -> Doubles:
    """The step within the plane that minimises the linearised cost, lightly damped in the metric."""
    directions = [direction for direction, _ in plane]
    matrix = _gram([pushed for _, pushed in plane])
    lengths = [metric.times(direction) for direction in directions]
    room = np.empty_like(gradient)  # memory that is new each time takes longer than the product
    matrix += damping * np.array([[float(np.multiply(a, b, out=room).sum()) for b in lengths] for a in directions])
    slope = np.array([float(np.multiply(gradient, direction, out=room).sum()) for direction in directions])
    share = np.linalg.lstsq(matrix, -slope, rcond=1e-7)[0]
    step = np.zeros_like(gradient)
    for weight, direction in zip(share, directions, strict=True):
        step += np.multiply(weight, direction, out=room)
    return step


def _bounded(step: Doubles) -> Doubles:
    """The step with each coordinate kept to what the linearisation can tell; amplitudes are linear already."""
    bounded = step.copy()
    np.clip(step[:, :3], -MAX_SHIFT, MAX_SHIFT, out=bounded[:, :3])
    np.clip(step[:, 3:9], -MAX_CHANGE, MAX_CHANGE, out=bounded[:, 3:9])
    return bounded


def _search(terms: Sequence[Term], point: _Point, step: Doubles, limits: Limits) -> tuple[_Point | None, float]:
    """The first of ever shorter steps that lowers the cost, and its share; None where none does."""
    share = 1.0
    while share > LEAST_SHRINK:
        found = _Point.at(terms, retract(point.state, share * step, limits))
        if found.cost < point.cost:
            return found, share
        share *= SHRINK
    return None, share


def _gram(rows: list[list[Vector]]) -> Doubles:
    """Scalar products ``[K, K]`` of K <= 3 vectors, each given in parts; the sums run in a fixed order."""
    k = len(rows)
    sums = np.zeros(6)
    for part in range(len(rows[0])):
        if isinstance(rows[0][part], torch.Tensor):
            _add_products_on_device([row[part] for row in rows], sums)
            continue
        first, second, third = (np.ascontiguousarray(rows[min(i, k - 1)][part]) for i in range(3))
        _add_products(first, second, third, sums)
    full = np.array([[sums[0], sums[1], sums[2]], [sums[1], sums[3], sums[4]], [sums[2], sums[4], sums[5]]])
    return full[:k, :k]


def _add_products_on_device(vectors: list[torch.Tensor], sums: Doubles) -> None:
    """Add aa, ab, ac, bb, bc, cc of those there are; the device is waited for once."""
    places, products = [], []
    for i, j, place in ((0, 0, 0), (0, 1, 1), (0, 2, 2), (1, 1, 3), (1, 2, 4), (2, 2, 5)):
        if j < len(vectors):
            places.append(place)
            products.append((vectors[i] * vectors[j]).sum(dtype=torch.float64))
    sums[places] += torch.stack(products).cpu().numpy()


@kernel
def _add_products(a, b, c, sums):  # type: ignore[no-untyped-def]
    """Add aa, ab, ac, bb, bc, cc, reading each vector once; chunk by chunk, so that float32 keeps its digits."""
    for first in range(0, len(a), CHUNK):
        last = min(first + CHUNK, len(a))
        sums += np.array(_products(a, b, c, first, last))


@kernel(fastmath={"reassoc", "contract", "nsz"})
def _products(a, b, c, first, last):  # type: ignore[no-untyped-def]
    aa = ab = ac = bb = bc = cc = a[0] * 0
    for i in range(first, last):
        x, y, z = a[i], b[i], c[i]
        aa += x * x
        ab += x * y
        ac += x * z
        bb += y * y
        bc += y * z
        cc += z * z
    return float(aa), float(ab), float(ac), float(bb), float(bc), float(cc)
