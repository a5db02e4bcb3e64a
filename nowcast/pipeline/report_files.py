"""Where a report of scores goes: a folder, or one page with its tables beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nowcast.errors import OutputError
from nowcast.io.atomic import atomic_write_text
from nowcast.verify import Report, write_tables


def folder_of(output: Path) -> Path:
    """The folder that results will go to: the output itself, or that of the page that it names."""
    return output.parent if _is_page(output) else output


def make_folder(output: Path) -> None:
    """Make the folder that results will go to, before the long work; raises OutputError when that cannot be."""
    folder = folder_of(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "a file is in its place" if folder.is_file() else error.strerror
        raise OutputError(f"cannot make the folder {folder}: {reason}; choose another with -o") from error
    if not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write to the folder {folder}: permission denied; choose another with -o")


def write_report(
    report: Report, output: Path, title: str = "forecasts", facts: Mapping[str, Any] | None = None
) -> list[Path]:
    """Write a report's page, pictures and tables into a folder; returns their paths, the page first.

    ``facts`` tell in ``scores.json`` what was scored and how.

    A name that ends in ``.html`` is that of the page: the tables stand beside it under its name, and there are no
    picture files. Raises OutputError when something cannot be written.
    """
    from nowcast.plot import save_figure
    from nowcast.plot.score_page import pictures_of, score_page

    is_page, folder = _is_page(output), folder_of(output)
    page = output if is_page else output / "report.html"
    atomic_write_text(page, score_page(report, title))
    pictures = [] if is_page else pictures_of(report)
    drawn = [save_figure(picture.draw(report), folder / f"{picture.key}.png") for picture in pictures]
    return [page, *drawn, *write_tables(report, folder, f"{page.stem}-" if is_page else "", facts=facts)]


def _is_page(output: Path) -> bool:
    return output.suffix.lower() in (".html", ".htm")
