"""Texts beside data: notes, logs, lists."""

from __future__ import annotations

from pathlib import Path

_HEAD = 4096


def looks_like_text(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a text."""
    printable = sum(32 <= b < 127 or b in (9, 10, 13) for b in head)
    return printable > 0.95 * len(head)


def is_note(path: Path) -> bool:
    """Whether a file is empty or a text; Rainbow volumes, which begin as one, are none."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return not head or (looks_like_text(head) and b"<volume" not in head[:512])
