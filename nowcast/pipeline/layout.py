"""How a folder of volumes is laid out: the files of one radar, or a folder for each of several."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nowcast.texts import is_note

MOST_TOLD = 3


@dataclass(frozen=True)
class Layout:
    """The files of one radar or, of ``several``, their ``folders``; ``unlooked`` tells what is beside them."""

    folders: tuple[Path, ...] = ()
    unlooked: str = ""
    several: bool = False


def layout(paths: Iterable[Path], several: bool | None = None) -> Layout:
    """The layout of a folder that holds these paths; hidden ones do not count.

    Folders that may be read, and beside them at most notes, are those of radars. Where it is known whether there are
    ``several``, nothing that lies beside them changes that.
    """
    shown = [path for path in paths if not path.name.startswith(".")]
    folders = sorted(path for path in shown if path.is_dir() and os.access(path, os.R_OK | os.X_OK))
    if not folders and not several:
        return Layout()
    beside = sorted(path for path in shown if not path.is_dir() and not is_note(path))
    if several or (several is None and not beside):
        strays = f"{_names(beside)} beside the folders of the radars" if beside else ""
        return Layout(tuple(folders), strays, several=True)
    full = [folder for folder in folders if any(folder.iterdir())]
    if several is None and len(full) > 1:  # one folder alone makes no radars
        return Layout(
            unlooked=f"the files in {_names(full)}: folders are of radars where no file is as {_names(beside)}"
        )
    if several is False and full and not beside:
        return Layout(unlooked=f"the files in {_names(full)}: the input is of one radar")
    return Layout()


def _names(paths: list[Path]) -> str:
    more = len(paths) - MOST_TOLD
    return ", ".join(path.name for path in paths[:MOST_TOLD]) + (f" and {more} more" if more > 0 else "")
