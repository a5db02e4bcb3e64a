"""The weights that come with the program, and what is to be known of them: ``README.md`` beside this file."""

from __future__ import annotations

from pathlib import Path

DEFAULT = Path(__file__).with_name("default.safetensors")
"""Trained by ``make train-default``."""


def checkpoint(name: str) -> Path | None:
    """The checkpoint that ``default``, ``none`` or a path names; None for ``none``."""
    return {"none": None, "default": DEFAULT}.get(name, Path(name))
