"""Liquid water in a column; arrays as in :mod:`nowcast.products.columns`."""

from __future__ import annotations

import numpy as np

from nowcast.products.columns import Heights, column_integral, echo_top, observed_share
from nowcast.types import Float32
from nowcast.units import ECHO_FLOOR_DBZ, dbz_to_linear


def vertically_integrated_liquid(
    dbz: Float32, z: Heights, cap_dbz: float = 56.0, least_observed: float = 0.5
) -> Float32:
    """Vertically integrated liquid (VIL), kg m-2.

    The sum over the layers between levels of ``3.44e-6 * ((Z_i + Z_i+1) / 2) ** (4/7) * dz`` with Z in mm6 m-3 and dz
    in m (Greene and Clark 1972, doi:10.1175/1520-0493(1972)100<0548:VILWNA>2.3.CO;2). Reflectivity counts up to
    ``cap_dbz``: what exceeds it is hail. Where less than ``least_observed`` of the column was observed it is missing,
    layers that were not observed add nothing.
    """
    linear = linear_reflectivity(np.minimum(dbz, np.float32(cap_dbz)))
    mean: Float32 = np.float32(0.5) * (linear[..., :-1, :, :] + linear[..., 1:, :, :])
    content: Float32 = np.float32(3.44e-6) * np.power(mean, np.float32(4.0 / 7.0))
    return column_integral(content, z, observed_share(dbz), least_observed)


def vil_density(
    dbz: Float32, z: Heights, cap_dbz: float = 56.0, top_dbz: float = 18.0, least_observed: float = 0.5
) -> Float32:
    """VIL density, g m-3: VIL over the height of the echo top of ``top_dbz``; 0 where no echo reaches that.

    Amburn and Wolf 1997, doi:10.1175/1520-0434(1997)012<0473:VDAAHI>2.0.CO;2. The height counts from z = 0. Missing
    where VIL or the echo top is.
    """
    vil = vertically_integrated_liquid(dbz, z, cap_dbz, least_observed)
    top = echo_top(dbz, z, top_dbz, least_observed)
    with np.errstate(invalid="ignore", divide="ignore"):
        density = np.float32(1000.0) * vil / top
    return np.where(top > 0, density, 0.0 * (vil + top))


def linear_reflectivity(dbz: Float32) -> Float32:
    """Reflectivity factor in mm6 m-3; what is no echo has none, rather than the 1 mm6 m-3 of 0 dBZ."""
    linear = dbz_to_linear(dbz).astype(np.float32, copy=False)
    return np.where(dbz <= ECHO_FLOOR_DBZ, np.float32(0.0), linear)
