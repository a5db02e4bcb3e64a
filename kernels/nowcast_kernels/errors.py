"""The one error that kernels raise for what a caller handed them."""

from __future__ import annotations


class KernelInputError(ValueError):
    """An argument cannot be used: the message says which, what was expected and what came."""
