"""What a fit is worth besides its error: how little room it takes, and how coherently its Gaussians move."""

from __future__ import annotations

import math
import zlib

import numpy as np
from numpy.typing import NDArray

from nowcast.gaussians.coherence import neighbour_average
from nowcast.gaussians.quality import peak_signal_to_noise
from nowcast.io.gaussians import steps_of
from nowcast.types import REFLECTIVITY, Bool, Float32, GaussianSequence, GaussianSet, GridSpec
from nowcast.units import MAX_DBZ

ZLIB_LEVEL = 2
NEIGHBOURS, REACH_M = 8, 15e3
_UNOBSERVED = np.int16(-32768)


def coherence_voxels(sequence: GaussianSequence) -> float:
    """How far the displacements of neighbours differ: intensity-weighted RMS, voxels a step.

    With d the displacement of a Gaussian in a step, divided by the grid's spacing axis by axis, and D the mean of
    those of its 8 nearest neighbours, fading over 15 km and weighted by their amplitudes: the root of the mean of
    ``|d - D|^2``, weighted by the absolute amplitudes of the first channel, over all steps. Gaussians count that are
    active before and after a step. NaN where there is no step, or none of them has a neighbour.
    """
    spacing = np.array(sequence.grid.spacing_m[::-1])
    total = weight = 0.0
    for t in range(1, len(sequence)):
        before, after = sequence.at(t - 1), sequence.at(t)
        both = before.active & after.active
        if int(both.sum()) < 2:
            continue
        old, new = before.take(both), after.take(both)
        amplitude = new.intensities[:, 0].abs().numpy().astype(np.float64)
        moved = (new.means.numpy().astype(np.float64) - old.means.numpy()) / spacing
        average = neighbour_average(old.means.numpy(), amplitude, NEIGHBOURS, REACH_M)
        accompanied = average.diagonal() == 0
        away = ((moved - average @ moved) ** 2).sum(axis=1)
        total += float((amplitude * away)[accompanied].sum())
        weight += float(amplitude[accompanied].sum())
    return math.sqrt(total / weight) if weight > 0 else math.nan


def compressed_bytes(gaussians: GaussianSet, grid: GridSpec) -> int:
    """Bytes that the active Gaussians take in a Gaussian file, packed and compressed: what draws reflectivity."""
    kept = gaussians.take(gaussians.active)
    steps = steps_of(grid, (REFLECTIVITY,))
    parts = {"means": kept.means, "log_scales": kept.log_scales, "quats": kept.quats}
    parts["intensities"] = kept.intensities[:, :1]
    return sum(_compressed((part / steps[name]).round().numpy().astype(np.int32)) for name, part in parts.items())


def equal_error_bytes(reflectivity: Float32, mask: Bool, psnr_db: float) -> int | None:
    """Bytes of a volume in a compressed NetCDF file that is as wrong as a reconstruction.

    The values are rounded to the multiples of that step which gives this PSNR over the observed voxels, and compressed
    as int16 like our volume files.

    Parameters
    ----------
    reflectivity
        ``[Z, Y, X]`` dBZ, any value where not observed.
    mask
        ``[Z, Y, X]`` what was observed.
    psnr_db
        Peak signal-to-noise ratio of the reconstruction, as of :func:`nowcast.gaussians.reconstruction_scores`.

    Returns
    -------
    None where the PSNR is no finite number: a perfect reconstruction, or nothing observed.
    """
    if not math.isfinite(psnr_db):
        return None
    seen = reflectivity[mask].astype(np.float64)
    echo = seen[seen != 0]  # the rest stays what it is whatever the step
    rarer_db = 10 * math.log10(seen.size / max(echo.size, 1))
    low, high = math.log(1e-3), math.log(4 * MAX_DBZ)
    for _ in range(40):
        step = math.exp(0.5 * (low + high))
        wrong = (np.rint(echo / step) * step - echo).astype(np.float32)
        good = echo.size == 0 or peak_signal_to_noise(wrong) + rarer_db > psnr_db
        low, high = (math.log(step), high) if good else (low, math.log(step))
    codes = np.where(mask, np.rint(np.nan_to_num(reflectivity) / math.exp(low)), _UNOBSERVED).astype(np.int16)
    return _compressed(codes)


def _compressed(values: NDArray[np.generic]) -> int:
    """Bytes after HDF5's shuffle filter and zlib."""
    planes = np.ascontiguousarray(values).reshape(-1, 1).view(np.uint8)
    return len(zlib.compress(planes.T.tobytes(), ZLIB_LEVEL))
