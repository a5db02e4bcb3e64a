"""The channels of a polar volume on the grid: what was measured, and what is made of it.

Only echo that passed quality control has values in channels other than reflectivity: everywhere else they are NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from nowcast.channels import CHANNELS
from nowcast.radar.geometry import column_positions, slant_range_m
from nowcast.radar.gridding import choose_sweeps, grid_volume
from nowcast.radar.polar import PolarVolume, Sweep
from nowcast.radar.retrievals import with_dealiased_velocity, with_kdp
from nowcast.radar.shear import shear
from nowcast.types import Bool, Float32, GridSpec
from nowcast.units import ECHO_FLOOR_DBZ
from nowcast_kernels.parallel import run_parallel


def grid_channels(
    measured: PolarVolume, cleaned: PolarVolume, grid: GridSpec, channels: Sequence[str]
) -> tuple[Float32, Bool]:
    """Interpolate a volume's channels to a grid.

    Parameters
    ----------
    measured, cleaned
        The volume before and after quality control, the same one where there was none.
    grid
        The voxels.
    channels
        Names in :data:`nowcast.channels.CHANNELS`, reflectivity first.

    Returns
    -------
    values
        ``[C, Z, Y, X]`` float32 in each channel's unit. Reflectivity as of :func:`grid_volume`; the others NaN where
        there is no echo, where they were not measured, and throughout where the volume has nothing to make them of.
    mask
        ``[Z, Y, X]`` where the scan observed the voxel.
    """
    alone, mask = grid_volume(cleaned, grid)
    if len(channels) == 1:
        return alone[None], mask
    values = np.full((len(channels), *grid.shape), np.nan, np.float32)
    values[0] = alone
    silent = ~(values[0] > ECHO_FLOOR_DBZ)
    if not silent.all():
        echo = _weather(measured, cleaned, _reach_m(measured, grid))
        made: dict[str, PolarVolume] = {}
        for c, name in enumerate(channels[1:], 1):
            have = {field for sweep in echo.sweeps for field in sweep.fields}
            if have.isdisjoint(CHANNELS[name].moments):
                continue
            if name not in made:
                made |= _MAKERS.get(name, _as_measured)(echo, name)
            limits = CHANNELS[name].low, CHANNELS[name].high
            values[c] = np.where(silent, np.float32(np.nan), grid_volume(made[name], grid, name, limits)[0])
    return values, mask


def _reach_m(volume: PolarVolume, grid: GridSpec) -> float:
    """Ground distance of the farthest column of the grid."""
    return float(column_positions(volume.site, grid)[0].max()) + max(grid.spacing_m)


def _weather(measured: PolarVolume, cleaned: PolarVolume, reach_m: float) -> PolarVolume:
    """The measured volume within reach, each field but reflectivity NaN where quality control left no echo alone."""
    sweeps: list[Sweep] = list(measured.sweeps)

    def strip(index: int) -> None:
        sweep, clean = measured.sweeps[index], cleaned.sweeps[index]
        gates = _gates_within(sweep, reach_m)
        kept, raw = clean.reflectivity[:, :gates], sweep.reflectivity[:, :gates]
        gone = ~((kept > ECHO_FLOOR_DBZ) & (kept == raw))
        fields = {"reflectivity": kept}
        for name, values in sweep.fields.items():
            if name not in fields:
                fields[name] = np.where(gone, np.float32(np.nan), values[:, :gates])
        sweeps[index] = replace(sweep, fields=fields)

    run_parallel(strip, len(sweeps))
    return measured.with_sweeps(sweeps)


def _gates_within(sweep: Sweep, reach_m: float) -> int:
    slant = float(np.nan_to_num(slant_range_m(np.array([reach_m]), sweep.elevation_deg)[0], nan=np.inf))
    gates = sweep.reflectivity.shape[1]
    return (
        gates
        if not np.isfinite(slant)
        else int(np.clip(np.ceil((slant - sweep.first_gate_m) / sweep.gate_m) + 2, 1, gates))
    )


def _as_measured(volume: PolarVolume, name: str) -> dict[str, PolarVolume]:
    return {name: volume}


def _kdp(volume: PolarVolume, name: str) -> dict[str, PolarVolume]:
    field = "kdp" if any("kdp" in s.fields for s in volume.sweeps) else "phidp"
    return {name: with_kdp(volume.with_sweeps(choose_sweeps(volume, field)))}


def _wind(volume: PolarVolume, name: str) -> dict[str, PolarVolume]:
    """Azimuthal shear and divergence, which come together."""
    dealiased = with_dealiased_velocity(volume.with_sweeps(choose_sweeps(volume, "velocity")))
    sweeps = list(dealiased.sweeps)

    def derive(index: int) -> None:
        sweep = sweeps[index]
        where = sweep.azimuth_deg, sweep.first_gate_m, sweep.gate_m
        across, along = shear(sweep.fields["velocity"], *where)
        sweeps[index] = replace(sweep, fields={**sweep.fields, "azimuthal_shear": across, "divergence": along})

    run_parallel(derive, len(sweeps))
    both = dealiased.with_sweeps(sweeps)
    return {"azimuthal_shear": both, "divergence": both}


_MAKERS: dict[str, Callable[[PolarVolume, str], dict[str, PolarVolume]]] = {
    "kdp": _kdp,
    "azimuthal_shear": _wind,
    "divergence": _wind,
}
