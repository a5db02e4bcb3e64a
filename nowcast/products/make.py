"""All products of volumes over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nowcast.products import columns, hail, liquid, rain
from nowcast.products.config import STANDARD_HEIGHTS_M, ProductConfig
from nowcast.types import Float32, GridSpec

Make = Callable[[Float32, GridSpec, ProductConfig], Float32]


def make_products(
    volumes: Float32,
    grid: GridSpec,
    seconds: NDArray[np.float64],
    since_s: float,
    config: ProductConfig,
    names: Sequence[str] | None = None,
) -> dict[str, Float32]:
    """The products of one observed or forecast sequence.

    Parameters
    ----------
    volumes
        ``[T, Z, Y, X]`` dBZ; 0 where observed without echo, NaN where not observed.
    grid
        Its voxels.
    seconds, since_s
        ``[T]`` rising times, and when the accumulation of rain begins.
    names
        Which; default: those of the settings.

    Returns
    -------
    By name ``[T, Y, X]``, or ``[T, P, Y, X]`` of a product over P heights or thresholds, float32, NaN where missing.

    Raises
    ------
    UsageError
        A CAPPI is asked for at a height where the grid has none.
    """
    wanted = config.chosen() if names is None else names
    found = {}
    for name in wanted:
        make = _MAKERS["rain_rate" if name == "rain_accumulation" else name]
        found[name] = np.stack([make(volume, grid, config) for volume in volumes])
        if name == "rain_accumulation":
            longest = 60.0 * config.rain_longest_gap_minutes
            found[name] = rain.accumulated_rain(found[name], seconds, since_s, longest)
    return found


def planes_of(name: str, grid: GridSpec, config: ProductConfig) -> tuple[float, ...]:
    """What a product with several planes has them for: heights in m, or thresholds in dBZ."""
    if name == "cappi":
        return config.heights_m or tuple(h for h in STANDARD_HEIGHTS_M if grid.z[0] <= h <= grid.z[-1])
    return config.echo_top_dbz if name == "echo_top" else ()


def _cappi(dbz: Float32, grid: GridSpec, config: ProductConfig) -> Float32:
    heights = planes_of("cappi", grid, config)
    none = np.empty((0, *grid.shape[1:]), np.float32)
    return np.stack([columns.cappi(dbz, grid.z, height) for height in heights]) if heights else none


def _low(dbz: Float32, grid: GridSpec, config: ProductConfig) -> Float32:
    return columns.low_level_reflectivity(dbz, grid.z, config.low_m, config.low_most_m)


def _echo_top(dbz: Float32, grid: GridSpec, config: ProductConfig) -> Float32:
    tops = [columns.echo_top(dbz, grid.z, threshold, config.least_observed) for threshold in config.echo_top_dbz]
    return np.stack(tops)


def _vil(dbz: Float32, grid: GridSpec, config: ProductConfig) -> Float32:
    return liquid.vertically_integrated_liquid(dbz, grid.z, config.vil_cap_dbz, config.least_observed)


def _vil_density(dbz: Float32, grid: GridSpec, config: ProductConfig) -> Float32:
    return liquid.vil_density(dbz, grid.z, config.vil_cap_dbz, config.vil_density_top_dbz, config.least_observed)


def _rain_rate(dbz: Float32, grid: GridSpec, config: ProductConfig) -> Float32:
    a, b = rain.z_r_relation(config.zr)
    return rain.rain_rate(_low(dbz, grid, config), a, b, config.rain_least_dbz, config.rain_most_dbz)


def _hail_index(dbz: Float32, grid: GridSpec, config: ProductConfig) -> Float32:
    assert config.isotherms_m is not None  # the settings see to it
    return hail.severe_hail_index(dbz, grid.z, config.isotherms_m, config.least_observed)


def _mesh(dbz: Float32, grid: GridSpec, config: ProductConfig) -> Float32:
    return hail.expected_hail_size(_hail_index(dbz, grid, config), config.hail_size)


def _posh(dbz: Float32, grid: GridSpec, config: ProductConfig) -> Float32:
    assert config.isotherms_m is not None
    return hail.severe_hail_probability(_hail_index(dbz, grid, config), config.isotherms_m[0] - config.ground_m)


_MAKERS: dict[str, Make] = {
    "cappi": _cappi,
    "low_level_reflectivity": _low,
    "column_maximum": lambda dbz, grid, config: columns.column_maximum(dbz),
    "height_of_maximum": lambda dbz, grid, config: columns.height_of_maximum(dbz, grid.z),
    "echo_top": _echo_top,
    "vil": _vil,
    "vil_density": _vil_density,
    "rain_rate": _rain_rate,
    "mesh": _mesh,
    "posh": _posh,
}
