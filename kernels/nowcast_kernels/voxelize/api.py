"""The voxelizer's public function: checks its arguments, then chooses a backend."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nowcast_kernels.errors import KernelInputError
from nowcast_kernels.voxelize.grid import VoxelGrid, check_grid
from nowcast_kernels.voxelize.reference import voxelize_reference

BACKENDS = ("auto", "numba", "reference")
MAX_ABS_LOG_SCALE = 40.0  # e^40 m: beyond any storm and any fit that has not diverged


def voxelize(
    means: Tensor,
    log_scales: Tensor,
    quats: Tensor,
    intensities: Tensor,
    grid: VoxelGrid,
    *,
    backend: str = "auto",
) -> Tensor:
    """Render the sum of N Gaussians at the voxel centres of a grid.

    The field at the voxel centre v is ``sum_i a_i exp(-q_i / 2)`` with
    ``q_i = (v - m_i)^T S_i^-1 (v - m_i)``, ``S_i = R_i diag(exp(2 l_i)) R_i^T``; a Gaussian adds exactly
    0 where ``q_i > 9`` (three sigma), at the same voxels in every backend. Differentiable in the four
    tensors; the gradient goes through the normalisation of the quaternions and ignores the jump at the cut.

    Parameters
    ----------
    means : Tensor
        Centres m, [N, 3] as (x, y, z), metres. N may be 0, and a centre may lie off the grid.
    log_scales : Tensor
        Natural logarithm l of the standard deviations in metres along the rotated axes, [N, 3], each within
        -40..40.
    quats : Tensor
        Rotations as quaternions (w, x, y, z), [N, 4], of any length but 0.
    intensities : Tensor
        Amplitudes a, [N, C], any sign, in the unit of the field.
    grid : VoxelGrid
        Where to render: anything with ``shape``, ``first_m`` and ``spacing_m``, such as `RegularGrid`.
    backend : {"auto", "numba", "reference"}
        ``reference``: plain formula in float64, float32 or float64 arguments, any device, slow.
        ``numba``: CPU, float32 arguments; same inputs give the same bits for any number of threads.
        ``auto``: numba for float32 on the CPU, else reference.

    Returns
    -------
    Tensor
        Field [C, Z, Y, X], dtype and device of the arguments, in the unit of ``intensities``.

    Raises
    ------
    KernelInputError
        If a shape, dtype or device does not fit, a number is not finite, a quaternion is zero, a scale is out
        of range, or the backend is unknown or cannot serve these tensors.
    """
    check_grid(grid)
    _check_layout(means, log_scales, quats, intensities)
    _check_values(means, log_scales, quats, intensities)
    if _choose(backend, means) == "reference":
        return voxelize_reference(means, log_scales, quats, intensities, grid)
    from nowcast_kernels.voxelize.autograd import voxelize_numba  # numba loads only when it is used

    return voxelize_numba(means, log_scales, quats, intensities, grid)


def _choose(backend: str, means: Tensor) -> str:
    """Name of the backend that serves these tensors."""
    if backend not in BACKENDS:
        raise KernelInputError(f"unknown backend {backend!r}: available here are {', '.join(BACKENDS)}")
    fits_numba = means.device.type == "cpu" and means.dtype == torch.float32
    if backend == "numba" and not fits_numba:
        raise KernelInputError(
            f"backend 'numba' takes float32 tensors on the CPU, got {means.dtype} on {means.device}; "
            "convert them, or use backend='reference'"
        )
    if backend == "auto":
        return "numba" if fits_numba else "reference"
    return backend


def _check_layout(means: Tensor, log_scales: Tensor, quats: Tensor, intensities: Tensor) -> None:
    """Refuse shapes, dtypes and devices that do not belong together."""
    named = {"means": means, "log_scales": log_scales, "quats": quats, "intensities": intensities}
    for name, value in named.items():
        if not isinstance(value, Tensor):
            raise KernelInputError(f"{name} must be a torch tensor, got {type(value).__name__}")
    n = means.shape[0] if means.ndim else 0
    for (name, tensor), width in zip(named.items(), (3, 3, 4, None), strict=True):
        if tensor.ndim != 2 or tensor.shape[0] != n or (width and tensor.shape[1] != width):
            expected = f"[{n}, {width or 'C'}]"
            raise KernelInputError(f"{name} must have shape {expected}, got {list(tensor.shape)}")
        if tensor.dtype != means.dtype or tensor.device != means.device:
            raise KernelInputError(
                f"{name} is {tensor.dtype} on {tensor.device}, means is {means.dtype} on {means.device}: "
                "all four must agree"
            )
    if means.dtype not in (torch.float32, torch.float64):
        raise KernelInputError(f"the tensors must be float32 or float64, got {means.dtype}")
    if intensities.shape[1] < 1:
        raise KernelInputError(f"intensities must have shape [{n}, C] with C >= 1, got {list(intensities.shape)}")


@torch.no_grad()
def _check_values(means: Tensor, log_scales: Tensor, quats: Tensor, intensities: Tensor) -> None:
    """Refuse numbers that have no rendering, naming the first Gaussian at fault."""
    if len(means) == 0:
        return
    named = {"means": means, "log_scales": log_scales, "quats": quats, "intensities": intensities}
    # On a CPU numpy looks through them: torch would wake its threads for it, which costs more than the looking.
    seen = {name: tensor.detach().numpy() if tensor.device.type == "cpu" else tensor for name, tensor in named.items()}
    for name, values in seen.items():
        if not (math.isfinite(values.min()) and math.isfinite(values.max())):  # a NaN anywhere is both extremes
            _refuse(~torch.isfinite(named[name]), f"{name} must be finite")
    if max(-seen["log_scales"].min(), seen["log_scales"].max()) > MAX_ABS_LOG_SCALE:
        bound = f"log_scales must lie within -{MAX_ABS_LOG_SCALE:g}..{MAX_ABS_LOG_SCALE:g} (natural log of metres)"
        _refuse(log_scales.abs() > MAX_ABS_LOG_SCALE, bound)
    w, x, y, z = seen["quats"].T
    if ((w == 0) & (x == 0) & (y == 0) & (z == 0)).any():
        _refuse((quats == 0).all(dim=-1, keepdim=True), "quats must not be all zeros")


def _refuse(bad: Tensor, rule: str) -> None:
    rows = bad.any(dim=-1).nonzero().flatten()
    raise KernelInputError(f"{rule}: {len(rows)} of {len(bad)} Gaussians are not, the first is number {int(rows[0])}")
