"""STEPS of pysteps on each level: a stochastic ensemble, the peer of any other. Needs pysteps, which is optional."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from nowcast import units
from nowcast.errors import UsageError
from nowcast.motion import MotionConfig, MotionField, advect_semilagrangian, estimate_motion
from nowcast.times import nominal_step
from nowcast.types import Float32, VolumeSequence

logger = logging.getLogger(__name__)

INPUTS = 3
"""Newest volumes that the autoregression of order 2 is estimated from."""
ECHO_DBZ = 5.0
CASCADE_LEVELS = 5
LEAST_VOXELS = 30
"""With fewer voxels above ``ECHO_DBZ`` the statistics of a level cannot be estimated: it is extrapolated."""


def has_pysteps() -> bool:
    """Whether pysteps is installed."""
    return find_spec("pysteps") is not None


def steps(
    volumes: VolumeSequence,
    lead_times: NDArray[np.timedelta64],
    members: int,
    seed: int = 0,
    motion: MotionConfig | None = None,
) -> Float32:
    """Forecast each level by pysteps' STEPS with the motion of :func:`~nowcast.baselines.extrapolation_levels`.

    STEPS (Bowler et al. 2006, doi:10.1256/qj.04.100; Seed et al. 2013, doi:10.1002/wrcr.20536) as pysteps (Pulkkinen
    et al. 2019, doi:10.5194/gmd-12-4185-2019) has it: 5 cascade levels in dBZ, autoregression of order 2,
    nonparametric noise, perturbed motion, incremental mask, probability matching. Levels
    share the random numbers, so that a column varies as one, and otherwise know nothing of each other.

    Parameters
    ----------
    volumes
        At least three, evenly spaced in time.
    lead_times
        ``[L]`` timedelta64, rising.
    members, seed
        Size of the ensemble, at least 2, and seed of its noise: the same seed gives the same forecast.

    Returns
    -------
    ``[M, L, Z, Y, X]`` float32 dBZ; 0 where echo would come from outside the grid. A level with next to no echo, and
    one that pysteps cannot do, is extrapolated alike in all members.

    Raises
    ------
    UsageError
        pysteps is not installed, or there are too few volumes or members.
    """
    if not has_pysteps():
        raise UsageError("method steps needs pysteps: pip install 'gaussian-nowcast[verify]'")
    if len(volumes) < INPUTS or members < 2:
        raise UsageError(
            f"method steps got {len(volumes)} volumes and {members} members: expected at least {INPUTS} (--frames) "
            "and 2 (--members)"
        )
    filled = volumes.filled()
    field = estimate_motion(filled, volumes.times, volumes.grid, mask=volumes.mask, config=motion)
    extrapolated = advect_semilagrangian(filled[-1], field, units.seconds(lead_times).tolist())
    forecast = np.repeat(extrapolated[None], members, axis=0)
    run = _steps_of_a_level(volumes, lead_times, field, members, seed)
    wet = [z for z in range(volumes.grid.shape[0]) if (filled[-1, z] >= ECHO_DBZ).sum() >= LEAST_VOXELS]
    failed: list[Exception] = []
    for level in wet:
        try:
            forecast[:, :, level] = run(filled[-INPUTS:, level], level)
        except Exception as error:
            # A peer that fails on one level is scored as extrapolation there.
            logger.debug("STEPS failed at level %d, extrapolated instead", level, exc_info=error)
            failed.append(error)
    if failed and len(failed) == len(wet):
        raise failed[-1]
    return forecast


def _steps_of_a_level(
    volumes: VolumeSequence, lead_times: NDArray[np.timedelta64], field: MotionField, members: int, seed: int
) -> Callable[[Float32, int], Float32]:
    with _quiet():
        from pysteps import nowcasts

        forecast = nowcasts.get_method("steps")
    step_s = units.seconds(nominal_step(volumes.times))
    _, dy, dx = volumes.grid.spacing_m
    voxels_per_step = field.velocities.astype(np.float64) * step_s / np.array([dx, dy])[:, None, None]
    lead_steps = units.seconds(lead_times) / step_s
    whole = np.allclose(lead_steps, np.arange(1, len(lead_steps) + 1), atol=0.05)
    timesteps = len(lead_steps) if whole else lead_steps.tolist()

    def run(frames: Float32, level: int) -> Float32:
        with _quiet():
            found = forecast(
                frames.astype(np.float64),
                voxels_per_step[level],
                timesteps,
                n_ens_members=members,
                n_cascade_levels=CASCADE_LEVELS,
                precip_thr=ECHO_DBZ,
                kmperpixel=dx / 1000.0,
                timestep=step_s / 60.0,
                seed=seed,
            )
        return np.nan_to_num(found, nan=0.0).astype(np.float32)

    return run


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Pysteps prints its settings on stdout, which belongs to our answers, and warns of what it does on purpose."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
