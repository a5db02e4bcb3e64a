"""The state-space layer's public function: checks its arguments, then chooses a backend."""

from __future__ import annotations

import importlib.util
from typing import Literal, overload

import torch
from torch import Tensor

from nowcast_kernels.errors import KernelInputError
from nowcast_kernels.ssd.chunked import ssd_chunked
from nowcast_kernels.ssd.reference import ssd_reference

BACKENDS = ("auto", "chunked", "mamba-ssm", "numba", "reference")


@overload
def ssd(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None = ..., *,
    h0: Tensor | None = ..., chunk: int = ..., backend: str = ..., return_state: Literal[False] = ...,
) -> Tensor: ...  # fmt: skip


@overload
def ssd(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None = ..., *,
    h0: Tensor | None = ..., chunk: int = ..., backend: str = ..., return_state: Literal[True],
) -> tuple[Tensor, Tensor]: ...  # fmt: skip


def ssd(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    *,
    h0: Tensor | None = None,
    chunk: int = 64,
    backend: str = "auto",
    return_state: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Mamba-2's selective state-space model over a sequence, differentiable in every tensor.

    For each head, ``h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_t^T`` and ``y_t = h_t C_t + D x_t``
    (Dao and Gu, arXiv 2405.21060).

    Parameters
    ----------
    x : Tensor
        Input [batch, length, heads, head_dim], any length.
    dt : Tensor
        Step [batch, length, heads], not negative: after its softplus.
    A : Tensor
        Decay rate [heads], negative.
    B, C : Tensor
        Write and read vectors [batch, length, d_state], shared by all heads.
    D : Tensor, optional
        Skip weight [heads].
    h0 : Tensor, optional
        State before the first token [batch, heads, head_dim, d_state]; zeros if not given.
    chunk : int
        Tokens that one matrix product spans, for the backends with chunks; changes speed, not the result.
    backend : {"auto", "chunked", "mamba-ssm", "numba", "reference"}
        ``reference``: token by token in torch, any device. ``chunked``: matrix products in torch, any device.
        ``numba``: token by token in compiled code, float32 on the CPU. ``mamba-ssm``: that package's Triton kernels,
        CUDA only. ``auto``: numba for float32 on the CPU, mamba-ssm on CUDA where it is installed, else chunked.
    return_state : bool
        Also return the state after the last token.

    Returns
    -------
    Tensor or (Tensor, Tensor)
        y [batch, length, heads, head_dim]; with ``return_state`` also h [batch, heads, head_dim, d_state].

    Raises
    ------
    KernelInputError
        If shapes, dtypes or devices do not belong together, or the backend is unknown or not available here.
    """
    _check(x, dt, A, B, C, D, h0, chunk)
    backend = _choose(backend, x)
    if backend == "reference" or x.shape[1] == 0:  # an empty sequence has no chunk
        y, h = ssd_reference(x, dt, A, B, C, D, h0)
    elif backend == "numba":
        from nowcast_kernels.ssd.autograd import ssd_numba  # numba loads only when it is used

        y, h = ssd_numba(x, dt, A, B, C, D, h0)
    elif backend == "chunked":
        y, h = ssd_chunked(x, dt, A, B, C, D, h0, chunk)
    else:
        from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined

        y, h = mamba_chunk_scan_combined(
            x, dt, A, B.unsqueeze(2), C.unsqueeze(2), chunk, D=D, initial_states=h0, return_final_states=True
        )
    return (y, h) if return_state else y


def _choose(backend: str, x: Tensor) -> str:
    """Name of the backend that serves these tensors."""
    if backend not in BACKENDS:
        raise KernelInputError(f"unknown backend {backend!r}: available are {', '.join(BACKENDS)}")
    available = {
        "mamba-ssm": x.is_cuda and importlib.util.find_spec("mamba_ssm") is not None,
        "numba": x.device.type == "cpu" and x.dtype == torch.float32,
        "chunked": True,
        "reference": True,
    }
    if backend == "auto":
        return next(name for name, serves in available.items() if serves)
    if not available[backend]:
        needs = {"mamba-ssm": "CUDA tensors and the mamba-ssm package", "numba": "float32 tensors on the CPU"}[backend]
        raise KernelInputError(f"backend {backend!r} needs {needs}, got {x.dtype} on {x.device}; use 'auto'")
    return backend


def _check(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, h0: Tensor | None, chunk: int
) -> None:
    """Refuse arguments that do not belong together."""
    if x.ndim != 4:
        raise KernelInputError(f"x must have shape [batch, length, heads, head_dim], got {list(x.shape)}")
    if B.ndim != 3:
        raise KernelInputError(f"B must have shape [batch, length, d_state], got {list(B.shape)}")
    batch, length, heads, head_dim = x.shape
    d_state = B.shape[-1]
    expected = {
        "dt": (dt, [batch, length, heads]),
        "A": (A, [heads]),
        "B": (B, [batch, length, d_state]),
        "C": (C, [batch, length, d_state]),
        "D": (D, [heads]),
        "h0": (h0, [batch, heads, head_dim, d_state]),
    }
    for name, (tensor, shape) in expected.items():
        if tensor is None:
            continue
        if list(tensor.shape) != shape:
            raise KernelInputError(f"{name} must have shape {shape} beside x {list(x.shape)}, got {list(tensor.shape)}")
        if tensor.device != x.device or tensor.dtype != x.dtype:
            raise KernelInputError(
                f"{name} is {tensor.dtype} on {tensor.device}, x is {x.dtype} on {x.device}: all must agree"
            )
    if not x.is_floating_point():
        raise KernelInputError(f"the tensors must be floating point, got {x.dtype}")
    if chunk < 1:
        raise KernelInputError(f"chunk must be at least 1, got {chunk}")
