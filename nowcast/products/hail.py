"""Hail from reflectivity above the freezing level; arrays as in :mod:`nowcast.products.columns`.

Witt et al. 1998, doi:10.1175/1520-0434(1998)013<0286:AEHDAF>2.0.CO;2. The heights of 0 and -20 degrees Celsius come
from a sounding or a model: there is no default that would be right.
"""

from __future__ import annotations

import numpy as np

from nowcast.products.columns import Heights, column_integral, observed_share
from nowcast.types import Float32

SIZES = {"witt": (2.54, 0.5), "mh75": (15.096, 0.206), "mh95": (22.157, 0.212)}
"""``c`` and ``p`` of ``MESH = c * SHI ** p`` in mm: Witt et al. 1998, which some 75% of hail reports stay below, and
the 75th and 95th percentile of Murillo and Homeyer 2019, doi:10.1175/JAMC-D-18-0247.1 (as corrected in 2021)."""
Isotherms = tuple[float, float]


def severe_hail_index(dbz: Float32, z: Heights, isotherms_m: Isotherms, least_observed: float = 0.5) -> Float32:
    """Severe hail index (SHI), J m-1 s-1: hail's flux of kinetic energy, weighted by how cold it is, over the column.

    ``SHI = 0.1 * integral of W_T(z) E dz`` from the height of 0 degrees up, with
    ``E = 5e-6 * 10 ** (0.084 Z) * W(Z)``, J m-2 s-1; ``W`` rises from 0 at 40 dBZ to 1 at 50, ``W_T`` from 0 at the
    height of 0 degrees to 1 at that of -20. Trapezoids between the levels. Missing rules as for VIL.
    """
    zero, cold = isotherms_m
    weight = np.clip((dbz - 40.0) / 10.0, 0.0, 1.0)
    energy = 5e-6 * 10.0 ** (0.084 * dbz) * weight
    energy *= np.clip((z - zero) / (cold - zero), 0.0, 1.0).astype(np.float32)[:, None, None]
    layers = (energy[..., :-1, :, :] + energy[..., 1:, :, :]) / 2
    return np.float32(0.1) * column_integral(layers, z, observed_share(dbz), least_observed)


def expected_hail_size(shi: Float32, size: str = "witt") -> Float32:
    """Maximum expected size of hail (MESH), mm, of the severe hail index; ``size`` is a key of :data:`SIZES`."""
    factor, power = SIZES[size]
    return (factor * shi**power).astype(np.float32)


def severe_hail_probability(shi: Float32, zero_m: float) -> Float32:
    """Probability of severe hail (POSH, 19 mm or more), 0..1, with 0 degrees at ``zero_m`` above the ground.

    ``POSH = 0.29 ln(SHI / WT) + 0.5`` within 0..1, ``WT = 57.5 zero - 121`` J m-1 s-1 with zero in km, at least 20.
    """
    warning = max(57.5 * zero_m / 1000.0 - 121.0, 20.0)
    with np.errstate(divide="ignore"):
        return np.clip(0.29 * np.log(shi / warning) + 0.5, 0.0, 1.0).astype(np.float32)
