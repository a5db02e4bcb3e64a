"""The forecast methods side by side: the same volumes in, the same lead times out.

``persistence``, ``extrapolation``, ``extrapolation-levels`` and the ensemble ``steps`` work on the voxels;
``reconstruction`` (persistence of the fitted Gaussians), ``advection`` and ``gaumamba`` on the Gaussians fitted to
them. A :class:`Case` holds the volumes of one initial time and fits them once for all of these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nowcast import units
from nowcast.baselines import extrapolation, extrapolation_levels, has_pysteps, persistence, steps
from nowcast.ensemble import with_strong_echo_of
from nowcast.errors import UsageError
from nowcast.types import Float32, GaussianSequence, GaussianSet, Progress, VolumeSequence

if TYPE_CHECKING:
    from nowcast.gaussians import FitConfig
    from nowcast.models import GauMamba

LeadTimes = NDArray[np.timedelta64]


@dataclass(frozen=True)
class Case:
    """The volumes up to one initial time and what is derived from them, at most once.

    Attributes
    ----------
    volumes
        The input volumes; nothing later than their last time may enter a forecast.
    fit_config
        Settings of the Gaussian fit, and of the motion for extrapolation.
    model
        The loaded model, or None where ``gaumamba`` is not asked for.
    previous
        The fit of an earlier cycle that can go on to these volumes, or None to fit from nothing.
    members, seed
        Size of the ensemble that a method makes which can make one, and seed of its noise.
    """

    volumes: VolumeSequence
    fit_config: FitConfig
    model: GauMamba | None = None
    progress: Progress | None = field(default=None, compare=False)
    previous: GaussianSequence | None = None
    members: int = 1
    seed: int = 0

    @cached_property
    def fitted(self) -> GaussianSequence:
        """The causal fit of the volumes."""
        from nowcast.gaussians import continue_fit, fit_sequence

        if self.previous is not None:
            return continue_fit(self.previous, self.volumes, self.fit_config)
        return fit_sequence(self.volumes, self.fit_config, progress=self.progress)


@dataclass(frozen=True)
class Outcome:
    """What a method forecasts, dBZ within 0..80.

    Attributes
    ----------
    members
        ``[M, L, Z, Y, X]``; M is 1 for a method that makes no ensemble.
    control
        ``[L, Z, Y, X]`` the one best forecast beside an ensemble, None where there is none.
    """

    members: Float32
    control: Float32 | None = None


def _reconstruction(case: Case, lead_times: LeadTimes) -> Float32:
    from nowcast.gaussians import render

    newest = render(case.fitted.at(-1), case.volumes.grid)
    return np.repeat(newest, len(lead_times), axis=0)


def _advection(case: Case, lead_times: LeadTimes) -> Float32:
    from nowcast.gaussians import advect

    return _rendered(advect(case.fitted, _lead_seconds(lead_times)), case)


def _gaumamba(case: Case, lead_times: LeadTimes) -> Outcome:
    from nowcast.models import roll_out_ensemble

    if case.model is None:
        raise UsageError("method gaumamba needs a model: give --model PATH")
    count = case.members if case.members > 1 else 0
    one, members = roll_out_ensemble(case.model, case.fitted, _lead_seconds(lead_times), count, case.seed)
    control = _rendered(one, case)
    if not members:
        return Outcome(control[None])
    return Outcome(np.stack([with_strong_echo_of(_rendered(member, case), control) for member in members]), control)


def _rendered(sets: list[GaussianSet], case: Case) -> Float32:
    """``[L, Z, Y, X]`` reflectivity of the Gaussians at each lead time."""
    from nowcast.gaussians import render

    return np.stack([render(gaussians, case.volumes.grid)[0] for gaussians in sets])


_METHODS: dict[str, Callable[[Case, LeadTimes], Float32 | Outcome]] = {
    "persistence": lambda case, leads: persistence(case.volumes, leads),
    "reconstruction": _reconstruction,
    "extrapolation": lambda case, leads: extrapolation(case.volumes, leads, case.fit_config.motion),
    "extrapolation-levels": lambda case, leads: extrapolation_levels(case.volumes, leads, case.fit_config.motion),
    "steps": lambda case, leads: steps(case.volumes, leads, case.members, case.seed, case.fit_config.motion),
    "advection": _advection,
    "gaumamba": _gaumamba,
}
"""Each gives ``[L, Z, Y, X]``, one forecast, or ``[M, L, Z, Y, X]``, an ensemble of ``Case.members``, or both."""
METHODS = tuple(_METHODS)
GAUSSIAN_METHODS = ("advection", "gaumamba")


def usable_methods(*, model: bool, members: int) -> list[str]:
    """The methods that run without more being given or installed, in the order of reports."""
    lacking = set() if model else {"gaumamba"}
    if members < 2 or not has_pysteps():
        lacking.add("steps")
    return [name for name in METHODS if name not in lacking]


def check_methods(names: list[str]) -> list[str]:
    """The names, if all are known; raises UsageError with the known ones otherwise."""
    unknown = [name for name in names if name not in _METHODS]
    if unknown or not names:
        raise UsageError(f"unknown method {', '.join(unknown) or '(none)'}: choose from {', '.join(METHODS)}")
    return names


def forecast_by(method: str, case: Case, lead_times: LeadTimes) -> Outcome:
    """Forecast reflectivity at each lead time (timedelta64).

    Every voxel has a value; which of them the radar observes is the caller's to say.
    """
    check_methods([method])
    found = _METHODS[method](case, lead_times)
    outcome = found if isinstance(found, Outcome) else Outcome(found if found.ndim == 5 else found[None])
    return Outcome(_limited(outcome.members), None if outcome.control is None else _limited(outcome.control))


def _limited(dbz: Float32) -> Float32:
    return units.clip_dbz(dbz).astype(np.float32, copy=False)


def _lead_seconds(lead_times: LeadTimes) -> list[float]:
    return [units.seconds(lead) for lead in lead_times]
