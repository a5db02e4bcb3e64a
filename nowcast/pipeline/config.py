"""Settings from a YAML file into the frozen dataclass they belong to, checked strictly.

Defaults live in the dataclasses. A file names only what differs; an unknown key, a wrong type or a wrong value is
told with file and line. YAML 1.1, as PyYAML reads it, takes ``1e-3`` for text (write ``1.0e-3``) and ``no`` for false.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from nowcast.errors import ConfigError

T = TypeVar("T")
Location = tuple[str | int, ...]

_LIKE_A_NUMBER = re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+")


def load_config(path: Path | str, cls: type[T]) -> T:
    """Read settings.

    Parameters
    ----------
    path
        YAML file; an empty one gives the defaults.
    cls
        A dataclass, whose fields may be dataclasses.

    Raises
    ------
    ConfigError
        The file is missing or no YAML, or it does not fit ``cls``; says where and what was expected.
    """
    path = Path(path)
    text = _read(path)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}{_mark(error)}: not valid YAML: {_problem(error)}") from error
    data = {} if data is None else data
    _refuse_repeats(path, node)
    _check_keys(path, node, data, cls, ())
    try:
        # As JSON, because strict validation takes a list for a tuple and text for a path only from there.
        return TypeAdapter(cls).validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(_told(path, node, first["loc"], first["msg"], first["input"])) from error


def config_text(settings: Any) -> str:
    """A settings dataclass, or a dictionary of some, as YAML that :func:`load_config` reads."""
    plain = json.loads(json.dumps(settings, default=dataclasses.asdict))  # YAML has no tuples
    return yaml.safe_dump(plain, sort_keys=False)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read settings {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read settings {path}: it is not UTF-8 text; expected YAML") from error


def _refuse_repeats(path: Path, node: yaml.Node | None) -> None:
    """Refuse a key that stands twice in one mapping: YAML would silently take the last."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        if key.value in seen:
            raise ConfigError(f"{path}:{key.start_mark.line + 1}: key {key.value!r} stands here twice: remove one")
        seen.add(key.value)
        _refuse_repeats(path, value)


def _check_keys(path: Path, root: yaml.Node | None, data: Any, cls: type, loc: Location) -> None:
    """Refuse keys that are no field of ``cls``, or of the dataclasses within it."""
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:{_line(root, loc)}: expected settings as `key: value`, got {data!r}")
    hints = get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls) if field.init]
    for key, value in data.items():
        here = (*loc, key)
        if key not in names:
            close = difflib.get_close_matches(str(key), names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"
            raise ConfigError(f"{path}:{_line(root, here)}: unknown key {_dotted(here)!r}: {hint}")
        inner = next((t for t in (hints[key], *get_args(hints[key])) if dataclasses.is_dataclass(t)), None)
        if isinstance(inner, type) and value is not None:
            _check_keys(path, root, value, inner, here)


def _told(path: Path, root: yaml.Node | None, loc: Location, message: str, value: Any) -> str:
    message = message.removeprefix("Value error, ")
    where = f"{path}:{_line(root, loc)}"
    if message == "Field required":
        return f"{where}: {_dotted(loc)} is missing"
    if value is None and message == "Input should be an object":
        return f"{where}: {_dotted(loc)} is empty: expected settings as `key: value`"
    if not loc or isinstance(value, dict):
        # A check of several settings names the one that it is about first.
        named = [word for word in re.findall(r"\w+", message) if isinstance(value, dict) and word in value]
        return f"{path}:{_line(root, (*loc, *named[:1]))}: {message}"
    advice = ""
    if isinstance(value, str) and _LIKE_A_NUMBER.fullmatch(value):
        advice = "; YAML reads this as text, write it with a point and a sign, as in 1.0e-3 or 1.0e+6"
    elif isinstance(value, bool):
        advice = "; YAML reads yes, no, on and off as true and false, put text in quotes"
    return f"{where}: {_dotted(loc)} = {value!r}: {message}{advice}"


def _dotted(loc: Location) -> str:
    return ".".join(map(str, loc))


def _line(node: yaml.Node | None, loc: Location) -> int:
    """Line of the setting at ``loc``, or of the innermost part of it that the file has."""
    line = node.start_mark.line if node is not None else 0
    for step in loc:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(step)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line
    return line + 1


def _mark(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}" if mark is not None else ""


def _problem(error: yaml.YAMLError) -> str:
    return getattr(error, "problem", None) or str(error)
