"""The voxelizer's public function: checks its arguments, then chooses a backend."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor

from nowcast_kernels.errors import KernelInputError
from nowcast_kernels.voxelize.grid import VoxelGrid, check_grid
from nowcast_kernels.voxelize.reference import voxelize_reference

BACKENDS = ("auto", "numba", "triton", "reference")
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
        Amplitudes a, [N, C], any sign, in the unit of the field; may be bfloat16 beside float32 geometry.
    grid : VoxelGrid
        Where to render: anything with ``shape``, ``first_m`` and ``spacing_m``, such as `RegularGrid`.
    backend : {"auto", "numba", "triton", "reference"}
        ``reference``: plain formula in float64, float32 or float64 arguments, any device, slow.
        ``numba``: CPU, float32 arguments; same inputs give the same bits for any number of threads.
        ``triton``: CUDA, float32 arguments, intensities also bfloat16; same inputs give the same bits.
        ``auto``: numba or, where it can be imported, triton for the tensors that they take, else reference.

    Returns
    -------
    Tensor
        Field [C, Z, Y, X], dtype and device of ``means``, in the unit of ``intensities``.

    Raises
    ------
    KernelInputError
        If a shape, dtype or device does not fit, a number is not finite, a quaternion is zero, a scale is out
        of range, or the backend is unknown or cannot serve these tensors.
    """
    check_grid(grid)
    _check_layout(means, log_scales, quats, intensities)
    _check_values(means, log_scales, quats, intensities)
    chosen = _choose(backend, means, intensities)
    # Numba and triton load only when they are used.
    if chosen == "numba":
        from nowcast_kernels.voxelize.autograd import voxelize_numba as render
    elif chosen == "triton":
        from nowcast_kernels.voxelize.triton_cuda import voxelize_triton as render
    else:
        render = voxelize_reference
    return render(means, log_scales, quats, intensities, grid)


def _choose(backend: str, means: Tensor, intensities: Tensor) -> str:
    """Name of the backend that serves these tensors."""
    if backend not in BACKENDS:
        raise KernelInputError(f"unknown backend {backend!r}: available here are {', '.join(BACKENDS)}")
    fits_numba = means.device.type == "cpu" and intensities.dtype == torch.float32
    fits_triton = means.device.type == "cuda" and means.dtype == torch.float32
    got = f"got {means.dtype} with intensities {intensities.dtype} on {means.device}"
    if backend == "numba" and not fits_numba:
        raise KernelInputError(
            f"backend 'numba' takes float32 tensors on the CPU, {got}; convert them, or use backend='reference'"
        )
    if backend == "triton" and not triton_serves():
        raise KernelInputError("backend 'triton' needs the package triton: pip install triton")
    if backend == "triton" and not (fits_triton or (means.dtype == torch.float32 and triton_interprets())):
        raise KernelInputError(
            f"backend 'triton' takes float32 tensors on a CUDA device, {got}; convert them, or use backend='auto'"
        )
    if backend == "auto":
        return "numba" if fits_numba else "triton" if fits_triton and triton_serves() else "reference"
    return backend


@cache
def triton_serves() -> bool:
    """Whether triton can be imported."""
    try:
        import triton  # noqa: F401
    except ImportError:
        return False
    return True


def triton_interprets() -> bool:
    """Whether triton was imported under ``TRITON_INTERPRET=1``: its kernels then run on the CPU, slowly."""
    from nowcast_kernels.voxelize.triton_kernels import INTERPRETED

    return INTERPRETED


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
        halved = tensor is intensities and (tensor.dtype, means.dtype) == (torch.bfloat16, torch.float32)
        if not (tensor.dtype == means.dtype or halved) or tensor.device != means.device:
            raise KernelInputError(
                f"{name} is {tensor.dtype} on {tensor.device}, means is {means.dtype} on {means.device}: "
                "all four must agree (intensities alone may be bfloat16 beside float32)"
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
    if means.is_cuda and _all_well(means, log_scales, quats, intensities):
        return
    # On a CPU numpy looks through them: torch would wake its threads for it, which costs more than the looking.
    seen = {name: _for_looking(tensor) for name, tensor in named.items()}
    for name, values in seen.items():
        if not (math.isfinite(values.min()) and math.isfinite(values.max())):  # a NaN anywhere is both extremes
            _refuse(~torch.isfinite(named[name]), f"{name} must be finite")
    if max(-seen["log_scales"].min(), seen["log_scales"].max()) > MAX_ABS_LOG_SCALE:
        bound = f"log_scales must lie within -{MAX_ABS_LOG_SCALE:g}..{MAX_ABS_LOG_SCALE:g} (natural log of metres)"
        _refuse(log_scales.abs() > MAX_ABS_LOG_SCALE, bound)
    w, x, y, z = seen["quats"].T
    if ((w == 0) & (x == 0) & (y == 0) & (z == 0)).any():
        _refuse((quats == 0).all(dim=-1, keepdim=True), "quats must not be all zeros")


def _all_well(means: Tensor, log_scales: Tensor, quats: Tensor, intensities: Tensor) -> bool:
    """The same checks as one answer: a device is waited for once."""
    finite = torch.isfinite(means).all() & torch.isfinite(quats).all() & torch.isfinite(intensities).all()
    return bool(finite & (log_scales.abs() <= MAX_ABS_LOG_SCALE).all() & quats.any(dim=-1).all())


def _for_looking(tensor: Tensor) -> Any:
    """A numpy array where numpy knows the tensor's kind."""
    plain = tensor.device.type == "cpu" and tensor.dtype != torch.bfloat16
    return tensor.detach().numpy() if plain else tensor


def _refuse(bad: Tensor, rule: str) -> None:
    rows = bad.any(dim=-1).nonzero().flatten()
    raise KernelInputError(f"{rule}: {len(rows)} of {len(bad)} Gaussians are not, the first is number {int(rows[0])}")
