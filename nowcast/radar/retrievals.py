"""What Py-ART retrieves from a volume: dealiased velocity and specific differential phase."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from nowcast.radar.polar import PolarVolume, Sweep
from nowcast.types import Float32
from nowcast_kernels.parallel import run_parallel

KDP_WINDOW_M = 2500.0
"""Over so much range the differential phase is followed."""


def with_dealiased_velocity(volume: PolarVolume) -> PolarVolume:
    """The sweeps with velocity, unfolded by regions of similar velocity (``pyart.correct.dealias_region_based``).

    The velocity of a sweep without a Nyquist velocity is taken to fold at the strongest velocity there is. Gates
    without echo should be NaN: noise costs time and spoils its neighbours.
    """
    pyart = _pyart()

    def dealias(sweep: Sweep) -> Sweep:
        velocity = sweep.fields["velocity"]
        seen = np.isfinite(velocity)
        folds = sweep.nyquist_ms or float(np.abs(velocity[seen]).max(initial=0.0))
        if not seen.any() or folds <= 0:
            return sweep
        radar = _radar(pyart, volume, sweep, "velocity")
        found = pyart.correct.dealias_region_based(
            radar, vel_field="velocity", nyquist_vel=folds, gatefilter=None, rays_wrap_around=True
        )
        return replace(sweep, fields={**sweep.fields, "velocity": _filled(found["data"])})

    return _each(volume, "velocity", dealias)


def with_kdp(volume: PolarVolume) -> PolarVolume:
    """The sweeps with specific differential phase: as measured, else from the differential phase.

    The latter by the method of Vulpiani et al. 2012 (doi:10.1175/JAMC-D-10-05024.1), ``pyart.retrieve.kdp_vulpiani``.
    """
    if any("kdp" in sweep.fields for sweep in volume.sweeps):
        return volume.with_sweeps([s for s in volume.sweeps if "kdp" in s.fields])
    pyart = _pyart()
    band = "S" if volume.format == "nexrad" else "C"  # which sets no more than the bounds of what is believed

    def retrieve(sweep: Sweep) -> Sweep:
        gates = 2 * max(round(0.5 * KDP_WINDOW_M / sweep.gate_m), 2)
        seen = np.isfinite(sweep.fields["phidp"])
        kdp = np.full(seen.shape, np.nan, np.float32)
        rays = np.flatnonzero(seen.sum(axis=1) > gates)  # the others tell nothing, but take as long
        if len(rays):
            radar = _radar(pyart, volume, sweep, "phidp", rays)
            found, _ = pyart.retrieve.kdp_vulpiani(radar, psidp_field="phidp", band=band, windsize=gates, n_iter=4)
            kdp[rays] = np.where(seen[rays], _filled(found["data"]), np.float32(np.nan))
        return replace(sweep, fields={**sweep.fields, "kdp": kdp})

    return _each(volume, "phidp", retrieve)


def _each(volume: PolarVolume, field: str, work: Callable[[Sweep], Sweep]) -> PolarVolume:
    """The sweeps that have a field, after ``work``."""
    sweeps = [s for s in volume.sweeps if field in s.fields]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")

        def one(index: int) -> None:
            sweeps[index] = work(sweeps[index])

        run_parallel(one, len(sweeps))
    return volume.with_sweeps(sweeps)


def _pyart() -> Any:
    os.environ.setdefault("PYART_QUIET", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyart
    return pyart


def _radar(pyart: Any, volume: PolarVolume, sweep: Sweep, field: str, chosen: Any = slice(None)) -> Any:
    """One field of the chosen rays of one sweep as Py-ART knows it."""
    azimuth = sweep.azimuth_deg[chosen]
    rays = len(azimuth)
    site = volume.site

    def data(values: Any, **more: Any) -> dict[str, Any]:
        return {"data": np.asarray(values), **more}

    return pyart.core.Radar(
        time=data(np.zeros(rays), units="seconds since 1970-01-01T00:00:00Z", calendar="standard"),
        _range=data(sweep.range_m.astype(np.float32), meters_between_gates=sweep.gate_m),
        fields={field: {"data": np.ma.masked_invalid(sweep.fields[field][chosen]), "_FillValue": -9999.0}},
        metadata={},
        scan_type="ppi",
        latitude=data([site.lat]),
        longitude=data([site.lon]),
        altitude=data([site.alt]),
        sweep_number=data([0]),
        sweep_mode=data(["azimuth_surveillance"]),
        fixed_angle=data([sweep.elevation_deg]),
        sweep_start_ray_index=data([0]),
        sweep_end_ray_index=data([rays - 1]),
        azimuth=data(azimuth),
        elevation=data(np.full(rays, sweep.elevation_deg, np.float32)),
    )


def _filled(data: Any) -> Float32:
    return np.asarray(np.ma.filled(np.ma.asarray(data).astype(np.float32), np.nan), np.float32)
