"""Dense motion of radar echo from the last few volumes.

Weighted least squares in the spirit of Lucas and Kanade (1981): within a neighbourhood, the velocity that best
aligns all frames with the newest one. Frames are carried to the newest time along that velocity, so several frames at
uneven steps speak with one voice, and the estimate is refined from coarse to fine images (Bouguet 2001).
Neighbourhoods reach over levels and from wide to narrow; the gradients' strength decides which one rules where.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nowcast.checks import check_numbers
from nowcast.errors import ConfigError, InputError
from nowcast.motion.field import MotionField
from nowcast.motion.kernels import normal_equations, warp_to_newest
from nowcast.motion.regrid import block_mean, refine
from nowcast.motion.solve import solve_by_scale
from nowcast.types import Bool, Float32, GridSpec, Times
from nowcast.units import seconds


@dataclass(frozen=True)
class MotionConfig:
    """Settings of :func:`estimate_motion`.

    Attributes
    ----------
    floor_dbz, ceiling_dbz
        Reflectivity is clipped to this range first: weak echo and the tips of cores do not follow the motion.
    robust_dbz
        Differences between aligned frames beyond this lose weight (growth, decay, artefacts).
    smoothing_m, vertical_m
        Standard deviations of the neighbourhoods, from wide to narrow, across and along the vertical.
    saturation
        Mean squared gradient, (dBZ/km)^2, from which on a neighbourhood's evidence hardly grows: strong echo must
        not overrule the levels above it.
    ridge
        How strongly a neighbourhood is held to the next wider one; full evidence counts 1.
    decay
        Weight of a pair of frames relative to that of the next newer pair.
    cell_m
        Size of the cells on which the velocity is solved.
    working_m
        Finer grids are averaged to about this spacing first.
    pyramid, iterations
        Coarsening of the images, and the number of refinements at each.
    max_ms
        Largest velocity component, m/s.
    """

    floor_dbz: float = 5.0
    ceiling_dbz: float = 60.0
    robust_dbz: float = 20.0
    smoothing_m: tuple[float, ...] = (100e3, 30e3, 10e3)
    vertical_m: tuple[float, ...] = (1500.0, 750.0, 400.0)
    saturation: float = 1.0
    ridge: float = 0.05
    decay: float = 0.5
    cell_m: float = 10e3
    working_m: float = 2000.0
    pyramid: tuple[int, ...] = (4, 2, 1)
    iterations: tuple[int, ...] = (4, 3, 2)
    max_ms: float = 60.0

    def __post_init__(self) -> None:
        positive = ("robust_dbz", "smoothing_m", "vertical_m", "saturation", "cell_m", "working_m", "pyramid", "max_ms")
        check_numbers(self, "motion", positive=positive, not_negative=("ridge", "iterations"), share=("decay",))
        if len(self.smoothing_m) != len(self.vertical_m) or len(self.pyramid) != len(self.iterations):
            raise ConfigError("motion smoothing_m and vertical_m, pyramid and iterations: expected as many of each")
        if not self.floor_dbz < self.ceiling_dbz:
            raise ConfigError(f"motion ceiling_dbz is {self.ceiling_dbz}: expected above floor_dbz, {self.floor_dbz}")


def estimate_motion(
    frames: Float32, times: Times, grid: GridSpec, *, mask: Bool | None = None, config: MotionConfig | None = None
) -> MotionField:
    """Motion of the echo at the newest time, level by level.

    Parameters
    ----------
    frames
        ``[T, Z, Y, X]`` float32 dBZ in order of time, or ``[T, Y, X]`` for one field that holds at all levels.
        Filled: no NaN (0 where not observed). One frame alone gives no motion.
    times
        ``[T]`` valid times, rising, not necessarily evenly.
    grid
        The voxels; squares across.
    mask
        As ``frames``: True where observed. Voxels that were not observed tell nothing. None: all were.

    Returns
    -------
    MotionField
        Zero where no echo tells otherwise. Depends on nothing but the arguments, to the bit.

    Raises
    ------
    InputError
        Shapes do not fit, or frames hold NaN.
    """
    config = config or MotionConfig()
    flat = frames.ndim == 3
    frames, mask = _checked(frames, times, grid, mask)
    if len(frames) < 2 or frames.max(initial=0.0) <= config.floor_dbz:
        return MotionField.still(grid)
    age_s = seconds(times[-1] - times).astype(np.float32)
    echo = np.clip(frames, config.floor_dbz, config.ceiling_dbz) - np.float32(config.floor_dbz)
    level_m = float("inf") if flat else grid.spacing_m[0]
    velocity = _coarse_to_fine(echo, mask, age_s, grid, level_m, config)
    if flat:
        velocity = np.repeat(velocity, grid.shape[0], axis=0)
    return MotionField(velocity, grid)


def estimate_motion_2d(
    frames: Float32, times: Times, grid: GridSpec, *, mask: Bool | None = None, config: MotionConfig | None = None
) -> MotionField:
    """One motion for all levels, that of the column maximum; parameters as for :func:`estimate_motion`."""
    seen: Bool | None = None if mask is None else np.any(mask, axis=1)
    return estimate_motion(frames.max(axis=1), times, grid, mask=seen, config=config)


def _checked(frames: Float32, times: Times, grid: GridSpec, mask: Bool | None) -> tuple[Float32, Bool]:
    """Frames and mask as ``[T, Z, Y, X]``, one level for flat ones."""
    expected = (len(times), *grid.shape[frames.ndim == 3 :])
    if frames.shape != expected:
        raise InputError(f"frames for motion have shape {frames.shape}, not {expected}")
    if not np.isfinite(frames).all():
        raise InputError("frames for motion hold NaN: fill voxels that were not observed with 0 dBZ")
    if mask is None:
        mask = np.ones(frames.shape, np.bool_)
    if mask.shape != frames.shape:
        raise InputError(f"mask for motion has shape {mask.shape}, not {frames.shape}")
    shape = (len(times), -1, *frames.shape[-2:])
    return frames.reshape(shape).astype(np.float32, copy=False), mask.reshape(shape)


def _coarse_to_fine(
    echo: Float32, mask: Bool, age_s: Float32, grid: GridSpec, level_m: float, config: MotionConfig
) -> Float32:
    """Velocity ``[Z, 2, Y, X]`` by refinement through the pyramid."""
    base = max(1, round(config.working_m / grid.spacing_m[2] - 0.25))
    velocity = np.zeros((echo.shape[1], 2, 1, 1), np.float32)
    cell_m = 1e9
    for coarsening, count in zip(config.pyramid, config.iterations, strict=True):
        factor = base * coarsening
        images = block_mean(echo, factor)
        seen = block_mean(mask, factor) > 0.999
        spacing_m = factor * grid.spacing_m[2]
        cell = max(1, round(config.cell_m / spacing_m))
        for _ in range(count):
            guess = refine(velocity, images.shape[-2:], cell_m / spacing_m)
            velocity = _improve(images, seen, guess, age_s, spacing_m, cell, level_m, config)
            cell_m = cell * spacing_m
    return refine(velocity, echo.shape[-2:], cell_m / grid.spacing_m[2])


def _improve(
    images: Float32,
    seen: Bool,
    guess: Float32,
    age_s: Float32,
    spacing_m: float,
    cell: int,
    level_m: float,
    config: MotionConfig,
) -> Float32:
    """One refinement: align the frames along the guess, then fit the velocity anew; returns it per cell."""
    spacing = np.full(2, spacing_m, np.float32)
    warped, known = warp_to_newest(images, seen, guess, age_s, spacing)
    interval_s = -np.diff(age_s)
    weight = _pair_weights(interval_s, config.decay, cell)
    terms = normal_equations(warped, known, guess, interval_s, weight, spacing, config.robust_dbz, cell)
    across = [s / (cell * spacing_m) for s in config.smoothing_m]
    along = [s / level_m for s in config.vertical_m]
    velocity = solve_by_scale(terms, across, along, config.saturation, config.ridge)
    return np.clip(velocity, -config.max_ms, config.max_ms)


def _pair_weights(interval_s: NDArray[np.float32], decay: float, cell: int) -> NDArray[np.float32]:
    """Older pairs count less, and so do longer ones, because echo changes more in them.

    Scaled so that the matrix of the newest pair is the cell's mean squared gradient in (dBZ/km)^2.
    """
    age = np.arange(len(interval_s) - 1, -1, -1)
    relative = decay**age * interval_s[-1] / interval_s
    return (relative * 1e6 / interval_s[-1] ** 2 / cell**2).astype(np.float32)
