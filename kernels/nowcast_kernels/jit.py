"""How every compiled function here is made: without the GIL, kept on disk, no Python exceptions in arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def kernel(function: Callable[..., Any] | None = None, *, fastmath: bool | set[str] = False) -> Any:
    """Compile at the first call and keep the machine code beside the source or in the user's cache folder.

    ``@kernel`` keeps to IEEE arithmetic, ``@kernel(fastmath=...)`` allows what LLVM calls by these names. Numba notices
    when the function's own file changes, not when a file it takes inlined functions from does: after a change to one
    of those, delete the ``*.nbi`` files in ``__pycache__``.
    """
    if function is None:
        return lambda wrapped: _compile(wrapped, fastmath=fastmath)
    return _compile(function)


def inlined(function: Callable[..., Any]) -> Any:
    """The same for a function whose body is to stand where it is called."""
    return _compile(function, forceinline=True)


def _compile(function: Callable[..., Any], **options: Any) -> Any:
    # Division by zero gives inf, as in numpy: without the check for an exception the loops have no early exits.
    options |= {"nogil": True, "error_model": "numpy"}
    try:
        return njit(function, cache=True, **options)
    except RuntimeError:  # no folder can be written: compile anew in every process
        return njit(function, **options)
