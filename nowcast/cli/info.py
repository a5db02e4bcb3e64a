"""``nowcast info``: what a radar or product file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nowcast.cli.console import print_json, print_note, print_result
from nowcast.cli.options import Json


def info(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Radar, gridded or product files.")],
    as_json: Json = False,
) -> None:
    """Tell what radar or product files hold.

    Example: nowcast info archive/*.nc forecast.nc
    """
    from nowcast.errors import InputError, PartialFailure
    from nowcast.pipeline.describe import describe

    if any(not path.is_dir() for path in files):  # `archive/*` names folders too
        files = [path for path in files if not path.is_dir()]
    answers: list[dict[str, Any]] = []
    failures: list[InputError] = []
    for path in files:
        try:
            answers.append(describe(path))
        except InputError as error:
            failures.append(error)
            answers.append({"file": str(path), "error": str(error)})
    if as_json:
        print_json({"files": answers})
    else:
        for answer in answers:
            if "error" not in answer:
                print_result("\n".join(_lines(answer)))
    if len(files) == 1 and failures:
        raise failures[0]
    for failure in failures:
        print_note(f"Error: {failure}")
    if len(failures) == len(files):
        raise InputError(f"none of {len(files)} files could be read")
    if failures:
        raise PartialFailure(f"{len(failures)} of {len(files)} files could not be read")


def _lines(facts: dict[str, Any]) -> list[str]:
    """The facts of one file as text for people."""
    lines = [f"{facts['file']}: {facts['format']}, {facts['bytes']} bytes"]
    skip = {"file", "format", "bytes", "sweeps", "sequences", "sources"}
    for name, value in facts.items():
        if name not in skip and not _nothing(value):
            lines.append(f"  {name}: {_text(name, value)}")
    for key in ("sweeps", "sequences"):
        for item in facts.get(key, []):
            told = ", ".join(f"{n} {_text(n, v)}" for n, v in item.items() if not _nothing(v))
            lines.append(f"  {key[:-1]}: {told}")
    return lines


def _nothing(value: Any) -> bool:
    return value is None or (isinstance(value, (str, list, dict)) and not value)


def _text(name: str, value: Any) -> str:
    from nowcast.units import iso_utc, span_text

    if name == "times":
        return f"{len(value)}: {span_text(value)}" if value else "none"
    if name.endswith("time"):
        return iso_utc(value)
    if isinstance(value, dict):
        return ", ".join(f"{n} {_text(n, v)}" for n, v in value.items() if not isinstance(v, dict))
    if name.endswith(("_range", "height_m")) and isinstance(value, list):
        return f"{value[0]:g} to {value[1]:g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text("", v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
