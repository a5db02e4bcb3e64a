"""On which device a fit is done."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from nowcast.errors import ConfigError, InputError
from nowcast.gaussians.compute import Compute
from nowcast.gaussians.config import AUTO, FitConfig
from nowcast.gaussians.on_cpu import CPU
from nowcast.types import VolumeSequence
from nowcast_kernels.voxelize.api import triton_interprets, triton_serves

logger = logging.getLogger(__name__)
T = TypeVar("T")

WORTH_IT = 1 << 22
"""Values a volume (channels times voxels) from which on ``auto`` takes CUDA: with fewer, starting the kernels takes
about as long as the CPU does for their work. An estimate, not a measurement."""
FIELDS_HELD = 14
"""Fields of the size of a volume that one fit holds at most on a device, besides target and weight of each volume."""


def compute_on(device: str, values: int) -> Compute:
    """Where to fit volumes of so many values (channels times voxels) each.

    Parameters
    ----------
    device
        ``"cpu"``, ``"cuda"``, ``"cuda:N"``, or ``"auto"``: CUDA where torch sees a device, Triton can be imported and
        there are at least ``WORTH_IT`` values.

    Raises
    ------
    ConfigError
        CUDA is asked for, and there is no such device or no Triton.
    """
    if device == "cpu" or (device == AUTO and values < WORTH_IT):
        return CPU
    held = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == AUTO and (held == 0 or not triton_serves()):
        return CPU
    if not triton_serves():
        raise ConfigError(f"fit device is {device}, which needs the package triton: pip install triton, or take auto")
    if triton_interprets():
        chosen = torch.device("cpu")  # slowly, for tests
    else:
        chosen = torch.device("cuda" if device == AUTO else device)
        if (chosen.index or 0) >= held:
            raise ConfigError(f"fit device is {device}, but torch sees {held} CUDA devices here: take auto or cpu")
    from nowcast.gaussians.on_cuda import OnCuda

    return OnCuda(chosen)


def computed(config: FitConfig, volumes: VolumeSequence, fit: Callable[[Compute], T]) -> T:
    """The fit, on the device that the settings choose; with ``auto`` the CPU does what the device fails at.

    Raises
    ------
    ConfigError
        As for :func:`compute_on`.
    InputError
        The device asked for has no room.
    """
    size = volumes.values[0].size
    compute = compute_on(config.device, size)
    if compute is CPU:
        return fit(CPU)
    try:
        return fit(compute)
    except torch.OutOfMemoryError as error:
        room = f"{4 * size * (2 * len(volumes) + FIELDS_HELD) / 2**30:.1f} GiB"
        told = f"the CUDA device has no room for the fit, which takes some {room} for volumes of this size"
        if config.device != AUTO:
            raise InputError(f"{told}: fit fewer sequences at a time, or take --device cpu") from error
    except Exception as error:  # a driver, a compiler that is missing: whatever it is, the CPU can do the fit
        if config.device != AUTO:
            raise
        logger.debug("the fit on the CUDA device failed", exc_info=error)
        told = f"the fit on the CUDA device failed ({type(error).__name__}: {error})"
    finally:
        torch.cuda.empty_cache()  # other processes may want it
    logger.warning("%s: it is done on the CPU", told)
    return fit(CPU)
