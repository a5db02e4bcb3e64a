"""Fractions skill score: whether events were forecast near enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fractions_skill(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """FSS ``1 - sum((pf - po)^2) / sum(pf^2 + po^2)``, 0 to 1, best 1.

    pf and po are the shares of voxels with the event in a square window of one level, forecast and observed; the sums
    go over the windows around all scored voxels of all levels and times, before they are divided (Roberts and Lean
    2008, doi:10.1175/2007MWR2123.1; pooling as in Mittermaier 2021, doi:10.1175/MWR-D-18-0106.1). Within a window,
    voxels that are not scored and those beyond the grid hold no event in either field.

    Parameters
    ----------
    sums
        ``[..., 2]`` of :func:`~nowcast.verify.kernels.fraction_sums`.

    Returns
    -------
    ``[...]``, NaN where the event is in neither field.
    """
    reference = sums[..., 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        skill = 1.0 - sums[..., 0] / reference
    return np.where(reference > 0, skill, np.nan)


def window_voxels(scale_m: float, spacing_m: float) -> int:
    """Width in voxels, odd, of the window nearest to a scale."""
    return 2 * max(round((scale_m / spacing_m - 1) / 2), 0) + 1
