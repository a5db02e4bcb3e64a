"""The output tree: templates of names, and paths that stay below its root."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path, PurePosixPath
from string import Formatter

from nowcast.errors import ConfigError, OutputError

_KNOWN = ("site", "job", "time")
SOME_TIME = datetime(2024, 1, 15, 4, 10)
_LOOK_ALIKES = [
    datetime(2024, 1, 15, 4, 11),
    datetime(2024, 1, 15, 5, 10),
    datetime(2024, 1, 15, 16, 10),
    datetime(2024, 1, 16, 4, 10),
    datetime(2024, 1, 22, 4, 10),
    datetime(2024, 2, 15, 4, 10),
    datetime(2025, 1, 15, 4, 10),
]
"""A template that leaves out the minutes, the hour, the half of the day and so on takes one of these for that time."""


def check_templates(folder: str, name: str, latest: str) -> None:
    """Raise ConfigError where a template names what is not known, leaves the root, or gives two cycles one folder."""
    some = rendered(folder, site="SITE", job="job", time=SOME_TIME)
    for other in _LOOK_ALIKES:
        if rendered(folder, site="SITE", job="job", time=other) == some:
            same = f"is the same at {SOME_TIME:%Y-%m-%d %H:%M} and {other:%Y-%m-%d %H:%M}"
            raise ConfigError(f"output folder {folder!r} {same}: name date and time, {{time:%Y%m%d_%H%M}}")
    if len(rendered(name, site="SITE", job="job", time=SOME_TIME).parts) != 1:
        raise ConfigError(f"output name {name!r} holds a folder: put it into folder")
    if latest and "time" in {f for _, f, _, _ in Formatter().parse(latest)}:
        raise ConfigError(f"output latest {latest!r} names the time: one link stands for the newest cycle")
    if latest:
        rendered(latest, site="SITE", job="job", time=SOME_TIME)


def rendered(template: str, *, site: str, job: str, time: datetime) -> PurePosixPath:
    """A template as a relative path that does not climb; raises ConfigError otherwise."""
    for _, name, form, conversion in _parsed(template):
        if name is not None and (name not in _KNOWN or conversion or "{" in (form or "")):
            raise ConfigError(f"output {template!r} names {{{name}}}: known are {{site}}, {{job}} and {{time:%Y%m%d}}")
    try:
        text = template.format(site=site, job=job, time=time)
    except ValueError as error:
        raise ConfigError(f"output {template!r} is no template: {error}") from error
    path = PurePosixPath(text)
    if path.is_absolute() or not path.parts or any(part.startswith(".") for part in path.parts) or "\0" in text:
        raise ConfigError(
            f"output {template!r} leads to {text!r}: expected a path below the root, without .. or hidden folders"
        )
    return path


def plain_name(text: str) -> str:
    """What a file says of itself as a part of a path."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-")


def cycle_name(time: str) -> str:
    """The name of a cycle from a time of numpy, to the second."""
    return f"{time[:19]}Z"


def cycle_stem(cycle: str) -> str:
    """What files of a cycle, such as 2024-01-15T04:10:00Z, are named."""
    return cycle.replace(":", "")


def is_stem(name: str) -> bool:
    """Whether files of a cycle are named so."""
    return re.fullmatch(r"\d{4}-\d\d-\d\dT\d{6}Z", name) is not None


def cycle_of(stem: str) -> str:
    """The cycle whose files are named so."""
    return f"{stem[:13]}:{stem[13:15]}:{stem[15:]}"


def below(root: Path, relative: PurePosixPath | str) -> Path:
    """``root / relative``, whose parent folder is made.

    Raises OutputError where a symbolic link on the way leads out of the root.
    """
    target = root / relative
    home = root.resolve()
    nearest = target.parent
    while not nearest.exists():
        nearest = nearest.parent
    _refuse_outside(nearest, home, target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {target.parent}: {error.strerror}") from error
    _refuse_outside(target.parent, home, target)
    return target


def is_below(root: Path, path: Path) -> bool:
    """Whether the folder that the path stands in is inside the root, symbolic links followed."""
    return path.parent.resolve().is_relative_to(root.resolve())


def _refuse_outside(folder: Path, home: Path, target: Path) -> None:
    if not folder.resolve().is_relative_to(home):
        raise OutputError(f"{target} lies outside of {home} by a symbolic link ({folder}): nothing is written there")


def _parsed(template: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(Formatter().parse(template))
    except ValueError as error:
        raise ConfigError(f"output {template!r} is no template: {error}") from error
